#include "host_sampler.h"

#include <algorithm>
#include <cerrno>
#include <span>

#include "cpu_stat.h"
#include "disk_stats.h"
#include "key_values.h"
#include "memory.h"
#include "net_stats.h"
#include "pressure.h"
#include "scan.h"

namespace mailherd {

namespace {

using Names = std::vector<std::string>;

/// One file: which, what its values are called, and how they are found in its text.
struct Source {
  const char* path;
  Names names;
  void (*parse)(std::string_view text, const std::string& disk, std::span<int64_t> out);
};

template <size_t N>
Names NamesOf(const std::array<KeyField, N>& fields) {
  Names names;
  for (const KeyField& field : fields) names.emplace_back(field.field);
  return names;
}

template <size_t N>
Names NamesOf(const std::array<const char*, N>& fields) {
  return {fields.begin(), fields.end()};
}

Names PressureNames(const std::string& prefix) {
  return {prefix + "SomeHundredths", prefix + "SomeUs", prefix + "FullHundredths", prefix + "FullUs"};
}

const std::vector<Source>& Sources() {
  using Text = std::string_view;
  using Disk = const std::string&;
  using Out = std::span<int64_t>;
  static const std::vector<Source> sources = {
      {"/proc/stat", NamesOf(kCpuStatFields), [](Text text, Disk, Out out) { ParseCpuStat(text, out); }},
      {"/proc/schedstat", NamesOf(kSchedStatFields), [](Text text, Disk, Out out) { ParseSchedStat(text, out); }},
      {"/proc/meminfo", NamesOf(kMeminfoFields), [](Text text, Disk, Out out) { ParseKeyValues(text, kMeminfoFields, out); }},
      {"/proc/vmstat", NamesOf(kVmstatFields), [](Text text, Disk, Out out) { ParseKeyValues(text, kVmstatFields, out); }},
      {"/proc/pressure/cpu", PressureNames("psiCpu"), [](Text text, Disk, Out out) { ParsePressure(text, out); }},
      {"/proc/pressure/memory", PressureNames("psiMemory"), [](Text text, Disk, Out out) { ParsePressure(text, out); }},
      {"/proc/pressure/io", PressureNames("psiIo"), [](Text text, Disk, Out out) { ParsePressure(text, out); }},
      {"/proc/diskstats", NamesOf(kDiskFields), [](Text text, Disk disk, Out out) { ParseDiskStats(text, disk, out); }},
      {"/proc/net/snmp", NamesOf(kSnmpFields), [](Text text, Disk, Out out) { ParseHeadedValues(text, kSnmpFields, out); }},
      {"/proc/net/netstat", NamesOf(kNetstatFields), [](Text text, Disk, Out out) { ParseHeadedValues(text, kNetstatFields, out); }},
  };
  return sources;
}

}  // namespace

const std::vector<std::string>& HostFields() {
  static const Names fields = [] {
    Names all;
    for (const Source& source : Sources()) all.insert(all.end(), source.names.begin(), source.names.end());
    return all;
  }();
  return fields;
}

HostSampler::HostSampler(const std::string& root) {
  for (const Source& source : Sources()) files_.emplace_back(root + source.path);
}

HostSample HostSampler::Run(const std::string& disk) noexcept {
  HostSample sample;
  sample.values.assign(HostFields().size(), kAbsent);
  std::span<int64_t> rest(sample.values);
  for (size_t i = 0; i < files_.size(); i++) {
    const Source& source = Sources()[i];
    const std::span<int64_t> out = rest.first(source.names.size());
    rest = rest.subspan(source.names.size());
    auto text = files_[i].Read(buffer_);
    if (auto* error = std::get_if<SysError>(&text)) {
      sample.errors.push_back(std::move(*error));
      continue;
    }
    source.parse(std::get<std::string_view>(text), disk, out);
    const bool nothing = std::all_of(out.begin(), out.end(), [](int64_t value) { return value == kAbsent; });
    if (nothing && !(disk.empty() && source.path == std::string_view("/proc/diskstats"))) sample.errors.push_back(SysError{EBADMSG, "parse", files_[i].path()});
  }
  return sample;
}

}  // namespace mailherd
