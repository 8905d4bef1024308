#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "result.h"
#include "unique_fd.h"

namespace mailherd {

/// A name that came into a directory or left it. An empty one: the directory itself has gone, or is followed no longer.
struct NameChange {
  int watch;
  std::string_view name;
  unsigned char type;  // as in dirent64, as far as it is told: a directory or something else
  bool isThere;
};

/// What became of each name, the last word of each, ordered by watch and name. It points into `events`.
struct NameChanges {
  std::vector<NameChange> changes;
  bool isLost;   // some events did not fit in the kernel's queue, or are cut off
  size_t bytes;  // of the events
};

/// @param events as read(2) gives them. Source: inotify(7).
NameChanges ParseNameChanges(std::string_view events);

/// Tells which names come and go in directories, by inotify. Nothing waits for it: the kernel keeps the changes until they are read, 16384
/// by default (fs.inotify.max_queued_events), and after that says that some are lost.
class DirectoryWatch {
 public:
  /// One directory, followed for as long as this lives. The DirectoryWatch must outlive it.
  class Following {
   public:
    Following() noexcept = default;
    Following(int notify, int watch) noexcept : notify_(notify), watch_(watch) {}
    Following(Following&& other) noexcept : notify_(other.notify_), watch_(std::exchange(other.watch_, -1)) {}
    Following& operator=(Following&& other) noexcept {
      std::swap(notify_, other.notify_);
      std::swap(watch_, other.watch_);
      return *this;
    }
    Following(const Following&) = delete;
    Following& operator=(const Following&) = delete;
    ~Following();

    explicit operator bool() const noexcept { return watch_ >= 0; }
    int watch() const noexcept { return watch_; }

   private:
    int notify_ = -1;
    int watch_ = -1;
  };

  /// What names come and go from now on is told. ENOSPC: no more watches for this user, EMFILE: no more instances.
  Result<Following> Follow(int directory) noexcept;
  /// As many of the changes that wait as fit in the buffer.
  NameChanges Read(std::vector<char>& buffer);
  /// Bytes of changes that wait to be read.
  size_t Waiting() const noexcept;

 private:
  UniqueFd notify_;
};

}  // namespace mailherd
