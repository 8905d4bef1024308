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

/// Counters grow by a digit now and then; by more, all of the file is read once.
constexpr size_t kGrowthBytes = 64;
constexpr size_t kExtentMax = 4096;

long PresentIn(std::span<const int64_t> values) noexcept {
  return std::count_if(values.begin(), values.end(), [](int64_t value) { return value != kAbsent; });
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
  outcomes_.resize(files_.size());
}

/// Only what is needed of a file; false when that did not tell what was told before: then all of it must be read.
bool KernelReader::ReadExtent(KernelFile& file, const Source& source, std::span<int64_t> out, const Outcome& outcome) noexcept {
  if (outcome.extent == 0) return false;
  auto text = file.ReadBegin(buffer_, outcome.extent);
  if (Failure(text) != nullptr) return false;
  source.parse(std::get<std::string_view>(text), out);
  if (PresentIn(out) == outcome.present) return true;
  std::fill(out.begin(), out.end(), kAbsent);
  return false;
}

void KernelReader::ReadFile(KernelFile& file, const Source& source, std::span<int64_t> out, Outcome& outcome) noexcept {
  if (outcome.rests > 0) {
    outcome.rests--;
    return;
  }
  if (ReadExtent(file, source, out, outcome)) return;
  int err = 0;
  const char* op = "";
  outcome.extent = 0;
  auto text = file.Read(buffer_, KernelFile::Records::short_);
  if (const auto* error = Failure(text)) {
    err = error->err;
    op = error->op;
    if (err == ENOENT) outcome.rests = kRestReadings;
  } else {
    const auto read = std::get<std::string_view>(text);
    source.parse(read, out);
    outcome.present = PresentIn(out);
    if (outcome.present == 0) err = EBADMSG, op = "parse";
    else if (source.extent != nullptr) outcome.extent = std::min(source.extent(read) + kGrowthBytes, kExtentMax);
  }
  if (outcome.err != err || outcome.op != op) isTold_ = false;
  outcome.err = err;
  outcome.op = op;
}

KernelSample KernelReader::Run() noexcept {
  KernelSample sample;
  sample.values.assign(valueCount_, kAbsent);
  std::span<int64_t> rest(sample.values);
  size_t at = 0;
  for (const KernelPart& part : parts_) {
    for (const Source& source : part.set->sources) {
      const std::span<int64_t> out = rest.first(source.names.size());
      rest = rest.subspan(source.names.size());
      if (!source.isOfSubject || !part.subject.empty()) ReadFile(files_[at], source, out, outcomes_[at]);
      at++;
    }
  }
  if (isTold_) return sample;
  sample.errors.emplace();
  for (size_t file = 0; file < files_.size(); file++) {
    if (outcomes_[file].err != 0) sample.errors->push_back({outcomes_[file].err, outcomes_[file].op, files_[file].path()});
  }
  isTold_ = true;
  return sample;
}

}  // namespace mailherd
