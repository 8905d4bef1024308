#include "key_values.h"

#include "scan.h"

namespace mailherd {

namespace {

int64_t Scaled(int64_t value, int64_t scale) noexcept {
  int64_t product = 0;
  return value < 0 || __builtin_mul_overflow(value, scale, &product) ? kAbsent : product;
}

void Put(std::string_view key, std::string_view word, std::span<const KeyField> fields, std::span<int64_t> out) noexcept {
  for (size_t i = 0; i < fields.size(); i++) {
    const std::string_view wanted = fields[i].key;
    if (wanted.back() == '*') {
      if (!key.starts_with(wanted.substr(0, wanted.size() - 1))) continue;
      const int64_t value = Scaled(ToCounter(word), fields[i].scale);
      out[i] = out[i] == kAbsent ? value : Plus(out[i], value);
    } else if (key == wanted) {
      out[i] = Scaled(ToCounter(word), fields[i].scale);
      return;
    }
  }
}

}  // namespace

void ParseKeyValues(std::string_view text, std::span<const KeyField> fields, std::span<int64_t> out) noexcept {
  std::string_view line, key, word;
  while (NextLine(text, line)) {
    if (!NextWord(line, key) || !NextWord(line, word)) continue;
    if (key.ends_with(':')) key.remove_suffix(1);
    Put(key, word, fields, out);
  }
}

void ParseHeadedValues(std::string_view text, std::span<const KeyField> fields, std::span<int64_t> out) noexcept {
  std::string_view names, values, group, same, name, word;
  while (NextLine(text, names) && NextLine(text, values)) {
    if (!NextWord(names, group) || !NextWord(values, same) || group != same) return;
    while (NextWord(names, name) && NextWord(values, word)) {
      for (size_t i = 0; i < fields.size(); i++) {
        const std::string_view key = fields[i].key;
        if (key.size() == group.size() + name.size() && key.starts_with(group) && key.ends_with(name)) {
          out[i] = Scaled(ToCounter(word), fields[i].scale);
          break;
        }
      }
    }
  }
}

}  // namespace mailherd
