#include "sock_diag.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

namespace mailherd {

namespace {

constexpr size_t kBufferBytes = 64 * 1024;
/// The kernel answers within the read itself; more than this is a kernel that does not answer at all.
constexpr timeval kPatience = {1, 0};

SysError Failed(int err, const char* op) { return SysError{err, op, "NETLINK_SOCK_DIAG"}; }

}  // namespace

DiagEnd ReadDiag(Bytes datagram, uint32_t sequence, const std::function<void(Bytes payload)>& take) noexcept {
  DiagEnd end;
  while (datagram.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) return end;
    const Bytes payload = datagram.subspan(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
    if (header.nlmsg_seq == sequence) {
      if (header.nlmsg_type == NLMSG_DONE) {
        end.isDone = true;
      } else if (header.nlmsg_type == NLMSG_ERROR) {
        int32_t error = -EPROTO;
        if (payload.size() >= sizeof error) std::memcpy(&error, payload.data(), sizeof error);
        end.err = error < 0 && error > -4096 ? -error : EPROTO;
      } else if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY || header.nlmsg_type == kDiagTcp) {
        take(payload);
      }
    }
    const size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step >= datagram.size()) return end;
    datagram = datagram.subspan(step);
  }
  return end;
}

Result<bool> SockDiag::Dump(uint16_t type, Bytes request, size_t recordsMax, const std::function<void(Bytes payload)>& take) noexcept {
  if (!fd_) {
    fd_ = UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    if (!fd_) return Failed(errno, "socket");
    if (::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) return Failed(errno, "setsockopt");
    buffer_.resize(kBufferBytes);
  }
  const nlmsghdr header = {static_cast<uint32_t>(NLMSG_HDRLEN + request.size()), type, NLM_F_REQUEST | NLM_F_DUMP, ++sequence_, 0};
  std::vector<std::byte> message(NLMSG_HDRLEN + request.size());
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + NLMSG_HDRLEN, request.data(), request.size());
  size_t records = 0;
  // Whatever is left of a dump that ended early must not be taken for the next one's: the socket goes with it.
  const auto giveUp = [&](auto&& result) -> Result<bool> {
    fd_.reset();
    return std::forward<decltype(result)>(result);
  };
  if (::send(fd_.get(), message.data(), message.size(), 0) < 0) return giveUp(Failed(errno, "send"));
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return giveUp(Failed(errno == EAGAIN ? ETIMEDOUT : errno, "recv"));
    const DiagEnd end = ReadDiag(Bytes(buffer_.data(), static_cast<size_t>(got)), sequence_, [&](Bytes payload) {
      if (records++ < recordsMax) take(payload);
    });
    if (end.err != 0) return giveUp(Failed(end.err, "dump"));
    if (end.isDone) return records <= recordsMax;
    if (records > recordsMax) return giveUp(false);
  }
}

}  // namespace mailherd
