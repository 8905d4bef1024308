#include "beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace mailherd {

namespace {

UniqueFd Open(int directory, const char* path, int flags, uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = resolve;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, directory, path, &how, sizeof how)));
}

}  // namespace

UniqueFd OpenBeneath(int directory, const char* path, int flags) { return Open(directory, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS); }

UniqueFd OpenResolved(const char* path, int flags) { return Open(AT_FDCWD, path, flags, RESOLVE_NO_SYMLINKS); }

}  // namespace mailherd
