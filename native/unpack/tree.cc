#include "tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <variant>

#include "../beneath.h"

namespace mailherd {

namespace {

constexpr mode_t kAboveMode = 0700;

/// @return the part behind the last slash, and where that ends; the whole where there is none.
std::pair<std::string, std::string> Split(const std::string& path) {
  const size_t at = path.rfind('/');
  return at == std::string::npos ? std::pair(std::string(), path) : std::pair(path.substr(0, at), path.substr(at + 1));
}

std::optional<SysError> SetTime(int fd, int64_t seconds, const std::string& path) {
  const std::array<timespec, 2> times = {timespec{0, UTIME_OMIT}, timespec{seconds, 0}};
  if (::futimens(fd, times.data()) == 0) return std::nullopt;
  return SysError{errno, "utimens", path};
}

}  // namespace

/// @param directory empty: the root.
Result<UniqueFd> Tree::Open(const std::string& directory) const {
  UniqueFd opened = OpenBeneath(root_.get(), directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (!opened) return SysError{errno, "open", directory};
  return opened;
}

std::optional<SysError> Tree::Enter(const std::string& directory) {
  if (entered_ == directory) return std::nullopt;
  auto opened = Open(directory);
  if (const SysError* failed = Failure(opened)) {
    if (failed->err != ENOENT) return *failed;
    if (auto unmade = MakeDirectory({directory, true, 0, kAboveMode, -1})) return unmade;
    opened = Open(directory);
    if (const SysError* still = Failure(opened)) return *still;
  }
  directory_ = std::move(std::get<UniqueFd>(opened));
  entered_ = directory;
  return std::nullopt;
}

std::optional<SysError> Tree::MakeDirectory(const Member& member) {
  std::string path = member.name;
  if (!path.empty() && path.back() == '/') path.pop_back();
  const auto [above, name] = Split(path);
  if (auto failed = Enter(above)) return failed;
  if (::mkdirat(directory_.get(), name.c_str(), member.mode) != 0 && errno != EEXIST) return SysError{errno, "mkdir", path};
  if (member.seconds >= 0) made_.emplace_back(path, member.seconds);
  return std::nullopt;
}

std::optional<SysError> Tree::Begin(const Member& member) {
  const auto [above, name] = Split(member.name);
  if (auto failed = Enter(above)) return failed;
  const int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (overwrites_ ? O_TRUNC : O_EXCL);
  file_ = UniqueFd(::openat(directory_.get(), name.c_str(), flags, member.mode));
  if (!file_) return SysError{errno, "open", member.name};
  member_ = member;
  return std::nullopt;
}

std::optional<SysError> Tree::Write(const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t written = ::write(file_.get(), bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SysError{errno, "write", member_.name};
    bytes += written;
    size -= static_cast<size_t>(written);
  }
  return std::nullopt;
}

std::optional<SysError> Tree::End() {
  auto failed = SetTime(file_.get(), member_.seconds, member_.name);
  file_.reset();
  return failed;
}

std::optional<SysError> Tree::Remove(const std::string& path) {
  const auto [above, name] = Split(path);
  if (auto failed = Enter(above)) return failed;
  if (::unlinkat(directory_.get(), name.c_str(), 0) != 0) return SysError{errno, "unlink", path};
  return std::nullopt;
}

std::optional<SysError> Tree::Finish() {
  for (const auto& [path, seconds] : made_) {
    const auto opened = Open(path);
    if (const SysError* failed = Failure(opened)) return *failed;
    if (auto failed = SetTime(std::get<UniqueFd>(opened).get(), seconds, path)) return failed;
  }
  return std::nullopt;
}

}  // namespace mailherd
