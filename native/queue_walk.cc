#include "queue_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <string_view>

#include "age_histogram.h"
#include "queue_file.h"
#include "queue_id.h"
#include "retry_schedule.h"
#include "unique_fd.h"

namespace mailherd {

namespace {

constexpr std::array kQueues = {"maildrop", "incoming", "active", "deferred", "hold"};
constexpr size_t kIncoming = 1;
constexpr size_t kActive = 2;
constexpr size_t kDeferred = 3;
constexpr size_t kHold = 4;
constexpr size_t kAgedFirst = kIncoming;  // incoming, active and deferred are what a user waits for
constexpr size_t kAgedLast = kDeferred;
constexpr size_t kEntryBytes = 256 * 1024;
constexpr std::string_view kHashNames = "0123456789ABCDEF";
constexpr int kHashDepthMax = 4;
constexpr uint32_t kStatsPerClockRead = 32;
constexpr size_t kArrivalsMax = 1'000'000;
constexpr int64_t kUnknown = -1;
/// Messages that came while the walk ran are a little younger than its start; anything further ahead is a clock that jumped.
constexpr int64_t kAheadUsMax = 2'000'000;
/// A message is in incoming for moments unless cleanup died over it or qmgr takes no more.
constexpr int64_t kStuckUs = 300'000'000;
/// Of each queue and walk; a statx is 3 us when the inode is in memory.
constexpr int64_t kAskedPerWalk = 1'500;
/// Before a queue's length is known, and where it grows faster than walks come.
constexpr int64_t kAskedPerWalkMax = 2 * kAskedPerWalk;
/// Holds the envelope of nearly every message.
constexpr size_t kHeadBytes = 4096;
constexpr mode_t kHalfWritten = S_IRUSR | S_IWUSR;
constexpr mode_t kReady = S_IRUSR | S_IWUSR | S_IXUSR;

int64_t NowUs(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1'000;
}

Moment Now() noexcept { return {NowUs(CLOCK_REALTIME) * 1'000, NowUs(CLOCK_BOOTTIME) * 1'000}; }

}  // namespace

/// One walk through all directories.
class QueueWalk::Pass {
 public:
  Pass(QueueWalk& walk, QueueLevel level, double budgetMs, uint32_t samplesMax) noexcept
      : walk_(walk),
        level_(level),
        samplesMax_(samplesMax),
        beginUs_(NowUs(CLOCK_MONOTONIC)),
        endUs_(beginUs_ + static_cast<int64_t>(budgetMs * 1e3)),
        wallUs_(NowUs(CLOCK_REALTIME)) {}

  std::optional<SysError> Queue(int spool, size_t queue);
  void Corrupt(int spool);
  bool complete() const noexcept { return complete_; }
  const std::array<int64_t, kQueues.size()>& counts() const noexcept { return counts_; }
  QueueValues Values();

 private:
  std::optional<SysError> Directory(int parent, const char* name, int depth);
  std::optional<SysError> List(int directory, const struct stat& facts, int depth, uint32_t& hashed);
  void Repeat(int directory, const Listings::Entries& entries, int depth, uint32_t& hashed);
  void Entry(int directory, unsigned char type, const char* text, int depth, uint32_t& hashed);
  void Flush(int directory);
  void Message(int directory, const char* name, const QueueId& id);
  bool Stat(int directory, const char* name, bool isAsked, size_t slice, int64_t& arrivalUs);
  void Sample(int directory, const char* name, double ageMs);
  std::string Recipient(int directory, const char* name);
  void PutFacts(double* out) const noexcept;
  void PutSchedule(double* out) const noexcept;
  bool asks() const noexcept { return level_ == QueueLevel::rotate || level_ == QueueLevel::stat; }
  bool Spent() noexcept {
    if (complete_ && NowUs(CLOCK_MONOTONIC) > endUs_) complete_ = false;
    return !complete_;
  }
  bool aged() const noexcept { return queue_ >= kAgedFirst && queue_ <= kAgedLast; }

  QueueWalk& walk_;
  const QueueLevel level_;
  const uint32_t samplesMax_;
  const int64_t beginUs_;
  const int64_t endUs_;
  const int64_t wallUs_;
  size_t queue_ = 0;
  std::array<int64_t, kQueues.size()> counts_{};
  int64_t unaged_ = 0;
  int64_t foreign_ = 0;
  int64_t stuck_ = 0;
  int64_t directoryBytes_ = 0;
  int64_t directoryBytesMax_ = 0;
  int64_t buckets_ = 0;
  int64_t bucketMax_ = 0;
  int64_t kept_ = 0;  // directories whose names were known
  struct Named {
    const char* name;
    QueueId id;
  };
  std::array<Named, 16> coming_;  // messages that are about to be counted
  size_t comingCount_ = 0;
  int64_t askedHere_ = 0;  // of the queue that is walked now
  int64_t sampleEvery_ = 1;
  uint32_t sampledHere_ = 0;
  bool isSample_ = false;  // the message that is counted now
  bool isWhole_ = false;
  AgeHistogram ages_;
  RetrySchedule schedule_;
  std::vector<QueueSample> samples_;
  uint32_t opened_ = 0;
  uint32_t statCalls_ = 0;
  double corrupt_ = std::numeric_limits<double>::quiet_NaN();
  double corruptBytes_ = std::numeric_limits<double>::quiet_NaN();
  bool complete_ = true;
};

std::optional<SysError> QueueWalk::Pass::Queue(int spool, size_t queue) {
  queue_ = queue;
  const int64_t expected = walk_.counted_[queue];
  const int64_t perWalk = level_ == QueueLevel::rotate ? kAskedPerWalk : std::numeric_limits<int64_t>::max();
  if (asks()) walk_.rotations_[queue].Begin(expected, perWalk);
  askedHere_ = 0;
  sampledHere_ = 0;
  const int64_t asked = std::min(expected, kAskedPerWalk);
  sampleEvery_ = samplesMax_ == 0 ? 1 : std::max<int64_t>((asked + samplesMax_ - 1) / samplesMax_, 1);
  return Directory(spool, kQueues[queue], 0);
}

/// What Postfix could make nothing of and put aside: nobody tries it again. Not known where the directory cannot be read to its end.
void QueueWalk::Pass::Corrupt(int spool) {
  const UniqueFd directory(::openat(spool, "corrupt", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  int64_t files = 0;
  int64_t bytes = 0;
  while (directory && !Spent()) {
    const ssize_t length = ::getdents64(directory.get(), walk_.entries_.data(), walk_.entries_.size());
    if (length < 0) return;
    if (length == 0) {
      corrupt_ = static_cast<double>(files);
      if (files <= kAskedPerWalk) corruptBytes_ = static_cast<double>(bytes);
      return;
    }
    for (ssize_t at = 0; at < length;) {
      const auto* entry = reinterpret_cast<const dirent64*>(walk_.entries_.data() + at);
      at += entry->d_reclen;
      if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN) continue;
      struct statx facts {};
      if (++files > kAskedPerWalk || ::statx(directory.get(), entry->d_name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &facts) != 0) continue;
      if (S_ISREG(facts.stx_mode)) bytes += static_cast<int64_t>(facts.stx_size);
      else files--;
    }
  }
}

std::optional<SysError> QueueWalk::Pass::Directory(int parent, const char* name, int depth) {
  const UniqueFd directory(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) {
    // A hash directory may go while we walk; one of the five may not.
    if (depth > 0 && errno == ENOENT) return std::nullopt;
    return SysError{errno, "openat", walk_.spool_ + '/' + kQueues[queue_] + (depth > 0 ? std::string("/") + name : std::string())};
  }
  struct stat facts {};
  if (::fstat(directory.get(), &facts) != 0) return SysError{errno, "fstat", walk_.spool_ + '/' + kQueues[queue_]};
  directoryBytes_ += facts.st_size;
  directoryBytesMax_ = std::max<int64_t>(directoryBytesMax_, facts.st_size);
  uint32_t hashed = 0;
  const int64_t countedBefore = counts_[queue_];
  if (const auto* known = walk_.listings_.Find(facts)) Repeat(directory.get(), *known, depth, hashed);
  else if (auto error = List(directory.get(), facts, depth, hashed)) return error;
  if (queue_ == kDeferred && depth > 0) {
    buckets_++;
    bucketMax_ = std::max(bucketMax_, counts_[queue_] - countedBefore);
  }
  // Only now, since a deeper directory uses the same buffer.
  for (size_t i = 0; i < kHashNames.size() && complete_; i++) {
    if ((hashed & (1u << i)) == 0) continue;
    const char deeper[] = {kHashNames[i], '\0'};
    if (auto error = Directory(directory.get(), deeper, depth + 1)) return error;
  }
  return std::nullopt;
}

std::optional<SysError> QueueWalk::Pass::List(int directory, const struct stat& facts, int depth, uint32_t& hashed) {
  std::vector<char>& buffer = walk_.entries_;
  auto kept = walk_.listings_.Room(facts, directory, queue_ == kDeferred || queue_ == kHold);
  while (!Spent()) {
    const ssize_t length = ::getdents64(directory, buffer.data(), buffer.size());
    if (length < 0) return SysError{errno, "getdents64", walk_.spool_ + '/' + kQueues[queue_]};
    if (length == 0) {
      if (kept) walk_.listings_.Keep(facts, std::move(*kept));
      break;
    }
    for (ssize_t at = 0; at < length && complete_;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      const std::string_view name(entry->d_name);
      if (name == "." || name == "..") continue;
      if (kept && !walk_.listings_.Note(*kept, entry->d_type, name)) kept.reset();
      Entry(directory, entry->d_type, entry->d_name, depth, hashed);
    }
    Flush(directory);
  }
  return std::nullopt;
}

void QueueWalk::Pass::Repeat(int directory, const Listings::Entries& entries, int depth, uint32_t& hashed) {
  kept_++;
  for (size_t at = 0; at < entries.size() && complete_;) {
    const auto type = static_cast<unsigned char>(entries[at]);
    const char* name = &entries[at + 1];
    at += 2 + std::string_view(name).size();
    Entry(directory, type, name, depth, hashed);
  }
  Flush(directory);
}

void QueueWalk::Pass::Entry(int directory, unsigned char type, const char* text, int depth, uint32_t& hashed) {
  const std::string_view name(text);
  const bool mayBeDirectory = type == DT_DIR || type == DT_UNKNOWN;
  if (mayBeDirectory && name.size() == 1 && depth < kHashDepthMax) {
    const size_t at = kHashNames.find(name[0]);
    if (at != std::string_view::npos) {
      hashed |= 1u << at;
      return;
    }
  }
  const bool mayBeFile = type == DT_REG || type == DT_UNKNOWN;
  const QueueId id = mayBeFile ? ParseQueueId(name) : QueueId{QueueId::Form::foreign, 0, 0};
  if (id.form == QueueId::Form::foreign) {
    foreign_++;
    return;
  }
  if (id.form == QueueId::Form::shortForm && aged()) walk_.arrivals_.Expect(id.shortKey);
  coming_[comingCount_++] = {text, id};
  if (comingCount_ == coming_.size()) Flush(directory);
}

void QueueWalk::Pass::Flush(int directory) {
  for (size_t i = 0; i < comingCount_ && complete_; i++) Message(directory, coming_[i].name, coming_[i].id);
  comingCount_ = 0;
}

void QueueWalk::Pass::Message(int directory, const char* name, const QueueId& id) {
  const bool isShort = id.form == QueueId::Form::shortForm;
  int64_t arrivalUs = isShort ? kUnknown : id.arrivalUs;
  Arrivals::Slot* known = isShort && aged() ? walk_.arrivals_.Find(id.shortKey) : nullptr;
  if (known != nullptr) arrivalUs = static_cast<int64_t>(known->us);
  const size_t slice = asks() ? QueueRotation::SliceOf(isShort ? id.shortKey : static_cast<uint64_t>(id.arrivalUs)) : 0;
  const bool isAsked = asks() && walk_.rotations_[queue_].Wants(slice) && (level_ == QueueLevel::stat || askedHere_ < kAskedPerWalkMax);
  const bool isAged = level_ != QueueLevel::names && aged() && arrivalUs == kUnknown;
  isSample_ = false;
  if ((isAsked || isAged) && !Stat(directory, name, isAsked, slice, arrivalUs)) return;
  counts_[queue_]++;
  if (!aged()) return;
  if (isShort && arrivalUs != kUnknown) {
    if (known != nullptr) Arrivals::Mark(*known, walk_.walk_);
    else walk_.arrivals_.Add(id.shortKey, arrivalUs, walk_.walk_);
  }
  const int64_t ageUs = wallUs_ - arrivalUs;
  const bool hasAge = arrivalUs != kUnknown && ageUs >= -kAheadUsMax;
  if (isSample_) Sample(directory, name, hasAge ? static_cast<double>(std::max<int64_t>(ageUs, 0)) / 1e3 : std::numeric_limits<double>::quiet_NaN());
  if (!hasAge) {
    unaged_++;
    return;
  }
  ages_.Add(std::max<int64_t>(ageUs, 0));
  if (queue_ == kIncoming && ageUs > kStuckUs) stuck_++;
}

/// False when the message need not be counted: it has gone meanwhile, or the budget is spent.
bool QueueWalk::Pass::Stat(int directory, const char* name, bool isAsked, size_t slice, int64_t& arrivalUs) {
  if (++statCalls_ % kStatsPerClockRead == 0 && Spent()) return false;
  struct statx facts {};
  constexpr unsigned wanted = STATX_TYPE | STATX_MODE | STATX_SIZE | STATX_MTIME | STATX_BTIME;
  if (::statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, wanted, &facts) != 0) return errno != ENOENT;
  if (arrivalUs == kUnknown && (facts.stx_mask & STATX_BTIME) != 0) {
    arrivalUs = facts.stx_btime.tv_sec * 1'000'000 + facts.stx_btime.tv_nsec / 1'000;
  }
  if (!isAsked) return true;
  askedHere_++;
  const mode_t mode = facts.stx_mode & 0777;
  QueueFacts one{1, static_cast<int64_t>(facts.stx_size), mode == kHalfWritten, (mode & S_IXGRP) != 0, (mode & S_IRGRP) != 0};
  walk_.rotations_[queue_].Add(slice, one);
  if (queue_ == kDeferred) {
    // Saturates far beyond any clock: 2^63 us are 292,000 years.
    const int64_t seconds = std::clamp<int64_t>(facts.stx_mtime.tv_sec, -4'000'000'000'000, 4'000'000'000'000);
    schedule_.Add(seconds * 1'000'000 + facts.stx_mtime.tv_nsec / 1'000 - wallUs_);
  }
  isWhole_ = S_ISREG(facts.stx_mode) && (mode & kReady) == kReady;
  isSample_ = aged() && sampledHere_ < samplesMax_ && (askedHere_ + walk_.walk_) % sampleEvery_ == 0;
  return true;
}

/// Opening may take long on a sick disk.
void QueueWalk::Pass::Sample(int directory, const char* name, double ageMs) {
  if (Spent()) return;
  sampledHere_++;
  const bool isOpened = isWhole_ && queue_ != kIncoming;
  samples_.push_back({kQueues[queue_], ageMs, isWhole_, isOpened ? Recipient(directory, name) : std::string()});
}

/// Nobody's lock is taken: Postfix may change or remove the file meanwhile, and then it tells nothing.
std::string QueueWalk::Pass::Recipient(int directory, const char* name) {
  const UniqueFd file(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!file) return {};
  std::array<char, kHeadBytes> head;
  const ssize_t length = ::pread(file.get(), head.data(), head.size(), 0);
  if (length <= 0) return {};
  opened_++;
  return FirstRecipient({head.data(), static_cast<size_t>(length)});
}

/// "asked" and what follows it, and the bytes of each queue.
void QueueWalk::Pass::PutFacts(double* out) const noexcept {
  QueueFacts all;
  for (size_t queue = 0; queue < kQueues.size(); queue++) all.Add(walk_.rotations_[queue].Sum());
  const std::array values = {all.messages, all.halfWritten, all.forceExpire, all.unthrottle};
  std::copy(values.begin(), values.end(), out);
}

/// "scheduled" and what follows it.
void QueueWalk::Pass::PutSchedule(double* out) const noexcept {
  const RetrySchedule& s = schedule_;
  const std::array values = {s.messages(), s.due(), s.Between(0, 1), s.Between(1, 5), s.Between(5, 15), s.Between(15, 60), s.Between(60, RetrySchedule::kMinutes) + s.later()};
  out = std::copy(values.begin(), values.end(), out);
  const size_t minute = s.HerdMinute();
  const int64_t herd = s.Between(minute, minute + RetrySchedule::kHerdMinutes);
  *out++ = static_cast<double>(herd);
  if (herd > 0) *out = static_cast<double>(minute) * 60e3;
}

QueueValues QueueWalk::Pass::Values() {
  QueueValues values;
  values.samples = std::move(samples_);
  auto& out = values.numbers;
  out.fill(std::numeric_limits<double>::quiet_NaN());
  for (size_t queue = 0; queue < kQueues.size(); queue++) {
    const auto count = static_cast<double>(counts_[queue]);
    out[queue] = count;
    if (!asks()) continue;
    const QueueFacts facts = walk_.rotations_[queue].Sum();
    const auto bytes = static_cast<double>(facts.bytes);
    if (facts.messages == counts_[queue]) out[kQueues.size() + queue] = bytes;
    else if (facts.messages > 0) out[kQueues.size() + queue] = bytes / static_cast<double>(facts.messages) * count;
  }
  size_t at = 2 * kQueues.size();
  out[at++] = static_cast<double>(ages_.count());
  out[at++] = static_cast<double>(unaged_);
  out[at++] = static_cast<double>(foreign_);
  for (const double share : {0.5, 0.95, 1.0}) {
    if (ages_.count() > 0) out[at] = ages_.RankMs(share);
    at++;
  }
  out[at++] = static_cast<double>(statCalls_);
  out[at++] = static_cast<double>(NowUs(CLOCK_MONOTONIC) - beginUs_) / 1e3;
  out[at++] = complete_ ? 1 : 0;
  for (const int64_t value : {stuck_, directoryBytes_, directoryBytesMax_, buckets_, bucketMax_, kept_}) out[at++] = static_cast<double>(value);
  const Listings& listings = walk_.listings_;
  for (const int64_t value : {listings.followed(), listings.heard(), int64_t{listings.hasLost()}, listings.wrong()}) out[at++] = static_cast<double>(value);
  out[at++] = listings.refusal() == 0 ? std::numeric_limits<double>::quiet_NaN() : listings.refusal();
  out[at++] = corrupt_;
  out[at++] = corruptBytes_;
  if (!asks()) return values;
  PutFacts(&out[at]);
  PutSchedule(&out[at + 4]);
  out[kQueueFields.size() - 1] = opened_;
  return values;
}

Result<QueueValues> QueueWalk::Run(QueueLevel level, double budgetMs, uint32_t samplesMax) noexcept {
  entries_.resize(kEntryBytes);
  if (arrivals_.size() > kArrivalsMax) arrivals_.Clear();
  walk_++;
  Pass pass(*this, level, budgetMs, samplesMax);
  const UniqueFd spool(::open(spool_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!spool) return SysError{errno, "open", spool_};
  listings_.Begin(spool.get(), Now(), entries_);
  for (size_t queue = 0; queue < kQueues.size(); queue++) {
    if (auto error = pass.Queue(spool.get(), queue)) return std::move(*error);
  }
  pass.Corrupt(spool.get());
  counted_ = pass.counts();
  // A walk that ended early has not seen everything, so what it has not seen may still be there.
  if (pass.complete()) {
    arrivals_.KeepSeenBy(walk_);
    listings_.End();
  }
  return pass.Values();
}

}  // namespace mailherd
