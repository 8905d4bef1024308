#include "port_use.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

namespace mailherd {

namespace {

constexpr size_t kRecordsMax = 200'000;
constexpr uint16_t kSmtp = 25;

struct Request {
  inet_diag_req header;
  rtattr attribute;
  inet_diag_bc_op filter[4];
};

/// "local port >= first and local port <= last" for the kernel's filter: a test is followed by its port; a jump beyond the end refuses.
Request RequestOf(uint16_t first, uint16_t last) noexcept {
  constexpr uint16_t bytes = sizeof(Request::filter);
  Request request = {};
  request.header.idiag_states = ~(1U << TCP_LISTEN);
  request.attribute = {static_cast<unsigned short>(RTA_LENGTH(bytes)), INET_DIAG_REQ_BYTECODE};
  request.filter[0] = {INET_DIAG_BC_S_GE, 8, bytes + 4};
  request.filter[1] = {0, 0, first};
  request.filter[2] = {INET_DIAG_BC_S_LE, 8, bytes - 8 + 4};
  request.filter[3] = {0, 0, last};
  return request;
}

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

void PortUse::Take(Bytes payload) {
  inet_diag_msg message;
  if (payload.size() < sizeof message) return;
  std::memcpy(&message, payload.data(), sizeof message);
  if ((message.idiag_family != AF_INET && message.idiag_family != AF_INET6) || message.idiag_state < 1 || message.idiag_state > toSmtp.size()) return;
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

Result<PortUse> PortReader::Run(uint16_t first, uint16_t last) noexcept {
  PortUse use;
  const Request request = RequestOf(first, last);
  auto dumped = diag_.Dump(kDiagTcp, Bytes(reinterpret_cast<const std::byte*>(&request), sizeof request), kRecordsMax, [&](Bytes payload) { use.Take(payload); });
  if (auto* failed = std::get_if<SysError>(&dumped)) return std::move(*failed);
  use.isComplete = use.isComplete && std::get<bool>(dumped);
  return use;
}

}  // namespace mailherd
