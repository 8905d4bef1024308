#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "result.h"
#include "sock_diag.h"

namespace mailherd {

/// Where mail goes to: hosts of the farm and this one, addresses of no public network (RFC 1918, 6598, 3927, 4193, 4291), all others.
inline constexpr std::array kPeerClasses = {"farm", "private", "ipv4", "ipv6"};

/// Addresses in the form of IPv6, IPv4 mapped.
using AddressKey = std::array<uint8_t, 16>;
using AddressSet = std::set<AddressKey>;

/// False for what is no address.
bool ReadAddress(const std::string& text, AddressKey& key) noexcept;

/// Connections to port 25 elsewhere, by where they go to.
struct SmtpPeers {
  struct Class {
    double connections = 0;     // established
    double connecting = 0;      // the other side has not answered yet
    double retransmitting = 0;  // established, of which the last segment is not acknowledged in time
    double segments = 0;        // data sent by the connections there are, and of it again
    double segmentsAgain = 0;
    std::vector<uint32_t> rttUs;  // smoothed round trips, of the established ones

    /// Microseconds; of an empty class 0.
    double RttMedianUs() const;
    double RttMaxUs() const;
  };
  std::array<Class, kPeerClasses.size()> classes;
  bool isComplete = true;

  /// Takes one record of inet_diag with its tcp_info; foreign and broken ones are left out.
  void Take(Bytes payload, const AddressSet& farm);
};

/// Asks for those connections alone; the kernel walks its whole table.
Result<SmtpPeers> ReadSmtpPeers(SockDiag& diag, const AddressSet& farm) noexcept;

}  // namespace mailherd
