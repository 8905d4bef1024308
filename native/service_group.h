#pragma once

#include <array>

#include "key_values.h"

namespace mailherd {

/// How often the group met a limit since it was made. Source: Documentation/admin-guide/cgroup-v2.rst.
inline constexpr std::array kMemoryEventFields = {
    KeyField{"high", "memoryHighEvents", 1},
    KeyField{"max", "memoryMaxEvents", 1},
    KeyField{"oom_kill", "memoryOomKills", 1},
};
inline constexpr std::array kPidsEventFields = {KeyField{"max", "tasksMaxEvents", 1}};
inline constexpr std::array kGroupUsageFields = {KeyField{"usage_usec", "groupCpuUs", 1}};
inline constexpr std::array kGroupCpuFields = {
    KeyField{"usage_usec", "cpuUs", 1},
    KeyField{"nr_throttled", "cpuThrottles", 1},
    KeyField{"throttled_usec", "cpuThrottledUs", 1},
};

}  // namespace mailherd
