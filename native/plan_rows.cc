#include "plan_rows.h"

#include <cstring>

namespace mailherd {

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MAILHERD_WIDE __attribute__((target_clones("avx2,fma", "default")))
#else
#define MAILHERD_WIDE
#endif

namespace {
constexpr Lanes kZero = {0, 0, 0, 0};
}

MAILHERD_WIDE double CostEntering(const RowCosts& costs, const Row& row, const Lanes* in, const LaneMask* inMask) noexcept {
  Lanes sum = kZero, lacks = kZero;
  for (int i = 0; i < costs.blocks; i++) {
    const Lanes over = row.use[i] + in[i] - row.safety[i];
    sum += costs.weight[i] * (over > kZero ? over : kZero);
    const Lanes more = (Lanes)((LaneMask)in[i] & inMask[i]);
    const Lanes lack = row.occupied[i] + more - row.capacity[i];
    if (costs.hard) lacks = ((lack > kZero) & (more > kZero)) != 0 ? lack : lacks;
    sum += costs.lackWeight[i] * (lack > kZero ? lack : kZero);
  }
  if (lacks[0] > 0 || lacks[1] > 0 || lacks[2] > 0 || lacks[3] > 0) return kNoRoom;
  return sum[0] + sum[1] + sum[2] + sum[3];
}

MAILHERD_WIDE double CostLeaving(const RowCosts& costs, const Row& row, const Lanes* out, const LaneMask* outMask) noexcept {
  Lanes sum = kZero;
  for (int i = 0; i < costs.blocks; i++) {
    const Lanes over = row.use[i] - out[i] - row.safety[i];
    sum += costs.weight[i] * (over > kZero ? over : kZero);
    const Lanes lack = row.occupied[i] - (Lanes)((LaneMask)out[i] & outMask[i]) - row.capacity[i];
    sum += costs.lackWeight[i] * (lack > kZero ? lack : kZero);
  }
  return sum[0] + sum[1] + sum[2] + sum[3];
}

MAILHERD_WIDE double CostExchanging(const RowCosts& costs, const Row& row, const Lanes* in, const LaneMask* inMask, const Lanes* out, const LaneMask* outMask) noexcept {
  Lanes sum = kZero, lacks = kZero;
  for (int i = 0; i < costs.blocks; i++) {
    const Lanes over = row.use[i] + in[i] - out[i] - row.safety[i];
    sum += costs.weight[i] * (over > kZero ? over : kZero);
    const Lanes more = (Lanes)((LaneMask)in[i] & inMask[i]) - (Lanes)((LaneMask)out[i] & outMask[i]);
    const Lanes lack = row.occupied[i] + more - row.capacity[i];
    if (costs.hard) lacks = ((lack > kZero) & (more > kZero)) != 0 ? lack : lacks;
    sum += costs.lackWeight[i] * (lack > kZero ? lack : kZero);
  }
  if (lacks[0] > 0 || lacks[1] > 0 || lacks[2] > 0 || lacks[3] > 0) return kNoRoom;
  return sum[0] + sum[1] + sum[2] + sum[3];
}

LaneArray::LaneArray(size_t count) {
  const size_t bytes = (count == 0 ? 1 : count) * sizeof(Lanes);
  void* data = std::aligned_alloc(sizeof(Lanes), bytes);
  if (data == nullptr) std::abort();
  std::memset(data, 0, bytes);
  data_.reset(static_cast<Lanes*>(data));
}

}  // namespace mailherd
