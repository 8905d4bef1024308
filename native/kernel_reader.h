#pragma once

#include <cstdint>
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
  std::vector<SysError> errors;  // files that could not be read, or held nothing that we know
  bool isSame = false;           // errors are those of the reading before
};

/// Reads the kernel's own figures under `root` ("" on a real host). Keeps the files open. Not for two threads at once.
class KernelReader {
 public:
  KernelReader(const std::string& root, std::vector<KernelPart> parts);

  KernelSample Run() noexcept;

 private:
  Result<std::string_view> Read(size_t file);

  std::vector<KernelPart> parts_;
  std::vector<KernelFile> files_;
  std::vector<int> rests_;  // for so many readings a file is not asked for again
  std::vector<SysError> errors_;
  size_t valueCount_ = 0;
  std::string buffer_;
};

}  // namespace mailherd
