#include "smtp_peers.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>

#include <algorithm>
#include <cstring>

#include "tcp_filter.h"

namespace mailherd {

namespace {

/// The kernel locks a socket for a moment to describe it.
constexpr size_t kRecordsMax = 20'000;
constexpr uint16_t kSmtp = 25;
/// Source: include/net/tcp_states.h.
constexpr uint8_t kEstablished = 1, kSynSent = 2;

AddressKey KeyOf(uint8_t family, const __be32 (&address)[4]) noexcept {
  AddressKey key = {};
  if (family == AF_INET6) {
    std::memcpy(key.data(), address, key.size());
  } else {
    key[10] = key[11] = 0xff;
    std::memcpy(key.data() + 12, address, 4);
  }
  return key;
}

bool IsMapped(const AddressKey& key) noexcept {
  return key[10] == 0xff && key[11] == 0xff && std::all_of(key.begin(), key.begin() + 10, [](uint8_t byte) { return byte == 0; });
}

size_t ClassOf(const AddressKey& key, const AddressSet& farm) noexcept {
  constexpr size_t kFarm = 0, kPrivate = 1, kIpv4 = 2, kIpv6 = 3;
  const uint8_t a = key[12], b = key[13];
  const bool isFour = IsMapped(key);
  static constexpr AddressKey kLoopback6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  if (farm.contains(key) || (isFour ? a == 127 : key == kLoopback6)) return kFarm;
  if (!isFour) return (key[0] & 0xfe) == 0xfc || (key[0] == 0xfe && (key[1] & 0xc0) == 0x80) ? kPrivate : kIpv6;
  const bool isPrivate = a == 10 || (a == 172 && (b & 0xf0) == 16) || (a == 192 && b == 168) || (a == 100 && (b & 0xc0) == 64) || (a == 169 && b == 254);
  return isPrivate ? kPrivate : kIpv4;
}

/// What an older kernel does not tell stays zero.
bool FindInfo(Bytes payload, tcp_info& info) noexcept {
  size_t at = NLMSG_ALIGN(sizeof(inet_diag_msg));
  while (at + sizeof(rtattr) <= payload.size()) {
    rtattr attribute;
    std::memcpy(&attribute, payload.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > payload.size() - at) return false;
    if (attribute.rta_type == INET_DIAG_INFO) {
      std::memcpy(&info, payload.data() + at + RTA_LENGTH(0), std::min<size_t>(attribute.rta_len - RTA_LENGTH(0), sizeof info));
      return true;
    }
    at += RTA_ALIGN(attribute.rta_len);
  }
  return false;
}

}  // namespace

bool ReadAddress(const std::string& text, AddressKey& key) noexcept {
  __be32 address[4] = {};
  const uint8_t family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (::inet_pton(family, text.c_str(), address) != 1) return false;
  key = KeyOf(family, address);
  return true;
}

double SmtpPeers::Class::RttMedianUs() const {
  if (rttUs.empty()) return 0;
  std::vector<uint32_t> sorted(rttUs);
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

double SmtpPeers::Class::RttMaxUs() const { return rttUs.empty() ? 0 : *std::max_element(rttUs.begin(), rttUs.end()); }

void SmtpPeers::Take(Bytes payload, const AddressSet& farm) {
  inet_diag_msg message;
  if (payload.size() < sizeof message) return;
  std::memcpy(&message, payload.data(), sizeof message);
  if ((message.idiag_family != AF_INET && message.idiag_family != AF_INET6) || ntohs(message.id.idiag_dport) != kSmtp) return;
  Class& one = classes[ClassOf(KeyOf(message.idiag_family, message.id.idiag_dst), farm)];
  if (message.idiag_state == kSynSent) one.connecting++;
  tcp_info info = {};
  if (message.idiag_state != kEstablished) return;
  one.connections++;
  if (!FindInfo(payload, info)) return;
  if (info.tcpi_retransmits > 0) one.retransmitting++;
  if (info.tcpi_rtt > 0) one.rttUs.push_back(info.tcpi_rtt);
  one.segments += info.tcpi_data_segs_out;
  one.segmentsAgain += info.tcpi_total_retrans;
}

Result<SmtpPeers> ReadSmtpPeers(SockDiag& diag, const AddressSet& farm) noexcept {
  SmtpPeers peers;
  TcpFilter filter = TcpFilter::Inside(1U << kEstablished | 1U << kSynSent, TcpFilter::Side::remote, kSmtp, kSmtp);
  filter.Ask(INET_DIAG_INFO);
  auto dumped = diag.Dump(kDiagTcp, filter.bytes(), kRecordsMax, [&](Bytes payload) { peers.Take(payload, farm); });
  if (auto* failed = std::get_if<SysError>(&dumped)) return std::move(*failed);
  peers.isComplete = std::get<bool>(dumped);
  return peers;
}

}  // namespace mailherd
