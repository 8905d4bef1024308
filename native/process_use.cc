#include "process_use.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>

#include "kernel_file.h"
#include "scan.h"

namespace mailherd {

namespace {

using Clock = std::chrono::steady_clock;

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

/// One process's descriptors; empty when it may not be looked into or has ended.
struct Descriptors {
  double count = 0;
  double instances = 0;
  double watches = 0;
  bool isDenied = false;
  bool isGone = false;
};

Descriptors ReadDescriptors(const std::string& process, std::string& buffer) noexcept {
  Descriptors found;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir((process + "/fd").c_str()));
  if (!directory) {
    found.isGone = errno == ENOENT || errno == ESRCH;
    found.isDenied = !found.isGone;
    return found;
  }
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] == '.') continue;
    found.count++;
    char link[32];
    const ssize_t length = ::readlinkat(::dirfd(directory.get()), entry->d_name, link, sizeof link);
    if (length < 0) found.isDenied = found.isDenied || errno == EACCES;
    if (length < 0 || std::string_view(link, static_cast<size_t>(length)) != "anon_inode:inotify") continue;
    found.instances++;
    KernelFile info(process + "/fdinfo/" + entry->d_name);
    if (const auto text = info.Read(buffer); const auto* read = std::get_if<std::string_view>(&text)) found.watches += static_cast<double>(CountWatches(*read));
    else found.isDenied = true;
  }
  return found;
}

void Look(const std::string& process, ServiceFiles& service, ProcessUse& use, std::string& buffer) noexcept {
  const Descriptors found = ReadDescriptors(process, buffer);
  if (found.isGone) return;
  service.looked++;
  service.openFiles += found.count;
  if (found.isDenied) {
    service.denied++;
    use.isComplete = false;
  }
  KernelFile limits(process + "/limits");
  const auto text = limits.Read(buffer);
  const auto* read = std::get_if<std::string_view>(&text);
  const int64_t limit = read == nullptr ? kAbsent : ParseOpenFilesMax(*read);
  if (limit > 0 && found.count > 0 && (service.fullestMax == 0 || found.count * service.fullestMax > service.fullest * static_cast<double>(limit))) {
    service.fullest = found.count;
    service.fullestMax = static_cast<double>(limit);
  }
  struct stat facts {};
  if (found.isDenied || ::stat(process.c_str(), &facts) != 0) return;
  if (use.users.size() >= ProcessUse::kUsersMax && !use.users.contains(facts.st_uid)) {
    use.isComplete = false;
    return;
  }
  InotifyUse& user = use.users[facts.st_uid];
  user.instances += found.instances;
  user.watches += found.watches;
  user.processes++;
}

}  // namespace

int64_t ParseOpenFilesMax(std::string_view text) noexcept {
  constexpr std::string_view key = "Max open files";
  std::string_view line, word;
  while (NextLine(text, line)) {
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    if (!NextWord(line, word)) return kAbsent;
    return word == "unlimited" ? kNoLimit : ToCounter(word);
  }
  return kAbsent;
}

int64_t CountWatches(std::string_view text) noexcept {
  int64_t count = 0;
  std::string_view line;
  while (NextLine(text, line)) count += line.starts_with("inotify wd:") ? 1 : 0;
  return count;
}

Result<ProcessUse> ReadProcessUse(const std::string& root, const std::vector<std::string>& groups, double budgetMs) noexcept {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(budgetMs));
  ProcessUse use;
  std::string buffer, listed;
  for (const std::string& group : groups) {
    KernelFile file(root + group + "/cgroup.procs");
    auto text = file.Read(listed);
    if (auto* failed = std::get_if<SysError>(&text)) return std::move(*failed);
    std::vector<std::string_view> pids;
    std::string_view rest = std::get<std::string_view>(text), pid;
    while (NextLine(rest, pid)) {
      if (ToCounter(pid) > 0) pids.push_back(pid);
    }
    ServiceFiles& service = use.services.emplace_back();
    service.processes = static_cast<double>(pids.size());
    const size_t step = (pids.size() + ProcessUse::kLookedMax - 1) / ProcessUse::kLookedMax;
    if (step > 1) use.isComplete = false;
    for (size_t at = 0; at < pids.size(); at += step) {
      if (Clock::now() >= end) {
        use.isComplete = false;
        break;
      }
      Look(root + "/proc/" + std::string(pids[at]), service, use, buffer);
    }
  }
  return use;
}

}  // namespace mailherd
