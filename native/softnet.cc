#include "softnet.h"

#include <algorithm>

#include "scan.h"

namespace mailherd {

void ParseSoftnet(std::string_view text, std::span<int64_t> out) noexcept {
  std::string_view line, word;
  for (bool isFirst = true; NextLine(text, line); isFirst = false) {
    for (int64_t& sum : out) {
      const int64_t value = NextWord(line, word) ? ToHexCounter(word) : kAbsent;
      if (value == kAbsent) {
        std::fill(out.begin(), out.end(), kAbsent);
        return;
      }
      sum = isFirst ? value : Plus(sum, value);
    }
  }
}

}  // namespace mailherd
