#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "result.h"
#include "text_digest.h"
#include "unique_fd.h"

namespace mailherd {

/// A piece of an archive, and the files that are complete with it.
struct PackedPiece {
  std::vector<char> bytes;
  std::vector<uint32_t> files;  // places in the list of paths
  std::vector<double> sizes;
  std::vector<uint8_t> sums;  // of their texts, where they are asked for
  bool isLast = false;
};

struct PackerOptions {
  /// Of files that are just texts.
  bool hasSums;
  /// Names lose the keywords of a maildir (small letters at their end).
  bool dropsKeywords;
};

/// Makes a ustar archive of the files of a list, without its end, piece by piece. What is gone is left out; a file that grows goes as
/// long as it was when it was opened. A symbolic link anywhere in a path, or in that of the root, is an error.
class FilePacker {
 public:
  FilePacker(std::string root, std::vector<std::string> paths, PackerOptions options)
      : root_(std::move(root)), paths_(std::move(paths)), options_(options) {}

  /// Not at the same time as another.
  Result<PackedPiece> Next();

 private:
  std::optional<SysError> Open(PackedPiece& piece);
  std::optional<SysError> Read(PackedPiece& piece);

  const std::string root_;
  const std::vector<std::string> paths_;
  const PackerOptions options_;
  UniqueFd directory_;
  size_t at_ = 0;  // the present or the next file
  UniqueFd file_;
  uint64_t size_ = 0;
  uint64_t left_ = 0;
  TextDigest digest_;
};

}  // namespace mailherd
