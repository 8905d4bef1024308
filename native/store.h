#pragma once

#include <array>
#include <string>

#include "result.h"

namespace mailherd {

/// Space of the file system under the mail store. NaN = it has no such limit. Source: statvfs(3), what an ordinary user may take.
inline constexpr std::array kStoreFields = {"totalBytes", "freeBytes", "totalInodes", "freeInodes"};

struct Store {
  std::array<double, kStoreFields.size()> values;
  std::string disk;  // name in /proc/diskstats; empty when no one disk stands behind the path
};

/// Space under `root` + `path`, and the whole disk (not the partition: only disks count flushes) behind it. Blocks for as long
/// as the file system does.
Result<Store> ReadStore(const std::string& root, const std::string& path);

}  // namespace mailherd
