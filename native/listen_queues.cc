#include "listen_queues.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace mailherd {

namespace {

constexpr size_t kTcpRecordsMax = 4096;
constexpr size_t kUnixRecordsMax = 65536;
constexpr size_t kNameBytesMax = 108;
constexpr std::array<std::string_view, 5> kMailFolders = {"private/", "public/", "/run/dovecot/", "/var/run/dovecot/", "/var/spool/postfix"};

template <typename T>
Bytes AsBytes(const T& value) noexcept {
  return Bytes(reinterpret_cast<const std::byte*>(&value), sizeof value);
}

}  // namespace

bool ReadTcpQueue(Bytes payload, ListenQueue& queue) noexcept {
  inet_diag_msg message;
  if (payload.size() < sizeof message) return false;
  std::memcpy(&message, payload.data(), sizeof message);
  if (message.idiag_state != TCP_LISTEN) return false;
  queue = ListenQueue{std::to_string(ntohs(message.id.idiag_sport)), static_cast<double>(message.idiag_rqueue), static_cast<double>(message.idiag_wqueue)};
  return true;
}

bool ReadUnixQueue(Bytes payload, ListenQueue& queue) noexcept {
  unix_diag_msg message;
  if (payload.size() < sizeof message) return false;
  std::memcpy(&message, payload.data(), sizeof message);
  if (message.udiag_state != TCP_LISTEN) return false;
  bool isNamed = false, isMeasured = false;
  size_t at = NLMSG_ALIGN(sizeof message);
  while (at + sizeof(rtattr) <= payload.size()) {
    rtattr attribute;
    std::memcpy(&attribute, payload.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > payload.size() - at) break;
    const Bytes value = payload.subspan(at + RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0));
    if (attribute.rta_type == UNIX_DIAG_NAME && !value.empty() && value.size() <= kNameBytesMax && value[0] != std::byte{0}) {
      queue.name.assign(reinterpret_cast<const char*>(value.data()), value.size());
      queue.name.resize(std::min(queue.name.size(), queue.name.find('\0')));
      isNamed = true;
    }
    unix_diag_rqlen lengths;
    if (attribute.rta_type == UNIX_DIAG_RQLEN && value.size() >= sizeof lengths) {
      std::memcpy(&lengths, value.data(), sizeof lengths);
      queue.depth = static_cast<double>(lengths.udiag_rqueue);
      queue.limit = static_cast<double>(lengths.udiag_wqueue);
      isMeasured = true;
    }
    at += RTA_ALIGN(attribute.rta_len);
  }
  return isNamed && isMeasured;
}

bool IsMailSocket(std::string_view path) noexcept {
  return std::any_of(kMailFolders.begin(), kMailFolders.end(), [&](std::string_view folder) { return path.starts_with(folder); });
}

ListenReader::ListenReader(const std::string& run) {
  if (run.empty()) return;
  folders_ = {run + '/', "/var" + run + '/'};
  if (run.starts_with("/var/run/")) folders_.push_back(run.substr(4) + '/');
}

bool ListenReader::IsWanted(std::string_view path) const noexcept {
  return IsMailSocket(path) || std::any_of(folders_.begin(), folders_.end(), [&](const std::string& folder) { return path.starts_with(folder); });
}

Result<ListenSample> ListenReader::Run() noexcept {
  ListenSample sample;
  auto& values = sample.values;
  values.reserve(2 * (names_.tcp.size() + names_.unix.size()));
  ListenQueue one;
  size_t tcpCount = 0, unixCount = 0;
  // Sockets come in the same order as long as they are the same: names are only looked at.
  const auto name = [&](std::vector<std::string>& names, size_t at) {
    if (at < names.size() && names[at] == one.name) return;
    isTold_ = false;
    names.resize(at);
    names.push_back(one.name);
  };
  const auto take = [&](Bytes payload) {
    if (!ReadTcpQueue(payload, one)) return;
    for (size_t i = 0; i < tcpCount; i++) {
      if (names_.tcp[i] != one.name) continue;
      if (one.depth * values[2 * i + 1] > values[2 * i] * one.limit) values[2 * i] = one.depth, values[2 * i + 1] = one.limit;
      return;
    }
    name(names_.tcp, tcpCount++);
    values.insert(values.end(), {one.depth, one.limit});
  };
  const auto giveUp = [&](SysError& failed) -> Result<ListenSample> {
    isTold_ = false;
    return std::move(failed);
  };
  // Only these: all others would cost a walk of the whole table of connections.
  inet_diag_req tcpRequest = {};
  tcpRequest.idiag_states = 1U << TCP_LISTEN;
  auto tcpDumped = diag_.Dump(kDiagTcp, AsBytes(tcpRequest), kTcpRecordsMax, take);
  if (auto* failed = std::get_if<SysError>(&tcpDumped)) return giveUp(*failed);
  unix_diag_req request = {};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = 1U << TCP_LISTEN;
  request.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN;
  auto dumped = diag_.Dump(SOCK_DIAG_BY_FAMILY, AsBytes(request), kUnixRecordsMax, [&](Bytes payload) {
    if (!ReadUnixQueue(payload, one) || !IsWanted(one.name)) return;
    name(names_.unix, unixCount++);
    values.insert(values.end(), {one.depth, one.limit});
  });
  if (auto* failed = std::get_if<SysError>(&dumped)) return giveUp(*failed);
  if (tcpCount != names_.tcp.size() || unixCount != names_.unix.size()) isTold_ = false;
  names_.tcp.resize(tcpCount);
  names_.unix.resize(unixCount);
  if (!isTold_) sample.names = names_;
  isTold_ = true;
  return sample;
}

}  // namespace mailherd
