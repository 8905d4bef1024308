#include "peer.h"

#include <sys/socket.h>

#include <cerrno>

namespace mailherd {

Result<Peer> PeerOf(int socket) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return SysError{errno, "getsockopt", "SO_PEERCRED"};
  return Peer{peer.uid, peer.gid};
}

}  // namespace mailherd
