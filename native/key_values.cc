#include "key_values.h"

#include <algorithm>

#include "scan.h"

namespace mailherd {

namespace {

int64_t Scaled(int64_t value, int64_t scale) noexcept {
  int64_t product = 0;
  return value < 0 || __builtin_mul_overflow(value, scale, &product) ? kAbsent : product;
}

/// Tells most keys that nobody asks for from those that somebody does, without comparing texts.
class Wanted {
 public:
  explicit Wanted(std::span<const KeyField> fields) noexcept {
    for (const KeyField& field : fields) {
      if (field.key.back() == '*') beginnings_ |= Bit(field.key.front());
      else ends_ |= End(field.key.size(), field.key.back());
    }
  }
  bool Has(std::string_view key) const noexcept { return (ends_ & End(key.size(), key.back())) != 0 || (beginnings_ & Bit(key.front())) != 0; }
  /// Of a key that has `size` bytes more in front.
  bool HasEnd(size_t size, std::string_view key) const noexcept { return (ends_ & End(size + key.size(), key.back())) != 0; }

 private:
  static uint64_t Bit(size_t number) noexcept { return uint64_t{1} << (number % 64); }
  static uint64_t End(size_t size, char last) noexcept { return Bit(size * 7 + static_cast<unsigned char>(last)); }

  uint64_t ends_ = 0;
  uint64_t beginnings_ = 0;
};

bool IsKeyOf(const KeyField& field, std::string_view key) noexcept {
  const std::string_view wanted = field.key;
  return wanted.back() == '*' ? key.starts_with(wanted.substr(0, wanted.size() - 1)) : key == wanted;
}

void Put(std::string_view key, std::string_view word, std::span<const KeyField> fields, std::span<int64_t> out) noexcept {
  for (size_t i = 0; i < fields.size(); i++) {
    if (!IsKeyOf(fields[i], key)) continue;
    const int64_t value = Scaled(ToCounter(word), fields[i].scale);
    const bool isSum = fields[i].key.back() == '*';
    out[i] = isSum && out[i] != kAbsent ? Plus(out[i], value) : value;
    if (!isSum) return;
  }
}

}  // namespace

void ParseKeyValues(std::string_view text, std::span<const KeyField> fields, std::span<int64_t> out) noexcept {
  const Wanted wanted(fields);
  std::string_view line, key, word;
  while (NextLine(text, line)) {
    if (!NextWord(line, key)) continue;
    if (key.size() > 1 && key.ends_with(':')) key.remove_suffix(1);
    if (wanted.Has(key) && NextWord(line, word)) Put(key, word, fields, out);
  }
}

size_t ExtentOfKeyValues(std::string_view text, std::span<const KeyField> fields) noexcept {
  std::string_view rest = text, line, key;
  size_t extent = 0;
  while (NextLine(rest, line)) {
    if (!NextWord(line, key)) continue;
    if (key.size() > 1 && key.ends_with(':')) key.remove_suffix(1);
    if (std::any_of(fields.begin(), fields.end(), [&](const KeyField& field) { return IsKeyOf(field, key); })) extent = text.size() - rest.size();
  }
  return extent;
}

void ParseHeadedValues(std::string_view text, std::span<const KeyField> fields, std::span<int64_t> out) noexcept {
  const Wanted wanted(fields);
  std::string_view names, values, group, same, name, word;
  while (NextLine(text, names) && NextLine(text, values)) {
    if (!NextWord(names, group) || !NextWord(values, same) || group != same) return;
    if (std::none_of(fields.begin(), fields.end(), [&](const KeyField& field) { return field.key.starts_with(group); })) continue;
    while (NextWord(names, name) && NextWord(values, word)) {
      if (!wanted.HasEnd(group.size(), name)) continue;
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
