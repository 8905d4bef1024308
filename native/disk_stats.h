#pragma once

#include <array>

namespace mailherd {

/// Of one disk, since boot, sectors of 512 bytes: the numbers of /sys/block/<disk>/stat, which cost a tenth of /proc/diskstats where there are
/// many disks. The flush columns came with Linux 5.5. Source: Documentation/block/stat.rst.
inline constexpr std::array kDiskFields = {
    "diskReads",    "diskReadsMerged", "diskSectorsRead", "diskReadMs", "diskWrites",       "diskWritesMerged",
    "diskSectorsWritten", "diskWriteMs", "diskInFlight",  "diskBusyMs", "diskWeightedBusyMs", "diskDiscards",
    "diskDiscardsMerged", "diskSectorsDiscarded", "diskDiscardMs", "diskFlushes", "diskFlushMs",
};

}  // namespace mailherd
