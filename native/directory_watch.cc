#include "directory_watch.h"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <tuple>

namespace mailherd {

namespace {

constexpr uint32_t kCame = IN_CREATE | IN_MOVED_TO;
constexpr uint32_t kWent = IN_DELETE | IN_MOVED_FROM;

}  // namespace

NameChanges ParseNameChanges(std::string_view events) {
  NameChanges all{{}, false, events.size()};
  while (!events.empty()) {
    inotify_event event;
    all.isLost |= events.size() < sizeof event;
    if (events.size() < sizeof event) break;
    std::memcpy(&event, events.data(), sizeof event);
    events.remove_prefix(sizeof event);
    all.isLost |= event.len > events.size();
    std::string_view name = events.substr(0, event.len);
    name = name.substr(0, name.find('\0'));
    events.remove_prefix(std::min<size_t>(event.len, events.size()));
    if ((event.mask & IN_Q_OVERFLOW) != 0) all.isLost = true;
    else if ((event.mask & IN_IGNORED) != 0) all.changes.push_back({event.wd, {}, DT_DIR, false});
    else if ((event.mask & (kCame | kWent)) != 0 && !name.empty()) {
      const unsigned char type = (event.mask & IN_ISDIR) != 0 ? DT_DIR : DT_REG;
      all.changes.push_back({event.wd, name, type, (event.mask & kCame) != 0});
    }
  }
  const auto isSame = [](const NameChange& a, const NameChange& b) { return a.watch == b.watch && a.name == b.name; };
  const auto isBefore = [](const NameChange& a, const NameChange& b) { return std::tie(a.watch, a.name) < std::tie(b.watch, b.name); };
  std::stable_sort(all.changes.begin(), all.changes.end(), isBefore);
  // From behind, so that the last word of each name is the one that stays.
  const auto kept = std::unique(all.changes.rbegin(), all.changes.rend(), isSame);
  all.changes.erase(all.changes.begin(), kept.base());
  return all;
}

DirectoryWatch::Following::~Following() {
  if (watch_ >= 0) ::inotify_rm_watch(notify_, watch_);
}

Result<DirectoryWatch::Following> DirectoryWatch::Follow(int directory) noexcept {
  if (!notify_) notify_ = UniqueFd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!notify_) return SysError{errno, "inotify_init1", ""};
  std::array<char, 32> path;
  std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", directory);
  const int watch = ::inotify_add_watch(notify_.get(), path.data(), kCame | kWent | IN_ONLYDIR);
  if (watch < 0) return SysError{errno, "inotify_add_watch", path.data()};
  return Following(notify_.get(), watch);
}

NameChanges DirectoryWatch::Read(std::vector<char>& buffer) {
  const ssize_t length = notify_ ? ::read(notify_.get(), buffer.data(), buffer.size()) : 0;
  if (length > 0) return ParseNameChanges({buffer.data(), static_cast<size_t>(length)});
  return {{}, length < 0 && errno != EAGAIN, 0};
}

size_t DirectoryWatch::Waiting() const noexcept {
  int bytes = 0;
  return notify_ && ::ioctl(notify_.get(), FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

}  // namespace mailherd
