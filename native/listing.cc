#include "listing.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace mailherd {

namespace {

/// ext3 counts whole seconds, and FAT two; the kernel's own tick is 10 ms at most.
constexpr int64_t kSettledNs = 3'000'000'000;
/// Well below what settling leaves; both clocks are slewed alike.
constexpr int64_t kStepNs = 500'000'000;
constexpr long kXfs = 0x58465342;
constexpr long kZfs = 0x2fc12fc1;
/// Their times are of this machine's own clock.
constexpr std::array<long, 7> kLocal = {EXT4_SUPER_MAGIC, kXfs, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC, kZfs};

int64_t NsOf(const timespec& time) noexcept { return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }

}  // namespace

DirectoryStamp StampOf(const struct stat& facts) noexcept { return {NsOf(facts.st_mtim), NsOf(facts.st_ctim)}; }

bool IsSettled(const DirectoryStamp& stamp, const Moment& began) noexcept { return began.wallNs - stamp.changedNs >= kSettledNs; }

bool IsSameClock(const Moment& a, const Moment& b) noexcept { return std::abs((a.wallNs - a.bootNs) - (b.wallNs - b.bootNs)) <= kStepNs; }

void Listings::Begin(int spool, const Moment& now) noexcept {
  round_++;
  now_ = now;
  struct statfs system {};
  struct stat facts {};
  isLocal_ = ::fstatfs(spool, &system) == 0 && ::fstat(spool, &facts) == 0 && std::find(kLocal.begin(), kLocal.end(), system.f_type) != kLocal.end();
  device_ = facts.st_dev;
}

const Listings::Entries* Listings::Find(const struct stat& directory) noexcept {
  const auto found = listings_.find({directory.st_dev, directory.st_ino});
  if (found == listings_.end()) return nullptr;
  Listing& listing = found->second;
  if (!IsBelieved(directory) || listing.stamp != StampOf(directory) || !IsSameClock(listing.began, now_)) {
    Forget(found);
    return nullptr;
  }
  listing.round = round_;
  return &listing.entries;
}

std::optional<Listings::Entries> Listings::Room(const struct stat& directory) const noexcept {
  if (!IsBelieved(directory) || !IsSettled(StampOf(directory), now_)) return std::nullopt;
  return Entries();
}

bool Listings::Note(Entries& entries, unsigned char type, std::string_view name) const {
  if (bytes_ + entries.size() + name.size() + 2 > kBytesMax) return false;
  entries.push_back(static_cast<char>(type));
  entries.insert(entries.end(), name.begin(), name.end());
  entries.push_back('\0');
  return true;
}

void Listings::Keep(const struct stat& directory, Entries entries) {
  entries.shrink_to_fit();
  bytes_ += entries.size();
  listings_.insert_or_assign({directory.st_dev, directory.st_ino}, Listing{StampOf(directory), now_, round_, std::move(entries)});
}

void Listings::End() {
  for (auto at = listings_.begin(); at != listings_.end();) {
    const auto listing = at++;
    if (listing->second.round != round_) Forget(listing);
  }
}

void Listings::Forget(std::map<Key, Listing>::iterator listing) {
  bytes_ -= listing->second.entries.size();
  listings_.erase(listing);
}

}  // namespace mailherd
