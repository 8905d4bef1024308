#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace mailherd {

/// Both clocks at one moment, in ns. Only a step of the first changes their difference.
struct Moment {
  int64_t wallNs;
  int64_t bootNs;
};

/// What tells two states of a directory apart: whatever adds, removes or renames in it sets both times.
struct DirectoryStamp {
  int64_t modifiedNs;
  int64_t changedNs;

  bool operator==(const DirectoryStamp&) const = default;
};

DirectoryStamp StampOf(const struct stat& facts) noexcept;

/// True when whatever changes the directory from `began` on, the beginning of a listing, must give it another stamp: it has rested for
/// longer than the coarsest clock of a file system ticks. Otherwise a change in the same tick as the last one would not show.
bool IsSettled(const DirectoryStamp& stamp, const Moment& began) noexcept;

/// True when the wall clock was not set between the two: one that was set back can give a stamp for the second time.
bool IsSameClock(const Moment& a, const Moment& b) noexcept;

/// What the directories of a queue hold, kept for as long as their stamps prove that it is the same: the kernel's listing of a long queue
/// costs ten times as much as looking at all of its names. At most `kBytesMax` are kept; what does not fit is listed each time.
class Listings {
 public:
  /// 170,000 short queue ids.
  static constexpr size_t kBytesMax = 2 * 1024 * 1024;
  /// Of a directory, entry after entry: its type as in dirent64, its name, a NUL.
  using Entries = std::vector<char>;

  /// A round of all directories begins. @param spool what they lie in: other file systems, and those whose times are not this kernel's,
  /// are not believed.
  void Begin(int spool, const Moment& now) noexcept;
  /// What a directory held, if it is certain that it still holds that. Good until the next call of `Keep` or `End`.
  const Entries* Find(const struct stat& directory) noexcept;
  /// Room for the entries of a directory that is about to be listed; none where they could not be kept.
  std::optional<Entries> Room(const struct stat& directory) const noexcept;
  /// Notes an entry. False when there is no room left for it.
  bool Note(Entries& entries, unsigned char type, std::string_view name) const;
  /// @param directory as it was before its listing.
  void Keep(const struct stat& directory, Entries entries);
  /// Forgets directories that this round has not come to.
  void End();

 private:
  struct Listing {
    DirectoryStamp stamp;
    Moment began;
    uint32_t round;  // that found it last
    Entries entries;
  };
  using Key = std::pair<dev_t, ino_t>;

  bool IsBelieved(const struct stat& directory) const noexcept { return isLocal_ && directory.st_dev == device_; }
  void Forget(std::map<Key, Listing>::iterator listing);

  std::map<Key, Listing> listings_;
  size_t bytes_ = 0;
  uint32_t round_ = 0;
  Moment now_{};
  dev_t device_ = 0;
  bool isLocal_ = false;
};

}  // namespace mailherd
