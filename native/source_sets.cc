#include "source_sets.h"

#include "block_queue.h"
#include "conntrack.h"
#include "cpu_stat.h"
#include "disk_stats.h"
#include "journal.h"
#include "key_values.h"
#include "memory.h"
#include "net_stats.h"
#include "numbers.h"
#include "pressure.h"
#include "service_group.h"
#include "softnet.h"
#include "xfs_stat.h"

namespace mailherd {

namespace {

using Text = std::string_view;
using Out = std::span<int64_t>;
using Names = std::vector<std::string>;

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

template <const auto& kFields>
void KeyValues(Text text, Out out) {
  ParseKeyValues(text, kFields, out);
}

template <const auto& kFields>
size_t ExtentOf(Text text) {
  return ExtentOfKeyValues(text, kFields);
}

template <const auto& kFields>
void HeadedValues(Text text, Out out) {
  ParseHeadedValues(text, kFields, out);
}

template <int64_t (*kParse)(Text) noexcept>
void One(Text text, Out out) {
  out[0] = kParse(text);
}

Source Pressure(const char* path, const std::string& name, bool isOfSubject) {
  return {path, {name + "SomeHundredths", name + "SomeUs", name + "FullHundredths", name + "FullUs"}, ParsePressure, isOfSubject};
}

/// Numbers of the whole machine.
Source Numbers(const char* path, Names names) { return {path, std::move(names), ParseNumbers, false}; }

/// One number about the subject.
Source Number(const char* path, const char* name) { return {path, {name}, ParseNumbers, true}; }

Source Limit(const char* path, const char* name) { return {path, {name}, One<ParseLimit>, true}; }

/// What is read in every interval: each costs a few microseconds.
std::vector<Source> Host() {
  return {
      {"/proc/stat", NamesOf(kCpuStatFields), ParseCpuStat, false},
      {"/proc/schedstat", NamesOf(kSchedStatFields), ParseSchedStat, false},
      {"/proc/meminfo", NamesOf(kMeminfoFields), KeyValues<kMeminfoFields>, false},
      Pressure("/proc/pressure/cpu", "psiCpu", false),
      Pressure("/proc/pressure/memory", "psiMemory", false),
      Pressure("/proc/pressure/io", "psiIo", false),
      {"/sys/block/{}/stat", NamesOf(kDiskFields), ParseNumbers, true},
      {"/proc/net/softnet_stat", NamesOf(kSoftnetFields), ParseSoftnet, false},
  };
}

/// As dear as all of the host's: the kernel sums each of four hundred counters over all CPUs.
std::vector<Source> Summed() {
  return {
      {"/proc/vmstat", NamesOf(kVmstatFields), KeyValues<kVmstatFields>, false, ExtentOf<kVmstatFields>},
      {"/proc/net/stat/nf_conntrack", NamesOf(kConntrackFields), ParseConntrack, false},
      {"/proc/net/snmp", NamesOf(kSnmpFields), HeadedValues<kSnmpFields>, false},
      {"/proc/net/netstat", NamesOf(kNetstatFields), HeadedValues<kNetstatFields>, false},
  };
}

/// The journal of one ext4, by its device's name.
std::vector<Source> Ext4() { return {{"/proc/fs/jbd2/{}-8/info", NamesOf(kJournalFields), ParseJournal, true}}; }

/// What one ext4 remembers of its errors and writes. Source: Documentation/ABI/testing/sysfs-fs-ext4.
std::vector<Source> Ext4Past() {
  return {
      Number("/sys/fs/ext4/{}/errors_count", "errors"),
      Number("/sys/fs/ext4/{}/first_error_time", "firstErrorAtSeconds"),
      Number("/sys/fs/ext4/{}/last_error_time", "lastErrorAtSeconds"),
      Number("/sys/fs/ext4/{}/lifetime_write_kbytes", "lifetimeWrittenKibibytes"),
  };
}

/// Of one control group of the unified hierarchy, by its path. Source: Documentation/admin-guide/cgroup-v2.rst.
std::vector<Source> Group() {
  return {
      Pressure("/sys/fs/cgroup/{}/cpu.pressure", "psiCpu", true),
      Pressure("/sys/fs/cgroup/{}/memory.pressure", "psiMemory", true),
      Pressure("/sys/fs/cgroup/{}/io.pressure", "psiIo", true),
      Number("/sys/fs/cgroup/{}/memory.current", "memoryBytes"),
      Limit("/sys/fs/cgroup/{}/memory.max", "memoryBytesMax"),
      Limit("/sys/fs/cgroup/{}/memory.high", "memoryBytesHigh"),
      {"/sys/fs/cgroup/{}/memory.events", NamesOf(kMemoryEventFields), KeyValues<kMemoryEventFields>, true},
      Number("/sys/fs/cgroup/{}/pids.current", "tasks"),
      Limit("/sys/fs/cgroup/{}/pids.max", "tasksMax"),
      {"/sys/fs/cgroup/{}/pids.events", NamesOf(kPidsEventFields), KeyValues<kPidsEventFields>, true},
      {"/sys/fs/cgroup/{}/cpu.stat", NamesOf(kGroupCpuFields), KeyValues<kGroupCpuFields>, true},
  };
}

/// What a group's processes, also those that ended, have cost.
std::vector<Source> GroupCpu() { return {{"/sys/fs/cgroup/{}/cpu.stat", NamesOf(kGroupUsageFields), KeyValues<kGroupUsageFields>, true}}; }

/// Limits of the machine and what is used of them.
/// Source: Documentation/admin-guide/sysctl/{fs,kernel}.rst, Documentation/networking/{ip-sysctl,nf_conntrack-sysctl}.rst.
std::vector<Source> Limits() {
  return {
      Numbers("/proc/sys/fs/file-nr", {"openFiles", "openFilesFree", "openFilesMax"}),
      Numbers("/proc/sys/kernel/hung_task_detect_count", {"hungTasks"}),
      Numbers("/proc/sys/net/netfilter/nf_conntrack_max", {"conntrackMax"}),
      Numbers("/proc/sys/net/netfilter/nf_conntrack_buckets", {"conntrackBuckets"}),
      Numbers("/proc/sys/net/ipv4/ip_local_port_range", {"portFirst", "portLast"}),
      Numbers("/proc/sys/fs/inotify/max_user_instances", {"inotifyInstancesMax"}),
      Numbers("/proc/sys/fs/inotify/max_user_watches", {"inotifyWatchesMax"}),
      Numbers("/proc/sys/net/core/somaxconn", {"somaxconn"}),
  };
}

/// How the kernel queues for one disk. Source: Documentation/ABI/stable/sysfs-block.
std::vector<Source> BlockQueue() {
  return {
      {"/sys/block/{}/queue/scheduler", {"scheduler"}, One<ParseScheduler>, true},
      Number("/sys/block/{}/queue/nr_requests", "requestsMax"),
      Number("/sys/block/{}/queue/read_ahead_kb", "readAheadKibibytes"),
      Number("/sys/block/{}/queue/wbt_lat_usec", "writebackLatencyUs"),
      {"/sys/block/{}/queue/write_cache", {"writeCache"}, One<ParseWriteCache>, true},
      Number("/sys/block/{}/queue/rotational", "rotational"),
  };
}

}  // namespace

const std::vector<SourceSet>& SourceSets() {
  static const auto& sets = *new std::vector<SourceSet>{
      {"host", Host()},
      {"summed", Summed()},
      {"ext4", Ext4()},
      {"ext4Past", Ext4Past()},
      {"xfs", {{"/sys/fs/xfs/{}/stats/stats", NamesOf(kXfsFields), ParseXfsStat, true}}},
      {"group", Group()},
      {"groupCpu", GroupCpu()},
      {"limits", Limits()},
      {"blockQueue", BlockQueue()},
  };
  return sets;
}

std::vector<std::string> FieldsOf(const SourceSet& set) {
  Names all;
  for (const Source& source : set.sources) all.insert(all.end(), source.names.begin(), source.names.end());
  return all;
}

}  // namespace mailherd
