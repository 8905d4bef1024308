#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel_file.h"
#include "result.h"

namespace mailherd {

struct HostSample {
  std::vector<int64_t> values;   // in the order of HostFields(), kAbsent where nothing was read
  std::vector<SysError> errors;  // files that could not be read, or held nothing that we know
};

/// Names of all values of a sample: unit last, counters since boot unless they name a level (bytes, tasks, ten second averages).
const std::vector<std::string>& HostFields();

/// Reads the kernel's own figures under `root` ("" on a real host). Keeps the files open. Not for two threads at once.
class HostSampler {
 public:
  explicit HostSampler(const std::string& root);

  /// @param disk name in /proc/diskstats whose figures are wanted; empty: none.
  HostSample Run(const std::string& disk) noexcept;

 private:
  std::vector<KernelFile> files_;
  std::string buffer_;
};

}  // namespace mailherd
