#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <string_view>

namespace mailherd {

/// Stands for "this kernel or file did not say". No counter of the kernel is negative.
inline constexpr int64_t kAbsent = -1;
/// Stands for "max": there is no limit.
inline constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

/// Cuts the first line (without its newline) off `rest`. False when nothing is left.
inline bool NextLine(std::string_view& rest, std::string_view& line) noexcept {
  if (rest.empty()) return false;
  const size_t end = rest.find('\n');
  line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return true;
}

/// Cuts the first word off `rest`; blanks and tabs separate words. False when nothing is left.
inline bool NextWord(std::string_view& rest, std::string_view& word) noexcept {
  // By hand: find_first_of of two characters costs more than the kernel's writing of the text.
  const auto isBlank = [](char c) noexcept { return c == ' ' || c == '\t'; };
  size_t begin = 0;
  while (begin < rest.size() && isBlank(rest[begin])) begin++;
  size_t end = begin;
  while (end < rest.size() && !isBlank(rest[end])) end++;
  word = rest.substr(begin, end - begin);
  rest.remove_prefix(end);
  return !word.empty();
}

/// A decimal counter, kAbsent unless the whole word is one that fits 63 bits.
inline int64_t ToCounter(std::string_view word) noexcept {
  uint64_t value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc{} || stop != end || word.empty()) return kAbsent;
  return value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ? kAbsent : static_cast<int64_t>(value);
}

/// The same in hexadecimal, as the networking tables of a line a CPU are written.
inline int64_t ToHexCounter(std::string_view word) noexcept {
  uint64_t value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value, 16);
  if (error != std::errc{} || stop != end || word.empty()) return kAbsent;
  return value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ? kAbsent : static_cast<int64_t>(value);
}

/// Adds two counters of which either may be absent or the sum may not fit: then the sum is absent too.
inline int64_t Plus(int64_t a, int64_t b) noexcept {
  int64_t sum = 0;
  return a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum) ? kAbsent : sum;
}

}  // namespace mailherd
