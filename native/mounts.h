#pragma once

#include <string>
#include <string_view>

namespace mailherd {

/// The mount that holds a path.
struct Mount {
  std::string device;  // "major:minor"; major 0 when no block device stands behind it (overlay, btrfs, tmpfs)
  std::string source;  // as given to mount(8), e.g. "/dev/vda1"
  std::string type;
  std::string options;  // of the mount and of its file system, with commas between, e.g. "rw,noatime,rw,data=ordered"

  bool operator==(const Mount&) const = default;
};

/// The mount under `path` (absolute, without symlinks) in the text of /proc/self/mountinfo; empty fields when there is none.
/// Of two mounts on one point the later covers the earlier. Source: proc_pid_mountinfo(5).
Mount FindMount(std::string_view text, std::string_view path);

}  // namespace mailherd
