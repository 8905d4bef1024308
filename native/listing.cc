#include "listing.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdlib>
#include <cstring>
#include <functional>

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

constexpr size_t kMarks = 65'536;
constexpr size_t kSpareBytes = 4096;
constexpr uint64_t kSpread = 0x9E3779B97F4A7C15u;
/// Beyond the kernel's own limit as it is by default: listing again is cheaper than so many changes.
constexpr size_t kWaitingMax = 1024 * 1024;

void Append(Listings::Entries& entries, unsigned char type, std::string_view name) {
  entries.push_back(static_cast<char>(type));
  entries.insert(entries.end(), name.begin(), name.end());
  entries.push_back('\0');
}

/// Takes what came and went into a listing.
void Apply(Listings::Entries& entries, std::span<const NameChange> changes) {
  // Most names are in no change, which one bit of each tells.
  const auto hash = [](std::string_view name) { return std::hash<std::string_view>{}(name) % kMarks; };
  std::bitset<kMarks> marks;
  size_t added = 0;
  for (const NameChange& change : changes) {
    marks.set(hash(change.name));
    if (change.isThere) added += change.name.size() + 2;
  }
  const auto isChanged = [&](std::string_view name) {
    if (!marks.test(hash(name))) return false;
    const auto at = std::ranges::lower_bound(changes, name, {}, &NameChange::name);
    return at != changes.end() && at->name == name;
  };
  size_t end = 0;
  for (size_t at = 0; at < entries.size();) {
    const std::string_view name(&entries[at + 1]);
    const size_t size = name.size() + 2;
    if (!isChanged(name)) {
      if (end != at) std::memmove(&entries[end], &entries[at], size);
      end += size;
    }
    at += size;
  }
  entries.resize(end);
  // Room for some walks, and not twice as much as there is.
  if (end + added > entries.capacity()) entries.reserve(end + added + kSpareBytes);
  for (const NameChange& change : changes) {
    if (change.isThere) Append(entries, change.type, change.name);
  }
}

/// The same for the same names in any order.
uint64_t SumOf(const Listings::Entries& entries) noexcept {
  uint64_t sum = 0;
  for (size_t at = 0; at < entries.size();) {
    const std::string_view name(&entries[at + 1]);
    sum += std::hash<std::string_view>{}(name);
    at += name.size() + 2;
  }
  return sum;
}

}  // namespace

DirectoryStamp StampOf(const struct stat& facts) noexcept { return {NsOf(facts.st_mtim), NsOf(facts.st_ctim)}; }

bool IsSettled(const DirectoryStamp& stamp, const Moment& began) noexcept { return began.wallNs - stamp.changedNs >= kSettledNs; }

bool IsSameClock(const Moment& a, const Moment& b) noexcept { return std::abs((a.wallNs - a.bootNs) - (b.wallNs - b.bootNs)) <= kStepNs; }

void Listings::Begin(int spool, const Moment& now, std::vector<char>& buffer) {
  round_++;
  now_ = now;
  struct statfs system {};
  struct stat facts {};
  isLocal_ = ::fstatfs(spool, &system) == 0 && ::fstat(spool, &facts) == 0 && std::find(kLocal.begin(), kLocal.end(), system.f_type) != kLocal.end();
  device_ = facts.st_dev;
  refusal_ = 0;
  heard_ = 0;
  hasLost_ = watch_.Waiting() > kWaitingMax;
  if (!hasLost_) Hear(buffer);
  if (hasLost_) ForgetFollowed();
  Compare();
}

/// All that was told until now.
void Listings::Hear(std::vector<char>& buffer) {
  for (size_t left = watch_.Waiting(); left > 0 && !hasLost_;) {
    const NameChanges told = watch_.Read(buffer);
    if (told.bytes == 0) hasLost_ = true;
    hasLost_ |= told.isLost;
    for (auto from = told.changes.begin(); from != told.changes.end();) {
      const auto to = std::find_if(from, told.changes.end(), [&](const NameChange& one) { return one.watch != from->watch; });
      const auto listing = std::ranges::find_if(listings_, [&](const auto& one) { return one.second.following.watch() == from->watch; });
      if (listing != listings_.end()) Change(listing, {from, to});
      from = to;
    }
    left -= std::min(left, told.bytes);
  }
}

void Listings::Change(Place place, std::span<const NameChange> changes) {
  Listing& listing = place->second;
  heard_ += static_cast<int64_t>(changes.size());
  if (changes.front().name.empty()) {
    Forget(place);
    return;
  }
  bytes_ -= listing.entries.size();
  Apply(listing.entries, changes);
  bytes_ += listing.entries.size();
  if (listing.before) Apply(*listing.before, changes);
  if (bytes_ > kBytesMax) Forget(place);
}

/// Whatever came or went around a new listing has been told by the next round, so that both must be the same.
void Listings::Compare() {
  for (auto& [key, listing] : listings_) {
    if (!listing.before) continue;
    if (SumOf(*listing.before) != SumOf(listing.entries)) wrong_++;
    listing.before.reset();
  }
}

/// Nothing that waits is read any more: closing it is the cheapest way to be rid of it.
void Listings::ForgetFollowed() {
  for (auto at = listings_.begin(); at != listings_.end();) {
    const auto listing = at++;
    if (listing->second.following) Forget(listing);
  }
  watch_ = DirectoryWatch();
}

const Listings::Entries* Listings::Find(const struct stat& directory) noexcept {
  const auto found = listings_.find({directory.st_dev, directory.st_ino});
  if (found == listings_.end()) return nullptr;
  Listing& listing = found->second;
  listing.round = round_;
  if (listing.following && IsBelieved(directory)) return now_.bootNs < listing.trustedUntilNs ? &listing.entries : nullptr;
  if (IsBelieved(directory) && listing.stamp == StampOf(directory) && IsSameClock(listing.began, now_)) return &listing.entries;
  Forget(found);
  return nullptr;
}

std::optional<Listings::Draft> Listings::Room(const struct stat& facts, int directory, bool isFollowed) {
  if (!IsBelieved(facts)) return std::nullopt;
  Draft draft;
  if (const auto known = listings_.find({facts.st_dev, facts.st_ino}); known != listings_.end()) {
    draft.following = std::move(known->second.following);
    bytes_ -= known->second.entries.size();
    draft.before = std::move(known->second.entries);
    listings_.erase(known);
  } else if (isFollowed && facts.st_size >= kFollowedBytesMin) {
    auto followed = watch_.Follow(directory);
    if (auto* following = std::get_if<DirectoryWatch::Following>(&followed)) draft.following = std::move(*following);
    else refusal_ = std::get<SysError>(followed).err;
  }
  if (!draft.following && !IsSettled(StampOf(facts), now_)) return std::nullopt;
  return draft;
}

bool Listings::Note(Draft& draft, unsigned char type, std::string_view name) const {
  if (bytes_ + draft.entries.size() + name.size() + 2 > kBytesMax) return false;
  Append(draft.entries, type, name);
  return true;
}

void Listings::Keep(const struct stat& directory, Draft draft) {
  draft.entries.shrink_to_fit();
  bytes_ += draft.entries.size();
  // Directories that were listed together shall not be so again.
  const auto spread = static_cast<int64_t>((directory.st_ino * kSpread + round_ * kSpread) >> 32) % (kTrustNs / 2);
  Listing listing{StampOf(directory), now_, round_, std::move(draft.following), now_.bootNs + kTrustNs - spread, std::move(draft.entries), std::move(draft.before)};
  listings_.insert_or_assign({directory.st_dev, directory.st_ino}, std::move(listing));
}

void Listings::End() {
  for (auto at = listings_.begin(); at != listings_.end();) {
    const auto listing = at++;
    if (listing->second.round != round_) Forget(listing);
  }
}

int64_t Listings::followed() const noexcept {
  return std::ranges::count_if(listings_, [](const auto& one) { return static_cast<bool>(one.second.following); });
}

void Listings::Forget(Place listing) {
  bytes_ -= listing->second.entries.size();
  listings_.erase(listing);
}

}  // namespace mailherd
