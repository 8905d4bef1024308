#pragma once

#include <napi.h>

namespace mailherd {

/// searchPlan(model, start, limits) -> Promise<{assignment, cost, steps}>; searchPlanNow returns the same value itself.
Napi::Value SearchPlanCall(const Napi::CallbackInfo& info);
Napi::Value SearchPlanNowCall(const Napi::CallbackInfo& info);

}  // namespace mailherd
