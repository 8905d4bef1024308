#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "directory_watch.h"

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

/// What the directories of a queue hold, kept for as long as it is certain that it is the same: the kernel's listing of a long queue costs
/// ten times as much as looking at all of its names. A directory that is followed is certain by what the kernel tells of each name that
/// comes or goes, any other by its stamps. At most `kBytesMax` are kept; what does not fit is listed each time.
class Listings {
 public:
  /// 170,000 short queue ids, 120,000 long ones.
  static constexpr size_t kBytesMax = 2 * 1024 * 1024;
  /// A smaller directory costs little more to list than to follow.
  static constexpr int64_t kFollowedBytesMin = 8192;
  /// What was heard of a directory is held against a new listing after so long, at the latest, so that no error lives longer.
  static constexpr int64_t kTrustNs = 600'000'000'000;
  /// Of a directory, entry after entry: its type as in dirent64, its name, a NUL.
  using Entries = std::vector<char>;

  /// What a directory holds while it is being listed.
  struct Draft {
    DirectoryWatch::Following following;
    Entries entries;
    std::optional<Entries> before;
  };

  /// A round of all directories begins with what has changed in those that are followed. @param spool what they lie in: other file systems,
  /// and those whose times are not this kernel's, are not believed. @param buffer for the events, 4 KiB or more.
  void Begin(int spool, const Moment& now, std::vector<char>& buffer);
  /// What a directory held, if it is certain that it still holds that. Good until the next call of `Keep` or `End`.
  const Entries* Find(const struct stat& directory) noexcept;
  /// Room for the entries of a directory that is about to be listed; none where they could not be kept.
  /// @param isFollowed names rest in it for long, so that it is worth to follow it, where that can be.
  std::optional<Draft> Room(const struct stat& facts, int directory, bool isFollowed);
  /// Notes an entry. False when there is no room left for it.
  bool Note(Draft& draft, unsigned char type, std::string_view name) const;
  /// @param directory as it was before its listing.
  void Keep(const struct stat& directory, Draft draft);
  /// Forgets directories that this round has not come to.
  void End();

  int64_t followed() const noexcept;
  /// Names that came or went in followed directories, as far as this round has heard.
  int64_t heard() const noexcept { return heard_; }
  /// True when more came and went than the kernel holds ready: all is listed again.
  bool hasLost() const noexcept { return hasLost_; }
  /// New listings, since the beginning, that were not what had been heard.
  int64_t wrong() const noexcept { return wrong_; }
  /// errno of the kernel's last refusal in this round to let a directory be followed, 0 for none.
  int refusal() const noexcept { return refusal_; }

 private:
  struct Listing {
    DirectoryStamp stamp;
    Moment began;
    uint32_t round;  // that found it last
    DirectoryWatch::Following following;
    int64_t trustedUntilNs;  // by the boot clock, when it is followed
    Entries entries;
    std::optional<Entries> before;  // what it was taken to hold when this round listed it again; the next round compares them
  };
  using Key = std::pair<dev_t, ino_t>;
  using Place = std::map<Key, Listing>::iterator;

  bool IsBelieved(const struct stat& directory) const noexcept { return isLocal_ && directory.st_dev == device_; }
  void Hear(std::vector<char>& buffer);
  void Change(Place listing, std::span<const NameChange> changes);
  void Compare();
  void ForgetFollowed();
  void Forget(Place listing);

  DirectoryWatch watch_;
  std::map<Key, Listing> listings_;  // goes before what it is followed by
  size_t bytes_ = 0;
  uint32_t round_ = 0;
  Moment now_{};
  dev_t device_ = 0;
  bool isLocal_ = false;
  int64_t heard_ = 0;
  int64_t wrong_ = 0;
  bool hasLost_ = false;
  int refusal_ = 0;
};

}  // namespace mailherd
