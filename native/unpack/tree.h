#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../result.h"
#include "../unique_fd.h"
#include "ustar.h"

namespace mailherd {

/// Files below one directory. No path leads out of it, or over a symbolic link, whoever may have put one there.
class Tree {
 public:
  /// @param overwrites files that are there already; else they are an error.
  Tree(UniqueFd root, bool overwrites) : root_(std::move(root)), overwrites_(overwrites) {}

  /// With whatever lies above it; one that is there already stays.
  std::optional<SysError> MakeDirectory(const Member& member);
  /// A new file, to be written and finished.
  std::optional<SysError> Begin(const Member& member);
  std::optional<SysError> Write(const char* bytes, size_t size);
  std::optional<SysError> End();
  std::optional<SysError> Remove(const std::string& path);
  /// Directories get their times, which change with what comes into them.
  std::optional<SysError> Finish();

 private:
  Result<UniqueFd> Open(const std::string& directory) const;
  std::optional<SysError> Enter(const std::string& directory);

  const UniqueFd root_;
  const bool overwrites_;
  /// Most files come one directory after the other.
  std::optional<std::string> entered_;
  UniqueFd directory_;
  UniqueFd file_;
  Member member_;
  std::vector<std::pair<std::string, int64_t>> made_;
};

}  // namespace mailherd
