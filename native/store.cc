#include "store.h"

#include <dirent.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string_view>

#include "kernel_file.h"
#include "mounts.h"

namespace mailherd {

namespace {

constexpr std::array kUnrealDisks = {"loop", "ram", "zram", "nbd", "dm-", "md", "sr", "fd"};

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

std::string RealPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : std::string();
}

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

/// The disk that `node` (a name under /sys/class/block or a number under /sys/dev/block) is or is a partition of.
std::string DiskOf(const std::string& link) {
  const std::string real = RealPath(link);
  if (real.empty()) return {};
  const size_t last = real.rfind('/');
  if (!Exists(real + "/partition")) return real.substr(last + 1);
  const size_t above = real.rfind('/', last - 1);
  return real.substr(above + 1, last - above - 1);
}

/// Where the mount does not name its disk (an overlay inside a container), the machine's only disk must be it.
std::string OnlyDisk(const std::string& root) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir((root + "/sys/block").c_str()));
  if (!directory) return {};
  std::string only;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name(entry->d_name);
    bool unreal = name.starts_with('.');
    for (const std::string_view prefix : kUnrealDisks) unreal = unreal || name.starts_with(prefix);
    if (unreal) continue;
    if (!only.empty()) return {};
    only = name;
  }
  return only;
}

std::string FindDisk(const std::string& root, const std::string& path) {
  const std::string real = RealPath(root + path);
  std::string buffer;
  KernelFile mounts(root + "/proc/self/mountinfo");
  const auto text = mounts.Read(buffer);
  if (const auto* read = std::get_if<std::string_view>(&text); read != nullptr && real.size() > root.size()) {
    const Mount mount = FindMount(*read, std::string_view(real).substr(root.size()));
    std::string disk = mount.device.starts_with("0:") || mount.device.empty() ? std::string() : DiskOf(root + "/sys/dev/block/" + mount.device);
    if (disk.empty() && mount.source.starts_with("/dev/")) disk = DiskOf(root + "/sys/class/block/" + mount.source.substr(mount.source.rfind('/') + 1));
    if (!disk.empty()) return disk;
  }
  return OnlyDisk(root);
}

}  // namespace

Result<Store> ReadStore(const std::string& root, const std::string& path) {
  struct statvfs facts {};
  if (::statvfs((root + path).c_str(), &facts) != 0) return SysError{errno, "statvfs", root + path};
  const auto unit = static_cast<double>(facts.f_frsize);
  const auto inodes = [&](fsfilcnt_t count) { return facts.f_files == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(count); };
  return Store{
      .values = {static_cast<double>(facts.f_blocks) * unit, static_cast<double>(facts.f_bavail) * unit, inodes(facts.f_files), inodes(facts.f_favail)},
      .disk = FindDisk(root, path),
  };
}

}  // namespace mailherd
