#include "crew.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>

namespace mailherd {

namespace {

constexpr size_t kStackBytes = 256 * 1024;
/// Making a thread costs more than reading most files; more than these wait for nothing.
constexpr size_t kIdleMax = 2;

struct Work {
  void (*run)(void*);
  void* data;
};

struct Crew {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Work> waiting;
  size_t idle = 0;  // threads that wait, less those already called
};

/// Never destroyed: threads outlive everything else.
Crew& TheCrew() {
  static auto& crew = *new Crew;
  return crew;
}

void* Serve(void* first) {
  Crew& crew = TheCrew();
  auto* given = static_cast<Work*>(first);
  Work work = *given;
  delete given;
  for (;;) {
    work.run(work.data);
    std::unique_lock lock(crew.mutex);
    if (crew.idle >= kIdleMax) return nullptr;
    crew.idle++;
    crew.wake.wait(lock, [&] { return !crew.waiting.empty(); });
    work = crew.waiting.front();
    crew.waiting.pop_front();
  }
}

}  // namespace

int RunOnThread(void (*run)(void*), void* data) noexcept {
  Crew& crew = TheCrew();
  {
    const std::lock_guard lock(crew.mutex);
    if (crew.idle > 0) {
      crew.idle--;
      crew.waiting.push_back({run, data});
      crew.wake.notify_one();
      return 0;
    }
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  auto* first = new Work{run, data};
  pthread_t thread;
  const int err = pthread_create(&thread, &attributes, Serve, first);
  pthread_attr_destroy(&attributes);
  if (err != 0) delete first;
  return err;
}

}  // namespace mailherd
