#include "kernel_reader.h"

#include <algorithm>
#include <cerrno>
#include <span>
#include <string_view>

#include "scan.h"

namespace mailherd {

namespace {

/// A kernel that lacks a file seldom gets it: to ask for one costs more than to read one.
constexpr int kRestReadings = 5;

bool AreSame(const std::vector<SysError>& a, const std::vector<SysError>& b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const SysError& x, const SysError& y) { return x.err == y.err && x.path == y.path; });
}

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
  rests_.resize(files_.size());
}

Result<std::string_view> KernelReader::Read(size_t file) {
  if (rests_[file] > 0) {
    rests_[file]--;
    return SysError{ENOENT, "open", files_[file].path()};
  }
  auto text = files_[file].Read(buffer_);
  if (const auto* error = Failure(text); error != nullptr && error->err == ENOENT) rests_[file] = kRestReadings;
  return text;
}

KernelSample KernelReader::Run() noexcept {
  KernelSample sample;
  sample.values.assign(valueCount_, kAbsent);
  std::span<int64_t> rest(sample.values);
  size_t file = 0;
  for (const KernelPart& part : parts_) {
    for (const Source& source : part.set->sources) {
      const std::span<int64_t> out = rest.first(source.names.size());
      rest = rest.subspan(source.names.size());
      const size_t at = file++;
      if (source.isOfSubject && part.subject.empty()) continue;
      auto text = Read(at);
      if (auto* error = std::get_if<SysError>(&text)) {
        sample.errors.push_back(std::move(*error));
        continue;
      }
      source.parse(std::get<std::string_view>(text), out);
      const bool isNothing = std::all_of(out.begin(), out.end(), [](int64_t value) { return value == kAbsent; });
      if (isNothing) sample.errors.push_back(SysError{EBADMSG, "parse", files_[at].path()});
    }
  }
  sample.isSame = AreSame(sample.errors, errors_);
  if (!sample.isSame) errors_ = sample.errors;
  return sample;
}

}  // namespace mailherd
