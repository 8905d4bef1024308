#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "mounts.h"
#include "result.h"

namespace mailherd {

/// Space of the file system under the mail store. NaN = it has no such limit. Source: statvfs(3), what an ordinary user may take.
inline constexpr std::array kStoreFields = {"totalBytes", "freeBytes", "totalInodes", "freeInodes"};

/// What lies behind a path.
struct StorePlace {
  std::string disk;    // name in /proc/diskstats; empty when no one disk stands behind the path
  std::string device;  // name of the file system's own device, a disk or a partition of one; empty when the mount names none
  Mount mount;

  bool operator==(const StorePlace&) const = default;
};

struct StoreSample {
  std::array<double, kStoreFields.size()> values;
  std::optional<StorePlace> place;  // unless it is that of the sample before
};

/// Reads the space under a path, and the whole disk (not the partition: only disks count flushes) behind it. Blocks for as long
/// as the file system does. Not for two threads at once.
class StoreReader {
 public:
  StoreReader(std::string root, std::string path) : root_(std::move(root)), path_(std::move(path)) {}

  Result<StoreSample> Run();

 private:
  std::string root_;
  std::string path_;
  StorePlace place_;   // looked for seldom
  bool isTold_ = false;
  dev_t number_ = 0;   // of the file system it was found for
  int readings_ = 0;   // since then
};

}  // namespace mailherd
