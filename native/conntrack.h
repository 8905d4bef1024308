#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace mailherd {

/// Connections tracked now, and since boot, summed over CPUs: dropped, dropped early to make room, not inserted.
/// Source: net/netfilter/nf_conntrack_standalone.c, /proc/net/stat/nf_conntrack: names in the first line, hexadecimal.
inline constexpr std::array kConntrackFields = {"conntrackEntries", "conntrackDrops", "conntrackEarlyDrops", "conntrackInsertsFailed"};
void ParseConntrack(std::string_view text, std::span<int64_t> out) noexcept;

}  // namespace mailherd
