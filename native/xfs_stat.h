#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace mailherd {

/// Of one XFS since its mount: log writes, writers that found no log buffer, forced log writes (fsync), those that slept for it,
/// and transactions that slept until the log had room again.
/// Source: fs/xfs/xfs_stats.c, lines "log" and "push_ail" of /sys/fs/xfs/<device>/stats/stats.
inline constexpr std::array kXfsFields = {"xfsLogWrites", "xfsLogBufferWaits", "xfsLogForces", "xfsLogForceSleeps", "xfsLogSpaceSleeps"};
void ParseXfsStat(std::string_view text, std::span<int64_t> out) noexcept;

}  // namespace mailherd
