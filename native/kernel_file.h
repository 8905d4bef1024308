#pragma once

#include <string>
#include <string_view>

#include "result.h"
#include "unique_fd.h"

namespace mailherd {

/// A file of /proc or /sys that is opened once and read again from its start each time.
class KernelFile {
 public:
  explicit KernelFile(std::string path) : path_(std::move(path)) {}

  /// Whether a record of the file, most often a line, can be longer than 2 KiB.
  enum class Records { any, short_ };

  /// Reads all of it into `buffer`, which grows to at most 4 MiB and is shared between files; the text lives in it.
  /// Fails with EFBIG beyond that. After a failure the next call opens the file anew.
  Result<std::string_view> Read(std::string& buffer, Records records = Records::any) noexcept;
  /// The whole lines within its first `bytes`, 1 .. 4096.
  Result<std::string_view> ReadBegin(std::string& buffer, size_t bytes) noexcept;
  const std::string& path() const noexcept { return path_; }

 private:
  SysError Failed(int err) noexcept;

  std::string path_;
  UniqueFd fd_;
};

}  // namespace mailherd
