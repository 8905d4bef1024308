#include "port_use.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "tcp_filter.h"

namespace mailherd {

namespace {

constexpr size_t kRecordsMax = 200'000;
constexpr uint16_t kSmtp = 25;
constexpr uint32_t kListening = 1U << TCP_LISTEN, kEstablished = 1U << TCP_ESTABLISHED;

std::string AddressOf(uint8_t family, const __be32 (&address)[4]) {
  in6_addr six;
  std::memcpy(&six, address, sizeof six);
  char text[INET6_ADDRSTRLEN] = "";
  if (family == AF_INET) ::inet_ntop(AF_INET, &address[0], text, sizeof text);
  else if (IN6_IS_ADDR_V4MAPPED(&six)) ::inet_ntop(AF_INET, &address[3], text, sizeof text);
  else ::inet_ntop(AF_INET6, &six, text, sizeof text);
  return text;
}

}  // namespace

bool PortUse::TakeState(uint8_t family, uint8_t state) {
  if ((family != AF_INET && family != AF_INET6) || state < 1 || state > states.size()) return false;
  states[state - 1U]++;
  return true;
}

void PortUse::TakeOther(Bytes payload) {
  inet_diag_msg message;
  if (payload.size() < sizeof message) return;
  std::memcpy(&message, payload.data(), sizeof message);
  TakeState(message.idiag_family, message.idiag_state);
}

void PortUse::Take(Bytes payload) {
  inet_diag_msg message;
  if (payload.size() < sizeof message) return;
  std::memcpy(&message, payload.data(), sizeof message);
  if (!TakeState(message.idiag_family, message.idiag_state)) return;
  if (ntohs(message.id.idiag_dport) == kSmtp) toSmtp[message.idiag_state - 1U]++;
  const std::string address = AddressOf(message.idiag_family, message.id.idiag_src);
  auto found = sources.find(address);
  if (found == sources.end()) {
    if (sources.size() >= kSourcesMax) {
      isComplete = false;
      return;
    }
    found = sources.try_emplace(address).first;
  }
  found->second.sockets++;
  found->second.ports.set(ntohs(message.id.idiag_sport));
}

Result<PortUse> PortReader::Run(uint16_t first, uint16_t last, const AddressSet& farm) noexcept {
  PortUse use;
  const auto dump = [&](const TcpFilter& filter, auto take) { return diag_.Dump(kDiagTcp, filter.bytes(), kRecordsMax, take); };
  auto inside = dump(TcpFilter::Inside(~kListening, TcpFilter::Side::local, first, last), [&](Bytes payload) { use.Take(payload); });
  if (auto* failed = std::get_if<SysError>(&inside)) return std::move(*failed);
  // The sessions that work are many, and the kernel counts them anyway.
  auto outside = dump(TcpFilter::Outside(~(kListening | kEstablished), first, last), [&](Bytes payload) { use.TakeOther(payload); });
  if (auto* failed = std::get_if<SysError>(&outside)) return std::move(*failed);
  use.states[TCP_ESTABLISHED - 1] = 0;
  use.isComplete = use.isComplete && std::get<bool>(inside) && std::get<bool>(outside);
  if (use.toSmtp[TCP_ESTABLISHED - 1] + use.toSmtp[TCP_SYN_SENT - 1] == 0) return use;
  auto peers = ReadSmtpPeers(diag_, farm);
  if (auto* failed = std::get_if<SysError>(&peers)) return std::move(*failed);
  use.peers = std::move(std::get<SmtpPeers>(peers));
  use.isComplete = use.isComplete && use.peers.isComplete;
  return use;
}

}  // namespace mailherd
