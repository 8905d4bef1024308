#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace mailherd {

/// One field taken from a file of "name value" lines.
struct KeyField {
  std::string_view key;    // as the kernel writes it; ending in '*': the sum of all that begin so
  const char* field;       // its name on our side
  int64_t scale;           // our unit = the kernel's * scale
};

/// Fills `out[i]` for `fields[i]` from lines such as "MemFree:  123 kB" or "pgfault 7". What is not there stays untouched.
/// Source: proc_meminfo(5), proc_vmstat(5).
void ParseKeyValues(std::string_view text, std::span<const KeyField> fields, std::span<int64_t> out) noexcept;

/// Bytes of the text up to the end of the last line that tells any of the fields.
size_t ExtentOfKeyValues(std::string_view text, std::span<const KeyField> fields) noexcept;

/// The same as `ParseKeyValues` from pairs of lines, "Tcp: NameA NameB" above "Tcp: 1 2"; keys are written "Tcp:NameA".
/// Source: proc(5), /proc/net/snmp and /proc/net/netstat.
void ParseHeadedValues(std::string_view text, std::span<const KeyField> fields, std::span<int64_t> out) noexcept;

}  // namespace mailherd
