#include "journal.h"

#include "scan.h"

namespace mailherd {

void ParseJournal(std::string_view text, std::span<int64_t> out) noexcept {
  std::string_view line, word, next;
  if (NextLine(text, line) && NextWord(line, word) && NextWord(line, next) && next == "transactions") {
    out[0] = ToCounter(word);
    if (NextWord(line, word) && word.starts_with('(')) out[1] = ToCounter(word.substr(1));
  }
  while (NextLine(text, line)) {
    if (!line.ends_with("us average transaction commit time") || !NextWord(line, word)) continue;
    out[2] = ToCounter(word.substr(0, word.size() - 2));
  }
}

}  // namespace mailherd
