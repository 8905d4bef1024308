#pragma once

#include <string>
#include <string_view>

#include "ledger.h"

namespace mailherd {

/// The changes that are in force, and the only functions that make and undo one.
class Holder {
 public:
  /// `root` prefixes all kernel paths; `boot` is the kernel's id of this boot.
  Holder(Ledger ledger, std::string root, std::string boot) noexcept : ledger_(std::move(ledger)), root_(std::move(root)), boot_(std::move(boot)) {}

  /// One request line, fields parted by tabs; the answer ends in a line `ok`, `ok\t...` or `refused\tCODE\tdetail`.
  ///   list
  ///   set KNOB EXPECTED VALUE SECONDS REASON
  ///   renew KNOB SECONDS
  ///   undo KNOB
  std::string Answer(std::string_view request);

  /// Puts back everything that is still as we left it; what an earlier boot left is forgotten. Says what it did, a line each.
  std::string RestoreAll();
  /// The same for what has expired.
  std::string RestoreExpired();
  /// Seconds until the next one expires, 0 when one has; -1 when nothing is held.
  int64_t NextExpiry() const;

 private:
  struct Set {
    std::string_view knob, expected, value, reason;
    int64_t seconds;
  };

  std::string List() const;
  std::string Change(const Set& wish);
  std::string Renew(std::string_view name, int64_t seconds);
  std::string Undo(const Entry& entry);

  Ledger ledger_;
  std::string root_;
  std::string boot_;
};

}  // namespace mailherd
