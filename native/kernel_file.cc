#include "kernel_file.h"

#include <fcntl.h>

#include <cerrno>

namespace mailherd {

namespace {
constexpr size_t kBytesFirst = 16 * 1024;
constexpr size_t kShortBytes = 2 * 1024;
constexpr size_t kBytesMax = 4 * 1024 * 1024;
}  // namespace

Result<std::string_view> KernelFile::Read(std::string& buffer, Records records) noexcept {
  if (!fd_) {
    fd_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!fd_) return SysError{errno, "open", path_};
  }
  if (buffer.size() < kBytesFirst) buffer.resize(kBytesFirst);
  size_t length = 0;
  // The kernel may hand out less than asked for at any record boundary; only zero bytes mean the end.
  for (;;) {
    if (length == buffer.size()) {
      if (length >= kBytesMax) return SysError{EFBIG, "read", path_};
      buffer.resize(length * 2);
    }
    const ssize_t got = ::pread(fd_.get(), buffer.data() + length, buffer.size() - length, static_cast<off_t>(length));
    if (got == 0) return std::string_view(buffer.data(), length);
    if (got < 0) {
      if (errno == EINTR) continue;
      return Failed(errno);
    }
    length += static_cast<size_t>(got);
    // The kernel writes into a page of its own at least, and stops early only before a record that no longer fits: short records
    // that do not fill half of it were all.
    if (records == Records::short_ && length <= kShortBytes) return std::string_view(buffer.data(), length);
  }
}

Result<std::string_view> KernelFile::ReadBegin(std::string& buffer, size_t bytes) noexcept {
  if (!fd_ || buffer.size() < bytes) return Read(buffer);
  ssize_t got;
  do got = ::pread(fd_.get(), buffer.data(), bytes, 0);
  while (got < 0 && errno == EINTR);
  if (got < 0) return Failed(errno);
  const std::string_view text(buffer.data(), static_cast<size_t>(got));
  // The last line may be cut off, even within a number.
  return text.substr(0, text.rfind('\n') + 1);
}

SysError KernelFile::Failed(int err) noexcept {
  fd_.reset();
  return SysError{err, "read", path_};
}

}  // namespace mailherd
