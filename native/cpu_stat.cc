#include "cpu_stat.h"

#include "scan.h"

namespace mailherd {

namespace {
constexpr size_t kTickFields = 8;
constexpr int kRunDelayColumn = 8;

bool IsOneCpu(std::string_view key) noexcept { return key.size() > 3 && key.starts_with("cpu") && ToCounter(key.substr(3)) >= 0; }
}  // namespace

void ParseCpuStat(std::string_view text, std::span<int64_t> out) noexcept {
  std::string_view line, key, word;
  int64_t cpus = 0;
  while (NextLine(text, line)) {
    // The interrupt line alone can be as long as all the others together.
    if (line.starts_with("intr ") || line.starts_with("softirq ")) continue;
    if (!NextWord(line, key)) continue;
    if (key == "cpu") {
      for (size_t i = 0; i < kTickFields && NextWord(line, word); i++) out[i] = ToCounter(word);
    } else if (IsOneCpu(key)) {
      cpus++;
    } else if (NextWord(line, word)) {
      if (key == "ctxt") out[9] = ToCounter(word);
      if (key == "processes") out[10] = ToCounter(word);
      if (key == "procs_running") out[11] = ToCounter(word);
      if (key == "procs_blocked") out[12] = ToCounter(word);
    }
  }
  if (cpus > 0) out[8] = cpus;
}

void ParseSchedStat(std::string_view text, std::span<int64_t> out) noexcept {
  std::string_view line, key, word;
  int64_t sum = kAbsent;
  while (NextLine(text, line)) {
    if (!NextWord(line, key) || !IsOneCpu(key)) continue;
    int column = 0;
    while (column < kRunDelayColumn && NextWord(line, word)) column++;
    if (column < kRunDelayColumn) return;
    sum = sum == kAbsent ? ToCounter(word) : Plus(sum, ToCounter(word));
    if (sum == kAbsent) return;
  }
  out[0] = sum;
}

}  // namespace mailherd
