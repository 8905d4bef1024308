#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace mailherd {

/// Values per pressure file: some and full, each the ten second average in hundredths of a percent and the total in us.
inline constexpr size_t kPressureFieldCount = 4;

/// Source: Documentation/accounting/psi.rst.
void ParsePressure(std::string_view text, std::span<int64_t> out) noexcept;

}  // namespace mailherd
