#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <string>

#include "result.h"
#include "smtp_peers.h"
#include "sock_diag.h"

namespace mailherd {

/// States of a TCP connection as the kernel numbers them from 1. Source: include/net/tcp_states.h.
inline constexpr std::array kTcpStates = {"established", "synSent", "synReceived", "finWait1", "finWait2", "timeWait", "close", "closeWait", "lastAck", "listen", "closing", "newSynReceived"};

/// What the ephemeral ports of this host are taken by, and its other connections.
struct PortUse {
  static constexpr size_t kSourcesMax = 64;
  struct Source {
    double sockets = 0;             // several can share a port when they go to different places
    std::bitset<65536> ports;
  };
  std::array<double, kTcpStates.size()> toSmtp{};  // connections to port 25 elsewhere, by state
  std::map<std::string, Source> sources;           // by local address, at most kSourcesMax
  std::array<double, kTcpStates.size()> states{};  // all connections of this host, but the established ones
  SmtpPeers peers;
  bool isComplete = true;

  /// Takes one record of inet_diag; foreign and broken ones are left out.
  void Take(Bytes payload);
  /// One whose port is not ephemeral: its state only.
  void TakeOther(Bytes payload);

 private:
  bool TakeState(uint8_t family, uint8_t state);
};

/// Asks for the connections whose local port lies in a range, and for the rest but those that are established: the kernel leaves these
/// out, among them all IMAP sessions, but walks its whole table each time. Not for two threads at once.
class PortReader {
 public:
  /// @param farm addresses of the farm's own hosts.
  Result<PortUse> Run(uint16_t first, uint16_t last, const AddressSet& farm) noexcept;

 private:
  SockDiag diag_;
};

}  // namespace mailherd
