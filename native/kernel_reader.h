#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel_file.h"
#include "result.h"
#include "source_sets.h"

namespace mailherd {

/// One set of files about one subject; an empty subject leaves out what is about one.
struct KernelPart {
  const SourceSet* set;
  std::string subject;
};

struct KernelSample {
  std::vector<int64_t> values;   // part after part in the order of FieldsOf(), kAbsent where nothing was read
  // Files that could not be read, or held nothing that we know; unless they are those of the sample before. Each costs as much as a file.
  std::optional<std::vector<SysError>> errors;
};

/// Reads the kernel's own figures under `root` ("" on a real host). Keeps the files open. Not for two threads at once.
class KernelReader {
 public:
  KernelReader(const std::string& root, std::vector<KernelPart> parts);

  KernelSample Run() noexcept;

 private:
  /// What became of a file: err is 0, or why it gave nothing.
  struct Outcome {
    int err = 0;
    const char* op = "";  // static text
    int rests = 0;        // for so many readings it is not asked for again
    size_t extent = 0;    // so many bytes tell all values; 0: not known
    long present = 0;     // values that the last reading told
  };

  void ReadFile(KernelFile& file, const Source& source, std::span<int64_t> out, Outcome& outcome) noexcept;
  bool ReadExtent(KernelFile& file, const Source& source, std::span<int64_t> out, const Outcome& outcome) noexcept;

  std::vector<KernelPart> parts_;
  std::vector<KernelFile> files_;
  std::vector<Outcome> outcomes_;
  bool isTold_ = false;
  size_t valueCount_ = 0;
  std::string buffer_;
};

}  // namespace mailherd
