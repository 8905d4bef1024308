#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "../result.h"

namespace mailherd {

/// What a value of the knob looks like.
enum class KnobKind {
  kNumber,
  /// Two numbers, "32768 60999": may only become wider.
  kPortRange,
  /// A file in bytes and its twin in percent; the kernel zeroes one when the other is written, so they are one object. "10%" is the
  /// value while the percentage is in force; only bytes may be set.
  kBytesOrPercent,
};

/// One line of the allow-list. Nothing that is not in it can be written, whoever asks.
struct KnobRule {
  std::string_view name;  // ends in "/" when a disk's name follows
  std::string_view path;  // "*" stands for the disk
  std::string_view twin_path;
  KnobKind kind;
  int64_t min;
  int64_t max;
  int64_t step;  // the kernel rounds to it; a value that it would change could not be told from somebody else's
  bool raise_only;
};

std::span<const KnobRule> KnobRules() noexcept;

/// One kernel value that may be changed.
struct Knob {
  const KnobRule* rule;
  std::string name;
  std::string path;
  std::string twin_path;  // "" when it has none
};

/// The knob of that name; nothing when the allow-list has none. `root` prefixes all paths.
std::optional<Knob> FindKnob(std::string_view name, const std::string& root);

/// The present value, blanks normalised.
Result<std::string> ReadKnob(const Knob& knob);
/// Writes a value that was read or judged fit before. Null when the kernel took it.
std::optional<SysError> WriteKnob(const Knob& knob, std::string_view value);

/// Why `value` may not replace `current`; null when it may.
const char* Unfit(const Knob& knob, std::string_view current, std::string_view value) noexcept;

}  // namespace mailherd
