#include "queue_file.h"

#include <algorithm>
#include <cstddef>

namespace mailherd {

namespace {

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

/// What stands behind the last '@', if it can be a name at all.
std::string DomainOf(std::string_view address) {
  const size_t at = address.rfind('@');
  if (at == std::string_view::npos) return {};
  std::string domain(address.substr(at + 1, kDomainBytesMax + 1));
  for (char& c : domain) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const bool isName = !domain.empty() && domain.size() <= kDomainBytesMax && domain.find_first_not_of(kDomainCharacters) == std::string::npos;
  return isName ? domain : std::string();
}

}  // namespace

std::string FirstRecipientDomain(std::string_view head) {
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
    if (type == 'R') return DomainOf(head.substr(0, length));
    head.remove_prefix(length);
  }
  return {};
}

}  // namespace mailherd
