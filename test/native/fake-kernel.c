// Preloaded into mailherd-tune: files below FAKE_ROOT behave as the kernel's do (a write replaces the value; of a pair it zeroes the
// twin), and the process is killed at its DIE_AT-th step, a step being each side of each call that changes something.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void step(void) {
  static long count = 0;
  const char *at = getenv("DIE_AT");
  if (at != NULL && ++count == atol(at)) kill(getpid(), SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void zero_twin(const char *path) {
  static const char *const pairs[][2] = {{"dirty_background_bytes", "dirty_background_ratio"}, {"dirty_bytes", "dirty_ratio"}};
  for (size_t pair = 0; pair < 2; pair++) {
    for (size_t side = 0; side < 2; side++) {
      const char *found = strstr(path, pairs[pair][side]);
      if (found == NULL) continue;
      char twin[512];
      snprintf(twin, sizeof twin, "%.*s%s", (int)(found - path), path, pairs[pair][1 - side]);
      int file = REAL(open)(twin, O_WRONLY | O_TRUNC);
      if (file < 0) continue;
      if (REAL(write)(file, "0\n", 2) != 2) abort();
      close(file);
    }
  }
}

ssize_t write(int fd, const void *data, size_t size) {
  step();
  char link[64], path[512];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  path[length > 0 ? length : 0] = 0;
  const char *root = getenv("FAKE_ROOT");
  if (root != NULL && strncmp(path, root, strlen(root)) == 0) {
    if (ftruncate(fd, 0) != 0) abort();
    zero_twin(path);
  }
  ssize_t written = REAL(write)(fd, data, size);
  step();
  return written;
}

int fsync(int fd) {
  step();
  int result = REAL(fsync)(fd);
  step();
  return result;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
  step();
  int result = REAL(renameat)(from_dir, from, to_dir, to);
  step();
  return result;
}

int unlinkat(int dir, const char *name, int flags) {
  step();
  int result = REAL(unlinkat)(dir, name, flags);
  step();
  return result;
}
