#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace mailherd {

/// When the messages of the deferred queue are tried again, by the minute. The time of modification of a file there is the time of its
/// next attempt (qmgr_active.c of Postfix sets it).
class RetrySchedule {
 public:
  static constexpr size_t kMinutes = 128;  // beyond the longest back-off by default, 4000 s
  /// qmgr looks through the deferred queue each 300 s by default (queue_run_delay): what comes due in between is tried at once.
  static constexpr size_t kHerdMinutes = 5;

  /// @param aheadUs time until the attempt; negative: it is due.
  void Add(int64_t aheadUs) noexcept {
    messages_++;
    if (aheadUs <= 0) {
      due_++;
      return;
    }
    const auto minute = static_cast<uint64_t>(aheadUs) / 60'000'000u;
    if (minute >= kMinutes) later_++;
    else minutes_[minute]++;
  }
  int64_t messages() const noexcept { return messages_; }
  int64_t due() const noexcept { return due_; }
  int64_t later() const noexcept { return later_; }
  /// Attempts from minute `from` up to, and not with, minute `to`.
  int64_t Between(size_t from, size_t to) const noexcept {
    int64_t sum = 0;
    for (size_t i = from; i < std::min(to, kMinutes); i++) sum += minutes_[i];
    return sum;
  }
  /// The fullest kHerdMinutes in a row. @return where it begins, in minutes from now.
  size_t HerdMinute() const noexcept {
    size_t best = 0;
    for (size_t i = 1; i + kHerdMinutes <= kMinutes; i++) {
      if (Between(i, i + kHerdMinutes) > Between(best, best + kHerdMinutes)) best = i;
    }
    return best;
  }

 private:
  std::array<int64_t, kMinutes> minutes_{};
  int64_t messages_ = 0;
  int64_t due_ = 0;
  int64_t later_ = 0;
};

}  // namespace mailherd
