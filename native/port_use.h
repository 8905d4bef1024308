#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <string>

#include "result.h"
#include "sock_diag.h"

namespace mailherd {

/// States of a TCP connection as the kernel numbers them from 1. Source: include/net/tcp_states.h.
inline constexpr std::array kTcpStates = {"established", "synSent", "synReceived", "finWait1", "finWait2", "timeWait", "close", "closeWait", "lastAck", "listen", "closing", "newSynReceived"};

/// What the ephemeral ports of this host are taken by.
struct PortUse {
  static constexpr size_t kSourcesMax = 64;
  struct Source {
    double sockets = 0;             // several can share a port when they go to different places
    std::bitset<65536> ports;
  };
  std::array<double, kTcpStates.size()> toSmtp{};  // connections to port 25 elsewhere, by state
  std::map<std::string, Source> sources;           // by local address, at most kSourcesMax
  bool isComplete = true;

  /// Takes one record of inet_diag; foreign and broken ones are left out.
  void Take(Bytes payload);
};

/// Asks for the connections whose local port lies in a range: the kernel leaves out all others, among them all IMAP sessions, but walks
/// its whole table. Not for two threads at once.
class PortReader {
 public:
  Result<PortUse> Run(uint16_t first, uint16_t last) noexcept;

 private:
  SockDiag diag_;
};

}  // namespace mailherd
