#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace mailherd {

/// Counts of ages by size in a fixed space, known to within 3 %: 32 buckets of equal width in each octave.
class AgeHistogram {
 public:
  /// @param us microseconds, >= 0.
  void Add(int64_t us) noexcept {
    const auto value = static_cast<uint64_t>(us);
    buckets_[BucketOf(value)]++;
    count_++;
    max_ = std::max(max_, value);
  }
  int64_t count() const noexcept { return count_; }
  /// Nearest rank, the middle of its bucket but never more than the largest age; there must be one. @param share 0..1
  double RankMs(double share) const noexcept {
    const auto rank = std::max<int64_t>(static_cast<int64_t>(std::ceil(share * static_cast<double>(count_))), 1);
    int64_t seen = 0;
    size_t bucket = 0;
    for (; bucket + 1 < buckets_.size(); bucket++) {
      seen += buckets_[bucket];
      if (seen >= rank) break;
    }
    const double middle = rank == count_ ? static_cast<double>(max_) : (From(bucket) + From(bucket + 1)) / 2;
    return std::min(middle, static_cast<double>(max_)) / 1e3;
  }

 private:
  static constexpr unsigned kBits = 5;
  static constexpr uint64_t kParts = 1u << kBits;
  static size_t BucketOf(uint64_t value) noexcept {
    if (value < kParts) return static_cast<size_t>(value);
    const auto octave = static_cast<unsigned>(std::bit_width(value)) - 1 - kBits;
    return static_cast<size_t>((octave + 1) * kParts + ((value >> octave) & (kParts - 1)));
  }
  static double From(size_t bucket) noexcept {
    if (bucket < kParts) return static_cast<double>(bucket);
    const double part = static_cast<double>(kParts + bucket % kParts);
    return std::ldexp(part, static_cast<int>(bucket / kParts) - 1);
  }

  std::array<uint32_t, (64 - kBits + 1) * kParts> buckets_{};
  int64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace mailherd
