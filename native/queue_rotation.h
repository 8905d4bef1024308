#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mailherd {

/// What one statx tells of messages, summed up.
struct QueueFacts {
  int64_t messages = 0;
  int64_t bytes = 0;
  int64_t halfWritten = 0;  // mode 0600: cleanup still writes it, or died over it
  int64_t forceExpire = 0;  // the group may execute: to be returned at the next attempt (postsuper -e)
  int64_t unthrottle = 0;   // the group may read: its destination is tried again at once (postqueue -i, -f)

  void Add(const QueueFacts& other) noexcept {
    messages += other.messages;
    bytes += other.bytes;
    halfWritten += other.halfWritten;
    forceExpire += other.forceExpire;
    unthrottle += other.unthrottle;
  }
};

/// Divides the messages of one queue into slices by their names, and asks for a few slices each walk, so that a rotation knows all
/// of a long queue at a bounded price. A short queue is asked for as a whole each time.
class QueueRotation {
 public:
  static constexpr size_t kSlices = 256;

  /// Chooses the slices of this walk. @param expected messages in the queue, as the last walk counted; @param perWalk how many to ask
  /// for, about.
  void Begin(int64_t expected, int64_t perWalk) noexcept {
    first_ = (first_ + width_) % kSlices;
    const int64_t width = expected <= perWalk ? static_cast<int64_t>(kSlices) : perWalk * static_cast<int64_t>(kSlices) / expected;
    width_ = static_cast<size_t>(width < 1 ? 1 : width);
    for (size_t i = 0; i < width_; i++) slices_[(first_ + i) % kSlices] = {};
  }
  bool Wants(size_t slice) const noexcept { return (slice + kSlices - first_) % kSlices < width_; }
  void Add(size_t slice, const QueueFacts& facts) noexcept { slices_[slice].Add(facts); }
  /// Of all slices, each as it was when it was asked for last.
  QueueFacts Sum() const noexcept {
    QueueFacts sum;
    for (const QueueFacts& slice : slices_) sum.Add(slice);
    return sum;
  }
  /// @param key the same for the same message at any time.
  static size_t SliceOf(uint64_t key) noexcept { return static_cast<size_t>((key * 0x9E3779B97F4A7C15u) >> 56); }

 private:
  std::array<QueueFacts, kSlices> slices_{};
  size_t first_ = 0;
  size_t width_ = 0;
};

}  // namespace mailherd
