#include "conntrack.h"

#include "scan.h"

namespace mailherd {

namespace {
constexpr std::array<std::string_view, kConntrackFields.size()> kColumns = {"entries", "drop", "early_drop", "insert_failed"};
}  // namespace

void ParseConntrack(std::string_view text, std::span<int64_t> out) noexcept {
  std::string_view heading, line;
  if (!NextLine(text, heading)) return;
  for (bool isFirst = true; NextLine(text, line); isFirst = false) {
    std::string_view names = heading, name, word;
    while (NextWord(names, name) && NextWord(line, word)) {
      for (size_t i = 0; i < kColumns.size(); i++) {
        if (name != kColumns[i]) continue;
        const int64_t value = ToHexCounter(word);
        // Every CPU's line repeats the number of entries in all.
        if (isFirst) out[i] = value;
        else if (i > 0) out[i] = Plus(out[i], value);
      }
    }
  }
}

}  // namespace mailherd
