#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mailherd {

constexpr size_t kBlockBytes = 512;
using Block = std::array<char, kBlockBytes>;

/// A file or a directory of a ustar archive (POSIX.1-1988).
struct Member {
  std::string name;
  bool isDirectory = false;
  uint64_t bytes = 0;
  uint32_t mode = 0;
  int64_t seconds = 0;
};

/// Ends an archive, or fills it up.
bool IsZero(const Block& header) noexcept;

/// Of plain files and directories: no links, devices or extensions.
/// @return null, or what is wrong with it.
const char* ReadHeader(const Block& header, Member& member);

}  // namespace mailherd
