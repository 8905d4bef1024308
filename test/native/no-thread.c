// Preloaded: no thread can be made while NO_THREAD is in the environment.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *data) {
  static __typeof__(&pthread_create) real = NULL;
  if (real == NULL) real = (__typeof__(&pthread_create))dlsym(RTLD_NEXT, "pthread_create");
  return getenv("NO_THREAD") != NULL ? EAGAIN : real(thread, attributes, run, data);
}
