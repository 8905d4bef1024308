#include "crew.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
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

/// The thread that runs what is in line, until another one takes its place.
struct Keeper {
  Keeper() noexcept { ::sem_init(&called, 0, 0); }

  pthread_t thread = {};
  sem_t called;  // not a condition: its mutex costs who is woken one more call of the kernel
  int cpu = -1;  // where alone it may run; -1: anywhere
};

struct Crew {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Work> waiting;  // for threads that were called
  size_t idle = 0;           // threads that wait, less those already called

  std::deque<Work> line;
  void (*end)() = nullptr;   // when it is empty
  Keeper* keeper = nullptr;  // owned by its thread, which goes when this is another one
  bool isServed = false;     // the keeper was called and has not come to the end of the line
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

/// @return 0, or the errno of a thread that could not be made: then `thread` is as before.
int StartThread(void* (*run)(void*), void* data, pthread_t& thread) noexcept {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_t made;
  const int err = pthread_create(&made, &attributes, run, data);
  pthread_attr_destroy(&attributes);
  if (err == 0) thread = made;
  return err;
}

void* KeepLine(void* keeper) {
  const std::unique_ptr<Keeper> self(static_cast<Keeper*>(keeper));
  Crew& crew = TheCrew();
  for (;;) {
    std::unique_lock lock(crew.mutex);
    while (crew.keeper == self.get() && !crew.line.empty()) {
      const Work work = crew.line.front();
      crew.line.pop_front();
      crew.since = Clock::now();
      lock.unlock();
      work.run(work.data);
      lock.lock();
    }
    const bool isOvertaken = crew.keeper != self.get();
    if (!isOvertaken) crew.isServed = false;
    const auto end = crew.end;
    lock.unlock();
    end();
    if (isOvertaken) return nullptr;
    while (::sem_wait(&self->called) != 0) {
    }
  }
}

/// Lets a keeper that waits run where its caller does. To wake another processor, and to be woken by it, costs a third of all reading
/// together, and what one has read is not in the other's cache. One that gets no time there is overtaken by a thread that is not bound.
void BringHere(Keeper& keeper) noexcept {
  const int cpu = ::sched_getcpu();
  if (cpu < 0 || cpu >= CPU_SETSIZE || cpu == keeper.cpu) return;
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(cpu, &here);
  // Where that is refused, it runs elsewhere.
  if (pthread_setaffinity_np(keeper.thread, sizeof here, &here) == 0) keeper.cpu = cpu;
}

/// Another keeper, in the place of none or of one that hangs. Where no thread can be made now, one may be at the next call.
bool MakeKeeper(Crew& crew) noexcept {
  auto made = std::make_unique<Keeper>();
  if (StartThread(KeepLine, made.get(), made->thread) != 0) return false;
  crew.keeper = made.release();
  return true;
}

/// With the lock held. @return whom to wake, null: nobody.
Keeper* CallKeeper(Crew& crew) noexcept {
  const auto now = Clock::now();
  if (crew.line.empty() || (crew.isServed && now - crew.since < kTooLong)) return nullptr;
  Keeper* called = crew.isServed ? nullptr : crew.keeper;
  if (called != nullptr) BringHere(*called);
  else if (!MakeKeeper(crew)) return nullptr;
  crew.isServed = true;
  crew.since = now;
  return called;
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
  auto* first = new Work{run, data};
  pthread_t thread;
  const int err = StartThread(ServeCalls, first, thread);
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
  Crew& crew = TheCrew();
  std::unique_lock lock(crew.mutex);
  const auto end = crew.end;
  const bool isWaiting = !crew.line.empty();
  Keeper* called = CallKeeper(crew);
  lock.unlock();
  // Not before: who is woken wants the lock at once. Whatever becomes of it meanwhile, it does not go before it was woken.
  if (called != nullptr) ::sem_post(&called->called);
  if (end != nullptr) end();
  return isWaiting;
}

}  // namespace mailherd
