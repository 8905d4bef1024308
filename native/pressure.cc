#include "pressure.h"

#include "scan.h"

namespace mailherd {

namespace {

/// "12.34" as 1234; anything else is absent.
int64_t ToHundredths(std::string_view word) noexcept {
  const size_t dot = word.find('.');
  if (dot == std::string_view::npos || word.size() != dot + 3) return kAbsent;
  const int64_t whole = ToCounter(word.substr(0, dot));
  const int64_t part = ToCounter(word.substr(dot + 1));
  return whole < 0 || whole > 100 || part < 0 ? kAbsent : whole * 100 + part;
}

}  // namespace

void ParsePressure(std::string_view text, std::span<int64_t> out) noexcept {
  std::string_view line, key, word;
  while (NextLine(text, line)) {
    if (!NextWord(line, key)) continue;
    const size_t offset = key == "some" ? 0 : key == "full" ? 2 : kPressureFieldCount;
    if (offset == kPressureFieldCount) continue;
    while (NextWord(line, word)) {
      if (word.starts_with("avg10=")) out[offset] = ToHundredths(word.substr(6));
      if (word.starts_with("total=")) out[offset + 1] = ToCounter(word.substr(6));
    }
  }
}

}  // namespace mailherd
