#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mailherd {

/// One kernel file: which, what its values are called, and how they are found in its text.
struct Source {
  const char* path;  // "{}" stands for the subject
  std::vector<std::string> names;
  void (*parse)(std::string_view text, std::span<int64_t> out);
  bool isOfSubject;  // without a subject it is left out
  /// How much of a text holds all values; none: all of it. For files whose end is dear to write and tells nothing.
  size_t (*extent)(std::string_view text) = nullptr;
};

/// Files that are read together. The subject is a disk, a file system's device or a control group.
struct SourceSet {
  const char* name;
  std::vector<Source> sources;
};

/// All there are. Never destroyed: a reader that hangs in the kernel may outlive everything else.
const std::vector<SourceSet>& SourceSets();

/// Names of a set's values: unit last, counters since boot unless they name a level (bytes, tasks, ten second averages).
std::vector<std::string> FieldsOf(const SourceSet& set);

}  // namespace mailherd
