#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "result.h"
#include "unique_fd.h"

namespace mailherd {

using Bytes = std::span<const std::byte>;

/// What one datagram of a dump said beside its records.
struct DiagEnd {
  bool isDone = false;
  int err = 0;  // the kernel refused: ENOENT when it lacks the module
};

/// Calls `take` with each record's payload in one datagram of answers. What is cut off or not of our request is left out.
/// Source: netlink(7), sock_diag(7).
DiagEnd ReadDiag(Bytes datagram, uint32_t sequence, const std::function<void(Bytes payload)>& take) noexcept;

/// A netlink socket for questions about sockets, of the network namespace it was opened in. Not for two threads at once.
class SockDiag {
 public:
  /// Sends `request` (what follows the netlink header) and reads all answers.
  /// @param recordsMax the dump is given up after so many records; false then, true when it was whole.
  Result<bool> Dump(Bytes request, size_t recordsMax, const std::function<void(Bytes payload)>& take) noexcept;

 private:
  UniqueFd fd_;
  uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace mailherd
