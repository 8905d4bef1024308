#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace mailherd {

/// Summed over CPUs since boot: packets taken in, dropped because the backlog was full, and rounds that ended with work left.
/// Source: net/core/net-procfs.c, columns 1 to 3 of /proc/net/softnet_stat, hexadecimal.
inline constexpr std::array kSoftnetFields = {"softnetPackets", "softnetDrops", "softnetSqueezes"};
void ParseSoftnet(std::string_view text, std::span<int64_t> out) noexcept;

}  // namespace mailherd
