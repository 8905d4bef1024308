#include "postfix_processes.h"

#include <algorithm>
#include <cerrno>

#include "kernel_file.h"
#include "scan.h"

namespace mailherd {

namespace {

std::string_view NextArgument(std::string_view& rest) noexcept {
  const size_t end = rest.find('\0');
  const std::string_view word = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return word;
}

void Add(std::vector<ServiceCount>& services, const ServiceCommand& command) {
  std::string key(command.name);
  key += '/';
  key += command.type;
  auto found = std::find_if(services.begin(), services.end(), [&key](const ServiceCount& one) { return one.service == key; });
  if (found == services.end()) found = services.insert(services.end(), ServiceCount{std::move(key), 0, 0});
  found->processes++;
  if (command.stressed) found->stressed++;
}

/// The number in a pid file, which Postfix pads with blanks; kAbsent when there is none.
int64_t ParsePid(std::string_view text) noexcept {
  std::string_view line;
  std::string_view word;
  if (!NextLine(text, line) || !NextWord(line, word)) return kAbsent;
  return ToCounter(word);
}

}  // namespace

ServiceCommand ParseServiceCommand(std::string_view text) noexcept {
  std::string_view program = NextArgument(text);
  program.remove_prefix(std::min(program.rfind('/') + 1, program.size()));
  ServiceCommand command{program, {}, false};
  while (!text.empty()) {
    const std::string_view word = NextArgument(text);
    if (word == "-n") command.name = NextArgument(text);
    else if (word == "-t") command.type = NextArgument(text);
    else if (word == "-o" && NextArgument(text) == "stress=yes") command.stressed = true;
  }
  return command;
}

Result<PostfixProcesses> CountPostfixProcesses(const std::string& root, const std::string& spool, uint32_t processesMax) noexcept {
  std::string buffer;
  KernelFile pidFile(spool + "/pid/master.pid");
  const auto pidText = pidFile.Read(buffer);
  if (const auto* error = Failure(pidText)) return *error;
  const int64_t master = ParsePid(std::get<std::string_view>(pidText));
  if (master <= 0) return SysError{EBADMSG, "parse", pidFile.path()};
  const std::string task = root + "/proc/" + std::to_string(master);
  // The pid file stays when master is killed, and the number may be another's by now.
  KernelFile nameFile(task + "/comm");
  const auto name = nameFile.Read(buffer);
  if (Failure(name) || std::get<std::string_view>(name) != "master\n") return SysError{ESRCH, "find", pidFile.path()};
  KernelFile childrenFile(task + "/task/" + std::to_string(master) + "/children");
  const auto children = childrenFile.Read(buffer);
  if (const auto* error = Failure(children)) return *error;
  const std::string list(std::get<std::string_view>(children));

  PostfixProcesses found{{}, true};
  std::string_view rest(list);
  std::string_view pid;
  for (uint32_t seen = 0; NextWord(rest, pid); seen++) {
    if (seen == processesMax) {
      found.complete = false;
      break;
    }
    KernelFile file(root + "/proc/" + std::string(pid) + "/cmdline");
    const auto text = file.Read(buffer);
    // Gone meanwhile, or not yet what it will be.
    if (Failure(text) || std::get<std::string_view>(text).empty()) continue;
    Add(found.services, ParseServiceCommand(std::get<std::string_view>(text)));
  }
  return found;
}

}  // namespace mailherd
