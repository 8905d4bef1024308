#pragma once

#include <array>

#include "key_values.h"

namespace mailherd {

/// Source: proc_meminfo(5); the kernel's "kB" are KiB.
inline constexpr std::array kMeminfoFields = {
    KeyField{"MemTotal", "memoryTotalBytes", 1024},         KeyField{"MemFree", "memoryFreeBytes", 1024},
    KeyField{"MemAvailable", "memoryAvailableBytes", 1024}, KeyField{"Cached", "memoryCachedBytes", 1024},
    KeyField{"SwapTotal", "swapTotalBytes", 1024},          KeyField{"SwapFree", "swapFreeBytes", 1024},
    KeyField{"Dirty", "dirtyBytes", 1024},                  KeyField{"Writeback", "writebackBytes", 1024},
    KeyField{"SReclaimable", "slabReclaimableBytes", 1024}, KeyField{"SUnreclaim", "slabUnreclaimableBytes", 1024},
};

/// Source: proc_vmstat(5). A task that had to free memory itself shows in allocstall (older kernels: one counter, newer: one a zone).
inline constexpr std::array kVmstatFields = {
    KeyField{"allocstall*", "allocStalls", 1},
    KeyField{"pgscan_direct", "pagesScannedDirect", 1},
    KeyField{"pgsteal_direct", "pagesReclaimedDirect", 1},
    KeyField{"pgmajfault", "majorFaults", 1},
    KeyField{"pswpin", "pagesSwappedIn", 1},
    KeyField{"pswpout", "pagesSwappedOut", 1},
    KeyField{"oom_kill", "oomKills", 1},
    KeyField{"compact_stall", "compactStalls", 1},
    KeyField{"workingset_refault_file", "fileRefaults", 1},
    KeyField{"workingset_refault_anon", "anonRefaults", 1},
    KeyField{"pgscan_kswapd", "pagesScannedBackground", 1},
    KeyField{"nr_dirty", "dirtyPages", 1},
    KeyField{"nr_dirty_threshold", "dirtyPagesMax", 1},
    KeyField{"nr_dirty_background_threshold", "dirtyPagesBackground", 1},
};

}  // namespace mailherd
