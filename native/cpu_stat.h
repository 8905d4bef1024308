#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace mailherd {

/// Ticks are USER_HZ, 100 a second on every Debian architecture. Source: proc_stat(5).
inline constexpr std::array kCpuStatFields = {
    "cpuUserTicks", "cpuNiceTicks",    "cpuSystemTicks", "cpuIdleTicks", "cpuIowaitTicks", "cpuIrqTicks",
    "cpuSoftirqTicks", "cpuStealTicks", "cpus",          "contextSwitches", "forks",        "tasksRunning",
    "tasksBlocked",
};
void ParseCpuStat(std::string_view text, std::span<int64_t> out) noexcept;

/// Time that runnable tasks waited for a CPU, summed over CPUs since boot: 8th number of each cpu line.
/// Source: Documentation/scheduler/sched-stats.rst, versions 15 to 17.
inline constexpr std::array kSchedStatFields = {"runQueueWaitNs"};
void ParseSchedStat(std::string_view text, std::span<int64_t> out) noexcept;

}  // namespace mailherd
