#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace mailherd {

/// Four figures at once. Exact integers, so that the width of the machine's registers changes no result.
typedef double Lanes __attribute__((vector_size(32)));
typedef long long LaneMask __attribute__((vector_size(32)));
inline constexpr int kLanes = 4;

/// The figures of one machine, each `blocks` long: use, safety capacity, occupied (with what moves away), capacity.
struct Row {
  Lanes* use;
  const Lanes* safety;
  Lanes* occupied;
  const Lanes* capacity;
};

struct RowCosts {
  int blocks;
  const Lanes* weight;
  const Lanes* lackWeight;  // of what goes beyond capacity; nothing may while `hard`
  bool hard;
};

inline constexpr double kNoRoom = 1e300;

/// Load cost of a machine after `in` came; kNoRoom when it lacks capacity. `inMask` leaves out what is occupied already.
double CostEntering(const RowCosts& costs, const Row& row, const Lanes* in, const LaneMask* inMask) noexcept;
/// Load cost of a machine after `out` left.
double CostLeaving(const RowCosts& costs, const Row& row, const Lanes* out, const LaneMask* outMask) noexcept;
/// Load cost of a machine after both; kNoRoom when it lacks capacity.
double CostExchanging(const RowCosts& costs, const Row& row, const Lanes* in, const LaneMask* inMask, const Lanes* out, const LaneMask* outMask) noexcept;

/// Zeroed memory for lanes.
class LaneArray {
 public:
  LaneArray() = default;
  explicit LaneArray(size_t count);
  Lanes* At(size_t index) const noexcept { return data_.get() + index; }

 private:
  struct Free {
    void operator()(Lanes* data) const noexcept { std::free(data); }
  };
  std::unique_ptr<Lanes, Free> data_;
};

}  // namespace mailherd
