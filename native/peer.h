#pragma once

#include <sys/types.h>

#include "result.h"

namespace mailherd {

struct Peer {
  uid_t uid;
  gid_t gid;
};

/// Who was at the other end of a unix socket when it was connected: SO_PEERCRED, unix(7).
Result<Peer> PeerOf(int socket) noexcept;

}  // namespace mailherd
