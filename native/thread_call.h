#pragma once

#include <napi.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "async_call.h"
#include "crew.h"
#include "result.h"

namespace mailherd {

/// Something done outside JavaScript whose end JavaScript is told.
class Errand {
 public:
  virtual ~Errand() = default;
  virtual void Finish(Napi::Env env) = 0;  // on the environment's thread
};

/// The way from other threads back into one environment. It outlives the environment for as long as a thread holds it; what comes
/// back then is dropped.
class Door : public std::enable_shared_from_this<Door> {
 public:
  /// The environment's only one; made by `Open` when the addon is loaded.
  static Door& Of(Napi::Env env) { return **env.GetInstanceData<std::shared_ptr<Door>>(); }

  static void Open(Napi::Env env) {
    auto* door = new std::shared_ptr<Door>(std::make_shared<Door>());
    env.SetInstanceData(door);
    napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "mailherd"), 0, 1, nullptr, nullptr, nullptr, Pass, &(*door)->function_);
    napi_unref_threadsafe_function(env, (*door)->function_);
    // Hooks run last added first: the door is closed before the function behind it is taken down.
    napi_add_env_cleanup_hook(env, Close, door->get());
  }

  /// An errand leaves: the environment must not end by itself meanwhile. On its thread only.
  void Leave(Napi::Env env) {
    if (out_++ == 0) napi_ref_threadsafe_function(env, function_);
  }
  void Arrive(Napi::Env env) {
    if (--out_ == 0) napi_unref_threadsafe_function(env, function_);
  }

  /// Hands an errand in, from any thread.
  void Return(std::unique_ptr<Errand> errand) {
    const std::lock_guard lock(mutex_);
    if (isOpen_ && napi_call_threadsafe_function(function_, errand.get(), napi_tsfn_nonblocking) == napi_ok) (void)errand.release();
  }

 private:
  static void Pass(napi_env env, napi_value, void*, void* data) {
    const std::unique_ptr<Errand> errand(static_cast<Errand*>(data));
    if (env != nullptr) errand->Finish(Napi::Env(env));
  }
  static void Close(void* data) {
    auto* door = static_cast<Door*>(data);
    const std::lock_guard lock(door->mutex_);
    door->isOpen_ = false;
  }

  napi_threadsafe_function function_ = nullptr;
  std::mutex mutex_;
  bool isOpen_ = true;
  int out_ = 0;
};

/// Errands whose threads run in line (crew.h): they go back together, since each time an environment is woken costs as much as a reading.
class Held {
 public:
  static void Add(std::shared_ptr<Door> door, std::unique_ptr<Errand> errand) {
    Held& held = All();
    const std::lock_guard lock(held.mutex_);
    auto& all = held.errands_;
    auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.first == door; });
    if (found == all.end()) found = all.insert(found, {std::move(door), Errands()});
    found->second.push_back(std::move(errand));
  }
  static void Return() {
    Held& held = All();
    std::vector<std::pair<std::shared_ptr<Door>, Errands>> all;
    {
      const std::lock_guard lock(held.mutex_);
      all.swap(held.errands_);
    }
    for (auto& [door, errands] : all) door->Return(std::make_unique<Together>(std::move(errands)));
  }

 private:
  using Errands = std::vector<std::unique_ptr<Errand>>;
  class Together final : public Errand {
   public:
    explicit Together(Errands errands) : errands_(std::move(errands)) {}
    void Finish(Napi::Env env) override {
      for (const auto& errand : errands_) errand->Finish(env);
    }

   private:
    Errands errands_;
  };
  /// Never destroyed: threads outlive everything else.
  static Held& All() {
    static auto& held = *new Held;
    return held;
  }

  std::mutex mutex_;
  std::vector<std::pair<std::shared_ptr<Door>, Errands>> errands_;  // of few environments, nearly always one
};

/// How a call is run: at once on a thread of its own, or in line with others of a few microseconds, when `ServeLine` is called.
enum class Way { own, inLine };

/// Runs `work` on a thread of its own and settles a promise with what `convert` makes of it. Not on libuv's pool: it has four threads,
/// and four readers that hang in the kernel would stop everything else, even the end of the process. `work` sees no JS value and keeps
/// alive what it needs by what it captures.
template <typename T>
class ThreadCall final : public Errand {
 public:
  using Work = std::function<Result<T>()>;
  using Convert = Napi::Value (*)(Napi::Env, const T&);

  static Napi::Promise Start(Napi::Env env, std::shared_ptr<Flight> flight, Work work, Convert convert, Way way = Way::own) {
    const auto deferred = Napi::Promise::Deferred::New(env);
    const auto refuse = [&](int err, const char* op, const char* what) {
      deferred.Reject(ToError(env, SysError{err, op, what}).Value());
      return deferred.Promise();
    };
    if (flight && !flight->TryBegin()) return refuse(EBUSY, "call", "the previous call has not ended");
    Door& door = Door::Of(env);
    auto call = std::unique_ptr<ThreadCall>(new ThreadCall(door.shared_from_this(), deferred, flight, std::move(work), convert));
    if (way == Way::inLine) {
      StandInLine(RunHeld, call.get(), Held::Return);
    } else if (const int err = RunOnThread(Run, call.get()); err != 0) {
      if (flight) flight->End();
      return refuse(err, "pthread_create", "a reader's thread");
    }
    (void)call.release();
    door.Leave(env);
    return deferred.Promise();
  }

  void Finish(Napi::Env env) override {
    door_->Arrive(env);
    if (const auto* value = std::get_if<T>(&*result_)) {
      if (const Napi::Value converted = convert_(env, *value); !converted.IsEmpty()) deferred_.Resolve(converted);
    } else {
      deferred_.Reject(ToError(env, std::get<SysError>(*result_)).Value());
    }
  }

 private:
  ThreadCall(std::shared_ptr<Door> door, Napi::Promise::Deferred deferred, std::shared_ptr<Flight> flight, Work work, Convert convert)
      : door_(std::move(door)), deferred_(deferred), flight_(std::move(flight)), work_(std::move(work)), convert_(convert) {}

  static std::unique_ptr<ThreadCall> Ended(void* data) {
    std::unique_ptr<ThreadCall> call(static_cast<ThreadCall*>(data));
    call->result_.emplace(call->work_());
    if (call->flight_) call->flight_->End();
    return call;
  }
  static void Run(void* data) {
    auto call = Ended(data);
    const std::shared_ptr<Door> door = call->door_;
    door->Return(std::move(call));
  }
  static void RunHeld(void* data) {
    auto call = Ended(data);
    std::shared_ptr<Door> door = call->door_;
    Held::Add(std::move(door), std::move(call));
  }

  std::shared_ptr<Door> door_;
  Napi::Promise::Deferred deferred_;
  std::shared_ptr<Flight> flight_;
  Work work_;
  Convert convert_;
  std::optional<Result<T>> result_;
};

}  // namespace mailherd
