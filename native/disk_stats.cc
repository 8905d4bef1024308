#include "disk_stats.h"

#include "scan.h"

namespace mailherd {

void ParseDiskStats(std::string_view text, std::string_view disk, std::span<int64_t> out) noexcept {
  std::string_view line, major, minor, name, word;
  while (NextLine(text, line)) {
    if (!NextWord(line, major) || !NextWord(line, minor) || !NextWord(line, name) || name != disk) continue;
    for (size_t i = 0; i < kDiskFields.size() && NextWord(line, word); i++) out[i] = ToCounter(word);
    return;
  }
}

}  // namespace mailherd
