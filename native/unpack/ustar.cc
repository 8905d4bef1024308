#include "ustar.h"

#include <algorithm>
#include <cstring>

namespace mailherd {

namespace {

/// The field up to its first zero byte.
std::string Text(const Block& header, size_t at, size_t length) {
  const char* field = header.data() + at;
  return std::string(field, ::strnlen(field, length));
}

/// Digits, filled up with zeros, that end in a zero byte or a blank. @return false for anything else.
bool Octal(const Block& header, size_t at, size_t length, uint64_t& value) {
  value = 0;
  for (size_t place = at; place < at + length - 1; place++) {
    const char digit = header[place];
    if (digit < '0' || digit > '7') return false;
    value = 8 * value + static_cast<uint64_t>(digit - '0');
  }
  const char end = header[at + length - 1];
  return end == '\0' || end == ' ';
}

constexpr size_t kSumAt = 148;
constexpr size_t kSumBytes = 8;

/// All bytes of the header, those of the sum itself counted as blanks. Six digits, a zero byte and a blank.
bool HasItsSum(const Block& header) {
  uint64_t told = 0;
  if (!Octal(header, kSumAt, kSumBytes - 1, told)) return false;
  uint64_t sum = kSumBytes * ' ';
  for (size_t at = 0; at < kBlockBytes; at++)
    if (at < kSumAt || at >= kSumAt + kSumBytes) sum += static_cast<uint8_t>(header[at]);
  return sum == told;
}

}  // namespace

bool IsZero(const Block& header) noexcept {
  return std::all_of(header.begin(), header.end(), [](char byte) { return byte == '\0'; });
}

const char* ReadHeader(const Block& header, Member& member) {
  if (std::memcmp(header.data() + 257, "ustar\0", 6) != 0) return "magic";
  const char type = header[156];
  if (type != '0' && type != '5') return "a member of another type";
  if (!HasItsSum(header)) return "checksum";
  uint64_t mode = 0;
  uint64_t seconds = 0;
  member.isDirectory = type == '5';
  if (!Octal(header, 100, 8, mode)) return "mode";
  if (!Octal(header, 124, 12, member.bytes) || (member.isDirectory && member.bytes > 0)) return "size";
  if (!Octal(header, 136, 12, seconds)) return "time";
  member.mode = static_cast<uint32_t>(mode & 0777);
  member.seconds = static_cast<int64_t>(seconds);
  member.name = Text(header, 0, 100);
  const std::string prefix = Text(header, 345, 155);
  if (!prefix.empty()) member.name = prefix + "/" + member.name;
  return nullptr;
}

}  // namespace mailherd
