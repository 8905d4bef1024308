#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "result.h"

namespace mailherd {

/// Soft limit of "Max open files" in /proc/<pid>/limits; kAbsent when it is not there, kNoLimit for "unlimited". Source: proc_pid_limits(5).
int64_t ParseOpenFilesMax(std::string_view text) noexcept;

/// Watches in /proc/<pid>/fdinfo/<fd> of an inotify instance: lines "inotify wd:...". Source: proc_pid_fdinfo(5).
int64_t CountWatches(std::string_view text) noexcept;

/// Open files of one service's processes.
struct ServiceFiles {
  double processes = 0;
  double looked = 0;     // at most kLookedMax, spread over all of them
  double denied = 0;     // of the looked at, those that may not be looked into
  double openFiles = 0;  // of the looked at
  double fullest = 0;    // open files and limit of the process that is nearest to its limit
  double fullestMax = 0;
};

/// What one user's processes hold of inotify, as far as they were looked at.
struct InotifyUse {
  double instances = 0;
  double watches = 0;
  double processes = 0;
};

struct ProcessUse {
  static constexpr size_t kLookedMax = 256;
  static constexpr size_t kUsersMax = 64;
  std::vector<ServiceFiles> services;  // one a group, in their order
  std::map<uint32_t, InotifyUse> users;
  bool isComplete = true;  // every process was looked into
};

/// Looks into the processes of control groups (absolute paths below `root`), at most kLookedMax of each and for `budgetMs` in all.
Result<ProcessUse> ReadProcessUse(const std::string& root, const std::vector<std::string>& groups, double budgetMs) noexcept;

}  // namespace mailherd
