#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "result.h"
#include "unique_fd.h"

namespace mailherd {

/// A share of a window in which tasks waited, above which the kernel wakes us.
struct PressureTrigger {
  std::string path;  // of a pressure file
  bool isFull;       // all tasks waited, not only some
  double share;      // 0..1 of the window
};

/// A trigger that went off: which, and when by the monotonic clock.
struct PressureSignal {
  size_t trigger;
  double atMs;
};

/// Waits for pressure on a thread of its own. Windows: 500 ms with CAP_SYS_RESOURCE, 2 s without, where the kernel (before Linux 6.5:
/// never) grants them. Source: Documentation/accounting/psi.rst, "Monitoring for pressure thresholds".
class PressureWatch {
 public:
  using Tell = std::function<void(PressureSignal)>;

  /// Sets the triggers that the kernel grants; `windowMs` of those refused is 0, their reasons are in `errors`.
  static Result<std::shared_ptr<PressureWatch>> Open(const std::vector<PressureTrigger>& triggers);

  /// Calls `tell` from the thread for each signal until `Stop`, or until this is no longer held by anybody. Once only.
  /// @return 0 or the errno of the thread's start.
  static int Start(const std::shared_ptr<PressureWatch>& watch, Tell tell);

  /// Ends the thread soon; after it, `tell` is called at most once more.
  void Stop() noexcept;

  const std::vector<double>& windowsMs() const noexcept { return windowsMs_; }
  const std::vector<SysError>& errors() const noexcept { return errors_; }

 private:
  static void Run(void* data);
  void Wait();

  std::vector<UniqueFd> files_;
  std::vector<double> windowsMs_;
  std::vector<SysError> errors_;
  UniqueFd stop_;
  Tell tell_;
};

}  // namespace mailherd
