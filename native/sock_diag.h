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

/// TCPDIAG_GETSOCK: the older question for TCP sockets (inet_diag_req). It is of both families at once, where the newer one walks the
/// kernel's whole table for each. Source: net/ipv4/inet_diag.c.
inline constexpr uint16_t kDiagTcp = 18;

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
  /// @param type of the message: SOCK_DIAG_BY_FAMILY or kDiagTcp.
  /// @param recordsMax the dump is given up after so many records; false then, true when it was whole.
  Result<bool> Dump(uint16_t type, Bytes request, size_t recordsMax, const std::function<void(Bytes payload)>& take) noexcept;

 private:
  UniqueFd fd_;
  uint32_t sequence_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace mailherd
