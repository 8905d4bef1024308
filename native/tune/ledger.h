#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "../result.h"
#include "../unique_fd.h"
#include "knob.h"

namespace mailherd {

/// A value that is ours for a time. `ours` has the value before last too while a second change is under way.
struct Entry {
  std::string boot;
  std::string knob;
  std::string old;
  std::vector<std::string> ours;
  int64_t expires_s = 0;  // by CLOCK_BOOTTIME: the wall clock may jump
  std::string reason;

  bool IsOurs(std::string_view value) const noexcept;
};

/// What was changed, one small file a knob in a directory of /run: written and fsynced before the kernel's value is touched, so that
/// whoever is started next can put it back. A reboot forgets both the values and the ledger.
class Ledger {
 public:
  /// Opens the directory and locks it: one writer at a time.
  static Result<Ledger> Open(const std::string& directory);

  /// On disk when it returns null.
  std::optional<SysError> Put(const Entry& entry) const;
  std::optional<SysError> Remove(const std::string& knob) const;
  /// Nothing when the knob is not held; an error when its file cannot be understood.
  Result<std::optional<Entry>> Find(const std::string& knob) const;
  Result<std::vector<Entry>> All() const;

 private:
  Ledger(UniqueFd directory, std::string path) noexcept : directory_(std::move(directory)), path_(std::move(path)) {}

  UniqueFd directory_;
  std::string path_;
};

/// Text of an entry and back. Nothing for text that is not a whole entry.
std::string EntryText(const Entry& entry);
std::optional<Entry> ParseEntry(std::string_view text);

}  // namespace mailherd
