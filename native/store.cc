#include "store.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string_view>

#include "kernel_file.h"

namespace mailherd {

namespace {

/// What lies behind a path is looked for again after so many readings.
constexpr int kReadingsKnown = 30;
constexpr std::array kUnrealDisks = {"loop", "ram", "zram", "nbd", "dm-", "md", "sr", "fd"};

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

std::string RealPath(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : std::string();
}

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

/// A device and the disk that it is or is a partition of.
struct Device {
  std::string name;
  std::string disk;
};

/// What `link` (a name under /sys/class/block or a number under /sys/dev/block) leads to.
Device DeviceOf(const std::string& link) {
  const std::string real = RealPath(link);
  if (real.empty()) return {};
  const size_t last = real.rfind('/');
  const std::string name = real.substr(last + 1);
  if (!Exists(real + "/partition")) return {name, name};
  const size_t above = real.rfind('/', last - 1);
  return {name, real.substr(above + 1, last - above - 1)};
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

StorePlace FindPlace(const std::string& root, const std::string& path) {
  StorePlace place;
  const std::string real = RealPath(root + path);
  std::string buffer;
  KernelFile mounts(root + "/proc/self/mountinfo");
  const auto text = mounts.Read(buffer);
  Device device;
  if (const auto* read = std::get_if<std::string_view>(&text); read != nullptr && real.size() > root.size()) {
    place.mount = FindMount(*read, std::string_view(real).substr(root.size()));
    const Mount& mount = place.mount;
    if (!mount.device.starts_with("0:") && !mount.device.empty()) device = DeviceOf(root + "/sys/dev/block/" + mount.device);
    if (device.name.empty() && mount.source.starts_with("/dev/")) device = DeviceOf(root + "/sys/class/block/" + mount.source.substr(mount.source.rfind('/') + 1));
  }
  place.device = device.name;
  place.disk = device.disk.empty() ? OnlyDisk(root) : device.disk;
  return place;
}

}  // namespace

Result<StoreSample> StoreReader::Run() {
  const std::string place = root_ + path_;
  struct statvfs facts {};
  struct stat status {};
  if (::statvfs(place.c_str(), &facts) != 0) return SysError{errno, "statvfs", place};
  if (::stat(place.c_str(), &status) != 0) return SysError{errno, "stat", place};
  // A file system can be mounted anew with other options; another one has another number.
  if (readings_ == 0 || status.st_dev != number_) {
    StorePlace found = FindPlace(root_, path_);
    isTold_ = isTold_ && found == place_;
    place_ = std::move(found);
    number_ = status.st_dev;
    readings_ = kReadingsKnown;
  }
  readings_--;
  const auto unit = static_cast<double>(facts.f_frsize);
  const auto inodes = [&](fsfilcnt_t count) { return facts.f_files == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(count); };
  StoreSample sample{{static_cast<double>(facts.f_blocks) * unit, static_cast<double>(facts.f_bavail) * unit, inodes(facts.f_files), inodes(facts.f_favail)}, {}};
  if (!isTold_) sample.place = place_;
  isTold_ = true;
  return sample;
}

}  // namespace mailherd
