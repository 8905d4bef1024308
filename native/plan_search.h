#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "plan_model.h"

namespace mailherd {

struct PlanLimits {
  double ms = 0;        // wall time; 0 = none
  double steps = 0;     // tried moves a thread; 0 = none
  int threads = 1;
  uint64_t seed = 1;
  double enough = 0;    // stop at this cost
  double heat = 1;      // of the usual first heat; little for a start that is good already
};

struct PlanFound {
  std::vector<int32_t> assignment;
  double cost = 0;
  double steps = 0;
};

/// Makes an assignment cheaper for as long as the limits allow, and not at all without any. Never returns a dearer one than it was given. With `steps` and
/// without `ms` the same seed gives the same result.
PlanFound SearchPlan(const PlanModel& model, const int32_t* start, const PlanLimits& limits);

}  // namespace mailherd
