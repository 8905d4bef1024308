#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "result.h"

namespace mailherd {

/// What the command line of a process tells that Postfix's master started.
struct ServiceCommand {
  std::string_view name;  // the entry in master.cf: `-n`, and without it the program itself
  std::string_view type;  // `-t`: inet, unix, fifo, pass; empty when it does not say
  bool stressed;          // `-o stress=yes`: all processes of the service were busy when it began
};

/// @param text /proc/<pid>/cmdline: words that end with a NUL. Source: master_spawn.c and STRESS_README of Postfix.
ServiceCommand ParseServiceCommand(std::string_view text) noexcept;

/// Processes of one entry in master.cf.
struct ServiceCount {
  std::string service;  // "smtp/inet"
  int64_t processes;
  int64_t stressed;
};

struct PostfixProcesses {
  std::vector<ServiceCount> services;
  bool complete;  // false: there were more than anybody looks at
};

/// Counts the children of the master of one Postfix instance, by its pid file. Reads one small file a child, and no more than
/// `processesMax` of them. Fails when no master runs.
/// @param root prefix of /proc ("" on a real host). @param spool queue_directory.
Result<PostfixProcesses> CountPostfixProcesses(const std::string& root, const std::string& spool, uint32_t processesMax) noexcept;

}  // namespace mailherd
