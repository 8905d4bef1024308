#include "queue_file.h"

#include <algorithm>
#include <cstddef>

namespace mailherd {

namespace {

constexpr size_t kLocalBytesMax = 256;
constexpr size_t kDomainBytesMax = 253;
constexpr unsigned kLengthShiftMax = 28;
constexpr std::string_view kDomainCharacters = "0123456789abcdefghijklmnopqrstuvwxyz.-_";

/// Cuts the length of a record off `rest`. False when it is not whole or not sane.
bool NextLength(std::string_view& rest, size_t& length) noexcept {
  length = 0;
  for (unsigned shift = 0; shift <= kLengthShiftMax; shift += 7) {
    if (rest.empty()) return false;
    const auto digit = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    length |= static_cast<size_t>(digit & 0x7f) << shift;
    if ((digit & 0x80) == 0) return true;
  }
  return false;
}

/// The address, if what stands behind its last '@' can be a name at all.
std::string Lower(std::string_view given) {
  const size_t at = given.rfind('@');
  if (at == std::string_view::npos || at > kLocalBytesMax) return {};
  std::string address(given);
  for (char& c : address) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const std::string_view domain = std::string_view(address).substr(at + 1);
  const bool isName = !domain.empty() && domain.size() <= kDomainBytesMax && domain.find_first_not_of(kDomainCharacters) == std::string_view::npos;
  return isName ? address : std::string();
}

}  // namespace

std::string FirstRecipient(std::string_view head) {
  bool isFirst = true;
  while (!head.empty()) {
    const char type = head.front();
    // Every queue file begins with a record of sizes ('C') or of the time ('T').
    if (isFirst && type != 'C' && type != 'T') return {};
    isFirst = false;
    head.remove_prefix(1);
    size_t length = 0;
    if (!NextLength(head, length) || type == 'M') return {};
    if (length > head.size()) return {};
    if (type == 'R') return Lower(head.substr(0, length));
    head.remove_prefix(length);
  }
  return {};
}

}  // namespace mailherd
