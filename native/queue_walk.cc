#include "queue_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include "queue_id.h"
#include "unique_fd.h"

namespace mailherd {

namespace {

constexpr std::array kQueues = {"maildrop", "incoming", "active", "deferred", "hold"};
constexpr size_t kAgedFirst = 1;  // incoming, active and deferred are what a user waits for
constexpr size_t kAgedLast = 3;
constexpr size_t kEntryBytes = 256 * 1024;
constexpr std::string_view kHashNames = "0123456789ABCDEF";
constexpr int kHashDepthMax = 4;
constexpr uint32_t kStatsPerClockRead = 32;
constexpr size_t kArrivalsMax = 1'000'000;
constexpr int64_t kUnknown = -1;
/// Messages that came while the walk ran are a little younger than its start; anything further ahead is a clock that jumped.
constexpr int64_t kAheadUsMax = 2'000'000;

int64_t NowUs(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1'000;
}

/// Nearest rank; `ages` must hold something and is reordered.
double RankMs(std::vector<int64_t>& ages, double share) noexcept {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(ages.size())));
  const auto at = ages.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(ages.begin(), at, ages.end());
  return static_cast<double>(*at) / 1e3;
}

}  // namespace

/// One walk through all directories.
class QueueWalk::Pass {
 public:
  Pass(QueueWalk& walk, QueueLevel level, double budgetMs) noexcept
      : walk_(walk), level_(level), beginUs_(NowUs(CLOCK_MONOTONIC)), endUs_(beginUs_ + static_cast<int64_t>(budgetMs * 1e3)), wallUs_(NowUs(CLOCK_REALTIME)) {}

  std::optional<SysError> Queue(int spool, size_t queue) {
    queue_ = queue;
    return Directory(spool, kQueues[queue], 0);
  }
  bool complete() const noexcept { return complete_; }
  QueueValues Values() const noexcept;

 private:
  std::optional<SysError> Directory(int parent, const char* name, int depth);
  void Entry(int directory, const dirent64& entry, int depth, uint32_t& hashed);
  void Message(int directory, const char* name, const QueueId& id);
  bool Stat(int directory, const char* name, int64_t& arrivalUs);
  bool Spent() noexcept {
    if (complete_ && NowUs(CLOCK_MONOTONIC) > endUs_) complete_ = false;
    return !complete_;
  }
  bool aged() const noexcept { return queue_ >= kAgedFirst && queue_ <= kAgedLast; }

  QueueWalk& walk_;
  const QueueLevel level_;
  const int64_t beginUs_;
  const int64_t endUs_;
  const int64_t wallUs_;
  size_t queue_ = 0;
  std::array<int64_t, kQueues.size()> counts_{};
  std::array<int64_t, kQueues.size()> bytes_{};
  int64_t unaged_ = 0;
  int64_t foreign_ = 0;
  uint32_t statCalls_ = 0;
  bool complete_ = true;
};

std::optional<SysError> QueueWalk::Pass::Directory(int parent, const char* name, int depth) {
  const UniqueFd directory(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) {
    // A hash directory may go while we walk; one of the five may not.
    if (depth > 0 && errno == ENOENT) return std::nullopt;
    return SysError{errno, "openat", walk_.spool_ + '/' + kQueues[queue_] + (depth > 0 ? std::string("/") + name : std::string())};
  }
  uint32_t hashed = 0;
  std::vector<char>& buffer = walk_.entries_;
  while (!Spent()) {
    const ssize_t length = ::getdents64(directory.get(), buffer.data(), buffer.size());
    if (length < 0) return SysError{errno, "getdents64", walk_.spool_ + '/' + kQueues[queue_]};
    if (length == 0) break;
    for (ssize_t at = 0; at < length && complete_;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      Entry(directory.get(), *entry, depth, hashed);
    }
  }
  // Only now, since a deeper directory uses the same buffer.
  for (size_t i = 0; i < kHashNames.size() && complete_; i++) {
    if ((hashed & (1u << i)) == 0) continue;
    const char deeper[] = {kHashNames[i], '\0'};
    if (auto error = Directory(directory.get(), deeper, depth + 1)) return error;
  }
  return std::nullopt;
}

void QueueWalk::Pass::Entry(int directory, const dirent64& entry, int depth, uint32_t& hashed) {
  const std::string_view name(entry.d_name);
  if (name == "." || name == "..") return;
  const bool mayBeDirectory = entry.d_type == DT_DIR || entry.d_type == DT_UNKNOWN;
  if (mayBeDirectory && name.size() == 1 && depth < kHashDepthMax) {
    const size_t at = kHashNames.find(name[0]);
    if (at != std::string_view::npos) {
      hashed |= 1u << at;
      return;
    }
  }
  const bool mayBeFile = entry.d_type == DT_REG || entry.d_type == DT_UNKNOWN;
  const QueueId id = mayBeFile ? ParseQueueId(name) : QueueId{QueueId::Form::foreign, 0, 0};
  if (id.form == QueueId::Form::foreign) foreign_++;
  else Message(directory, entry.d_name, id);
}

void QueueWalk::Pass::Message(int directory, const char* name, const QueueId& id) {
  const bool isShort = id.form == QueueId::Form::shortForm;
  int64_t arrivalUs = isShort ? kUnknown : id.arrivalUs;
  auto known = walk_.arrivals_.end();
  if (isShort && aged()) {
    known = walk_.arrivals_.find(id.shortKey);
    if (known != walk_.arrivals_.end()) arrivalUs = known->second.us;
  }
  const bool wanted = level_ == QueueLevel::stat || (level_ == QueueLevel::ages && aged() && arrivalUs == kUnknown);
  if (wanted && !Stat(directory, name, arrivalUs)) return;
  counts_[queue_]++;
  if (!aged()) return;
  if (isShort && arrivalUs != kUnknown) {
    if (known != walk_.arrivals_.end()) known->second.walk = walk_.walk_;
    else walk_.arrivals_.emplace(id.shortKey, Arrival{arrivalUs, walk_.walk_});
  }
  const int64_t ageUs = wallUs_ - arrivalUs;
  if (arrivalUs == kUnknown || ageUs < -kAheadUsMax) unaged_++;
  else walk_.agesUs_.push_back(std::max<int64_t>(ageUs, 0));
}

/// False when the message need not be counted: it has gone meanwhile, or the budget is spent.
bool QueueWalk::Pass::Stat(int directory, const char* name, int64_t& arrivalUs) {
  if (++statCalls_ % kStatsPerClockRead == 0 && Spent()) return false;
  struct statx facts {};
  if (::statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_SIZE | STATX_BTIME, &facts) != 0) return errno != ENOENT;
  bytes_[queue_] += static_cast<int64_t>(facts.stx_size);
  if (arrivalUs == kUnknown && (facts.stx_mask & STATX_BTIME) != 0) {
    arrivalUs = facts.stx_btime.tv_sec * 1'000'000 + facts.stx_btime.tv_nsec / 1'000;
  }
  return true;
}

QueueValues QueueWalk::Pass::Values() const noexcept {
  QueueValues out;
  out.fill(std::numeric_limits<double>::quiet_NaN());
  for (size_t queue = 0; queue < kQueues.size(); queue++) {
    out[queue] = static_cast<double>(counts_[queue]);
    if (level_ == QueueLevel::stat) out[kQueues.size() + queue] = static_cast<double>(bytes_[queue]);
  }
  size_t at = 2 * kQueues.size();
  out[at++] = static_cast<double>(walk_.agesUs_.size());
  out[at++] = static_cast<double>(unaged_);
  out[at++] = static_cast<double>(foreign_);
  for (const double share : {0.5, 0.95, 1.0}) {
    if (!walk_.agesUs_.empty()) out[at] = RankMs(walk_.agesUs_, share);
    at++;
  }
  out[at++] = static_cast<double>(statCalls_);
  out[at++] = static_cast<double>(NowUs(CLOCK_MONOTONIC) - beginUs_) / 1e3;
  out[at] = complete_ ? 1 : 0;
  return out;
}

Result<QueueValues> QueueWalk::Run(QueueLevel level, double budgetMs) noexcept {
  entries_.resize(kEntryBytes);
  agesUs_.clear();
  if (arrivals_.size() > kArrivalsMax) arrivals_.clear();
  walk_++;
  Pass pass(*this, level, budgetMs);
  const UniqueFd spool(::open(spool_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!spool) return SysError{errno, "open", spool_};
  for (size_t queue = 0; queue < kQueues.size(); queue++) {
    if (auto error = pass.Queue(spool.get(), queue)) return std::move(*error);
  }
  // A walk that ended early has not seen everything, so what it has not seen may still be there.
  if (pass.complete()) std::erase_if(arrivals_, [this](const auto& entry) { return entry.second.walk != walk_; });
  return pass.Values();
}

}  // namespace mailherd
