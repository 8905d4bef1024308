#include "kernel_reader.h"

#include <algorithm>
#include <cerrno>
#include <span>
#include <string_view>

#include "scan.h"

namespace mailherd {

namespace {

std::string PathOf(const char* pattern, const std::string& subject) {
  std::string path(pattern);
  const size_t at = path.find("{}");
  return at == std::string::npos ? path : path.replace(at, 2, subject);
}

}  // namespace

KernelReader::KernelReader(const std::string& root, std::vector<KernelPart> parts) : parts_(std::move(parts)) {
  for (const KernelPart& part : parts_) {
    for (const Source& source : part.set->sources) {
      files_.emplace_back(root + PathOf(source.path, part.subject));
      valueCount_ += source.names.size();
    }
  }
}

KernelSample KernelReader::Run() noexcept {
  KernelSample sample;
  sample.values.assign(valueCount_, kAbsent);
  std::span<int64_t> rest(sample.values);
  auto file = files_.begin();
  for (const KernelPart& part : parts_) {
    for (const Source& source : part.set->sources) {
      const std::span<int64_t> out = rest.first(source.names.size());
      rest = rest.subspan(source.names.size());
      KernelFile& read = *file++;
      if (source.isOfSubject && part.subject.empty()) continue;
      auto text = read.Read(buffer_);
      if (auto* error = std::get_if<SysError>(&text)) {
        sample.errors.push_back(std::move(*error));
        continue;
      }
      source.parse(std::get<std::string_view>(text), out);
      const bool isNothing = std::all_of(out.begin(), out.end(), [](int64_t value) { return value == kAbsent; });
      if (isNothing) sample.errors.push_back(SysError{EBADMSG, "parse", read.path()});
    }
  }
  return sample;
}

}  // namespace mailherd
