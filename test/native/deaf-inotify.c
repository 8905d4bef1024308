// Preloaded: nothing that leaves a directory is told by inotify.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/inotify.h>

int inotify_add_watch(int fd, const char *path, uint32_t mask) {
  static __typeof__(&inotify_add_watch) real = NULL;
  if (real == NULL) real = (__typeof__(&inotify_add_watch))dlsym(RTLD_NEXT, "inotify_add_watch");
  return real(fd, path, mask & ~(uint32_t)(IN_DELETE | IN_MOVED_FROM));
}
