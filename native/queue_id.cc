#include "queue_id.h"

#include <array>
#include <charconv>

namespace mailherd {

namespace {

constexpr std::string_view kSafeDigits = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
constexpr size_t kSecondDigitsMin = 6;
constexpr size_t kSecondDigitsMax = 8;  // 52^8 s: more than a million years
constexpr size_t kMicroDigits = 4;
constexpr size_t kLongDigitsMax = kSecondDigitsMax + kMicroDigits + 1 + 12;  // an inode has 12 digits of base 51
constexpr size_t kShortDigitsMin = 6;
constexpr size_t kShortDigitsMax = 16;
constexpr int64_t kMicrosPerSecond = 1'000'000;

constexpr std::array<int8_t, 256> kSafeValue = [] {
  std::array<int8_t, 256> table{};
  table.fill(-1);
  for (size_t i = 0; i < kSafeDigits.size(); i++) table[static_cast<unsigned char>(kSafeDigits[i])] = static_cast<int8_t>(i);
  return table;
}();

bool AreSafe(std::string_view digits) noexcept {
  int all = 0;
  for (const char c : digits) all |= kSafeValue[static_cast<unsigned char>(c)];
  return all >= 0;
}

/// The value of digits that are all safe.
int64_t FromSafe(std::string_view digits) noexcept {
  int64_t value = 0;
  for (const char c : digits) value = value * 52 + kSafeValue[static_cast<unsigned char>(c)];
  return value;
}

}  // namespace

QueueId ParseQueueId(std::string_view name) noexcept {
  constexpr QueueId foreign{QueueId::Form::foreign, 0, 0};
  const size_t separator = name.rfind('z');
  if (separator != std::string_view::npos) {
    if (separator < kSecondDigitsMin + kMicroDigits || separator > kSecondDigitsMax + kMicroDigits) return foreign;
    if (separator + 1 == name.size() || name.size() > kLongDigitsMax || !AreSafe(name)) return foreign;
    const int64_t seconds = FromSafe(name.substr(0, separator - kMicroDigits));
    const int64_t micros = FromSafe(name.substr(separator - kMicroDigits, kMicroDigits));
    if (micros >= kMicrosPerSecond || seconds > INT64_MAX / kMicrosPerSecond - 1) return foreign;
    return {QueueId::Form::longForm, seconds * kMicrosPerSecond + micros, 0};
  }
  if (name.size() < kShortDigitsMin || name.size() > kShortDigitsMax) return foreign;
  uint64_t key = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, key, 16);
  if (error != std::errc{} || stop != end) return foreign;
  return {QueueId::Form::shortForm, 0, key};
}

}  // namespace mailherd
