#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mailherd {

/// When each message arrived, and which walk saw it last: 16 bytes a message in one block of memory, which goes back to the system when
/// it is outgrown. Open addressing; what is dropped leaves no gap behind.
class Arrivals {
 public:
  struct Slot {
    uint64_t key;
    uint64_t us : 52;  // since 1970, until 2112; 0 = the slot is free
    uint64_t walk : 12;
  };

  size_t size() const noexcept { return size_; }

  /// What `Find` of it will look at is on its way from memory, where a long queue's slots lie scattered.
  void Expect(uint64_t key) const noexcept {
    if (!slots_.empty()) __builtin_prefetch(&slots_[HomeOf(key)]);
  }

  /// Good until something is added or dropped; null when nothing is known of it.
  Slot* Find(uint64_t key) noexcept {
    if (slots_.empty()) return nullptr;
    Slot& slot = slots_[IndexOf(key)];
    return slot.us == 0 ? nullptr : &slot;
  }

  /// Of one that is not known yet. @param us clamped to 1 .. 2^52 - 1.
  void Add(uint64_t key, int64_t us, uint64_t walk) {
    if (slots_.size() - slots_.size() / 8 <= size_) Resize(std::max(2 * slots_.size(), kSlotsMin));
    slots_[IndexOf(key)] = {key, static_cast<uint64_t>(std::clamp<int64_t>(us, 1, kUsMax)), walk & kWalkMask};
    size_++;
  }

  static void Mark(Slot& slot, uint64_t walk) noexcept { slot.walk = walk & kWalkMask; }

  /// Drops all that this walk has not seen.
  void KeepSeenBy(uint64_t walk) {
    // What moves into a slot came from behind it, or was looked at already: each is looked at.
    for (size_t at = 0; at < slots_.size();) {
      if (slots_[at].us != 0 && slots_[at].walk != (walk & kWalkMask)) Drop(at);
      else at++;
    }
    if (slots_.size() > kSlotsMin && size_ < slots_.size() / 8) Resize(slots_.size() / 4);
  }

  void Clear() noexcept {
    slots_ = {};
    size_ = 0;
  }

 private:
  static constexpr size_t kSlotsMin = 1024;  // a power of two, as all sizes are
  static constexpr int64_t kUsMax = (int64_t{1} << 52) - 1;
  static constexpr uint64_t kWalkMask = (1u << 12) - 1;

  size_t HomeOf(uint64_t key) const noexcept { return static_cast<size_t>((key * 0x9E3779B97F4A7C15u) >> 32) & (slots_.size() - 1); }
  size_t Next(size_t at) const noexcept { return (at + 1) & (slots_.size() - 1); }

  /// Where it is or would be; there always is a free slot.
  size_t IndexOf(uint64_t key) const noexcept {
    size_t at = HomeOf(key);
    while (slots_[at].us != 0 && slots_[at].key != key) at = Next(at);
    return at;
  }

  /// Closes the gap: whoever stands behind it and was pushed on from there or from before it moves up.
  void Drop(size_t gap) noexcept {
    for (size_t at = Next(gap); slots_[at].us != 0; at = Next(at)) {
      const size_t pushed = (at - HomeOf(slots_[at].key)) & (slots_.size() - 1);
      if (pushed < ((at - gap) & (slots_.size() - 1))) continue;
      slots_[gap] = slots_[at];
      gap = at;
    }
    slots_[gap] = {};
    size_--;
  }

  void Resize(size_t slots) {
    std::vector<Slot> old(slots);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.us != 0) slots_[IndexOf(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace mailherd
