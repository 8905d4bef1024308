#pragma once

#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <span>

#include "sock_diag.h"

namespace mailherd {

/// A question for TCP sockets by their ports, for SockDiag::Dump with kDiagTcp. `states` is a mask by the kernel's numbers.
/// In its programs a test is followed by its port and says how far to go on for yes and for no: to the end takes the socket, beyond it
/// leaves the socket out. Source: net/ipv4/inet_diag.c, inet_diag_bc_run and inet_diag_bc_audit.
class TcpFilter {
 public:
  enum class Side { local, remote };

  /// Sockets with a port from `first` to `last`.
  static TcpFilter Inside(uint32_t states, Side side, uint16_t first, uint16_t last) noexcept {
    const bool isLocal = side == Side::local;
    const uint8_t from = isLocal ? INET_DIAG_BC_S_GE : INET_DIAG_BC_D_GE, to = isLocal ? INET_DIAG_BC_S_LE : INET_DIAG_BC_D_LE;
    return TcpFilter(states, {{from, 8, 20}, {0, 0, first}, {to, 8, 12}, {0, 0, last}, {}}, 4);
  }

  /// Sockets with any other local port; `first` is above 0.
  static TcpFilter Outside(uint32_t states, uint16_t first, uint16_t last) noexcept {
    const auto below = static_cast<uint16_t>(first - 1), above = static_cast<uint16_t>(last + 1);
    const uint8_t from = last == UINT16_MAX ? INET_DIAG_BC_S_LE : INET_DIAG_BC_S_GE;
    return TcpFilter(states, {{INET_DIAG_BC_S_LE, 8, 12}, {0, 0, below}, {INET_DIAG_BC_JMP, 4, 12}, {from, 8, 12}, {0, 0, last == UINT16_MAX ? below : above}}, 5);
  }

  /// Tell this of each socket too: an INET_DIAG_* number.
  void Ask(int extension) noexcept { message_.header.idiag_ext = static_cast<uint8_t>(1U << (extension - 1)); }

  Bytes bytes() const noexcept {
    return Bytes(reinterpret_cast<const std::byte*>(&message_), sizeof message_.header + message_.attribute.rta_len);
  }

 private:
  static constexpr size_t kOpsMax = 5;
  struct Message {
    inet_diag_req header;
    rtattr attribute;
    inet_diag_bc_op program[kOpsMax];
  };

  TcpFilter(uint32_t states, const inet_diag_bc_op (&ops)[kOpsMax], size_t count) noexcept {
    message_.header.idiag_states = states;
    message_.attribute = {static_cast<unsigned short>(RTA_LENGTH(count * sizeof *ops)), INET_DIAG_REQ_BYTECODE};
    for (size_t at = 0; at < count; at++) message_.program[at] = ops[at];
  }

  Message message_ = {};
};

}  // namespace mailherd
