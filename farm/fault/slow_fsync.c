/*
 * A disk that takes its time to confirm a write, for the programs this library is preloaded into (ld.so(8), LD_PRELOAD):
 * fsync and fdatasync sleep first, then do their work. How long is read from a file that is mapped once, when the program
 * starts: a new figure acts at once, also on programs that have changed their root directory or closed their descriptors.
 * The file holds a decimal number of milliseconds, zero or empty means no delay.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef ORDERS
#define ORDERS "/usr/local/lib/mailherd-farm/slow_fsync.ms"
#endif

enum { kDigitsMax = 6 };

static const volatile char *orders;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void Prepare(void) {
  const int saved_errno = errno;
  real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  const int fd = open(ORDERS, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    void *page = mmap(NULL, kDigitsMax, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) orders = page;
    close(fd);
  }
  errno = saved_errno;
}

static void Delay(void) {
  if (orders == NULL) return;
  long ms = 0;
  for (int i = 0; i < kDigitsMax && orders[i] >= '0' && orders[i] <= '9'; i++) ms = ms * 10 + (orders[i] - '0');
  if (ms == 0) return;
  const int saved_errno = errno;
  struct timespec left = {ms / 1000, (ms % 1000) * 1000000L};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
  errno = saved_errno;
}

int fsync(int fd) {
  Delay();
  return real_fsync(fd);
}

int fdatasync(int fd) {
  Delay();
  return real_fdatasync(fd);
}
