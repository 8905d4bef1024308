#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace mailherd {

/// The first words of a file as numbers, one a field: "3328 0 2468106", "32768 60999", "17".
void ParseNumbers(std::string_view text, std::span<int64_t> out) noexcept;

/// The first word as a limit: a number, or "max" as kNoLimit.
int64_t ParseLimit(std::string_view text) noexcept;

}  // namespace mailherd
