#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace mailherd {

/// Of one disk, since boot, sectors of 512 bytes. The flush columns are of whole disks only and came with Linux 5.5.
/// Source: Documentation/admin-guide/iostats.rst, fields 1 to 17.
inline constexpr std::array kDiskFields = {
    "diskReads",    "diskReadsMerged", "diskSectorsRead", "diskReadMs", "diskWrites",       "diskWritesMerged",
    "diskSectorsWritten", "diskWriteMs", "diskInFlight",  "diskBusyMs", "diskWeightedBusyMs", "diskDiscards",
    "diskDiscardsMerged", "diskSectorsDiscarded", "diskDiscardMs", "diskFlushes", "diskFlushMs",
};

/// Fills `out` from the line of `disk`; leaves it untouched when there is none.
void ParseDiskStats(std::string_view text, std::string_view disk, std::span<int64_t> out) noexcept;

}  // namespace mailherd
