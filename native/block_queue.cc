#include "block_queue.h"

#include "scan.h"

namespace mailherd {

int64_t ParseScheduler(std::string_view text) noexcept {
  std::string_view line, word;
  if (!NextLine(text, line)) return kAbsent;
  // A queue without a choice shows its only one without brackets.
  if (line == "none") return 0;
  while (NextWord(line, word)) {
    if (word.size() < 3 || word.front() != '[' || word.back() != ']') continue;
    for (size_t i = 0; i < kSchedulers.size(); i++) {
      if (word.substr(1, word.size() - 2) == kSchedulers[i]) return static_cast<int64_t>(i);
    }
  }
  return kAbsent;
}

int64_t ParseWriteCache(std::string_view text) noexcept {
  if (text.starts_with("write back")) return 1;
  if (text.starts_with("write through")) return 0;
  return kAbsent;
}

}  // namespace mailherd
