#include "xfs_stat.h"

#include "scan.h"

namespace mailherd {

namespace {

/// Number `column` (from 0) of the rest of a line.
int64_t Column(std::string_view line, int column) noexcept {
  std::string_view word;
  for (int i = 0; i <= column; i++) {
    if (!NextWord(line, word)) return kAbsent;
  }
  return ToCounter(word);
}

}  // namespace

void ParseXfsStat(std::string_view text, std::span<int64_t> out) noexcept {
  std::string_view line, key;
  while (NextLine(text, line)) {
    if (!NextWord(line, key)) continue;
    if (key == "log") {
      out[0] = Column(line, 0);
      out[1] = Column(line, 2);
      out[2] = Column(line, 3);
      out[3] = Column(line, 4);
    }
    if (key == "push_ail") out[4] = Column(line, 1);
  }
}

}  // namespace mailherd
