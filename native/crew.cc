#include "crew.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace mailherd {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kStackBytes = 256 * 1024;
/// Making a thread costs more than reading most files; more than these wait for nothing.
constexpr size_t kIdleMax = 2;
/// Nothing that is run in line lasts for so long unless it hangs.
constexpr auto kTooLong = std::chrono::milliseconds(20);

struct Work {
  void (*run)(void*);
  void* data;
};

struct Crew {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Work> waiting;  // for threads that were called
  size_t idle = 0;           // threads that wait, less those already called
  std::deque<Work> line;
  void (*end)() = nullptr;   // when it is empty
  uint64_t turn = 0;         // of the thread that runs what is in line; one with an earlier turn was overtaken
  bool isServed = false;
  Clock::time_point since;   // when its present piece began
};

/// Never destroyed: threads outlive everything else.
Crew& TheCrew() {
  static auto& crew = *new Crew;
  return crew;
}

void* ServeCalls(void* first) {
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

/// @param turn that this thread has.
void RunLine(void* turn) {
  const auto mine = reinterpret_cast<uintptr_t>(turn);
  Crew& crew = TheCrew();
  std::unique_lock lock(crew.mutex);
  while (crew.turn == mine && !crew.line.empty()) {
    const Work work = crew.line.front();
    crew.line.pop_front();
    crew.since = Clock::now();
    lock.unlock();
    work.run(work.data);
    lock.lock();
  }
  if (crew.turn == mine) crew.isServed = false;
  const auto end = crew.end;
  lock.unlock();
  end();
}

/// Calls a thread for the line unless one is at it. @return 0, or the errno of a thread that could not be made.
int CallForLine() noexcept {
  Crew& crew = TheCrew();
  uint64_t turn;
  {
    const std::lock_guard lock(crew.mutex);
    if (crew.line.empty() || (crew.isServed && Clock::now() - crew.since < kTooLong)) return 0;
    turn = ++crew.turn;
    crew.isServed = true;
    crew.since = Clock::now();
  }
  const int err = RunOnThread(RunLine, reinterpret_cast<void*>(static_cast<uintptr_t>(turn)));
  if (err == 0) return 0;
  const std::lock_guard lock(crew.mutex);
  if (crew.turn == turn) crew.isServed = false;
  return err;
}

}  // namespace

int RunOnThread(void (*run)(void*), void* data) noexcept {
  Crew& crew = TheCrew();
  {
    std::unique_lock lock(crew.mutex);
    if (crew.idle > 0) {
      crew.idle--;
      crew.waiting.push_back({run, data});
      lock.unlock();
      // Not before: who is woken wants the lock at once.
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
  const int err = pthread_create(&thread, &attributes, ServeCalls, first);
  pthread_attr_destroy(&attributes);
  if (err != 0) delete first;
  return err;
}

void StandInLine(void (*run)(void*), void* data, void (*end)()) noexcept {
  Crew& crew = TheCrew();
  const std::lock_guard lock(crew.mutex);
  crew.line.push_back({run, data});
  crew.end = end;
}

bool ServeLine() noexcept {
  // Where no thread can be made now, one may be at the next call.
  (void)CallForLine();
  Crew& crew = TheCrew();
  std::unique_lock lock(crew.mutex);
  const auto end = crew.end;
  const bool isWaiting = !crew.line.empty();
  lock.unlock();
  if (end != nullptr) end();
  return isWaiting;
}

}  // namespace mailherd
