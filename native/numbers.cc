#include "numbers.h"

#include "scan.h"

namespace mailherd {

void ParseNumbers(std::string_view text, std::span<int64_t> out) noexcept {
  std::string_view line, word;
  if (!NextLine(text, line)) return;
  for (int64_t& value : out) {
    if (!NextWord(line, word)) return;
    value = ToCounter(word);
    // What is not a number tells that this is another kind of file.
    if (value == kAbsent) return;
  }
}

int64_t ParseLimit(std::string_view text) noexcept {
  std::string_view line, word;
  if (!NextLine(text, line) || !NextWord(line, word)) return kAbsent;
  return word == "max" ? kNoLimit : ToCounter(word);
}

}  // namespace mailherd
