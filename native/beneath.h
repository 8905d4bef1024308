#pragma once

#include "unique_fd.h"

namespace mailherd {

/// Opens what lies below a directory, over no symbolic link and never out of it, whatever somebody has put there.
/// @return none, with errno; ELOOP: a link.
UniqueFd OpenBeneath(int directory, const char* path, int flags);

/// Opens an absolute path that has been resolved: no part of it may have become a symbolic link since. @return none, with errno.
UniqueFd OpenResolved(const char* path, int flags);

}  // namespace mailherd
