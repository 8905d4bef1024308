#pragma once

#include <napi.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "result.h"

namespace mailherd {

/// A SysError as a JS Error: {code: 'ENOENT', errno, op, path}.
inline Napi::Error ToError(Napi::Env env, const SysError& failed) {
  const char* code = ::strerrorname_np(failed.err);
  Napi::Error error = Napi::Error::New(env, std::string(failed.op) + ' ' + failed.path + ": " + ::strerrordesc_np(failed.err));
  error.Set("code", Napi::String::New(env, code == nullptr ? "EUNKNOWN" : code));
  error.Set("errno", Napi::Number::New(env, failed.err));
  error.Set("op", Napi::String::New(env, failed.op));
  error.Set("path", Napi::String::New(env, failed.path));
  return error;
}

/// Marks a reader as busy: it has buffers of its own, so a second call while one runs is refused, not queued.
class Flight {
 public:
  bool TryBegin() noexcept { return !busy_.exchange(true); }
  void End() noexcept { busy_.store(false); }

 private:
  std::atomic<bool> busy_{false};
};

/// Runs `work` on libuv's pool and settles a promise with what `convert` makes of it. `work` sees no JS value; it keeps alive
/// what it needs by what it captures, so neither garbage collection nor the end of the environment can pull that away.
template <typename T>
class AsyncCall final : public Napi::AsyncWorker {
 public:
  using Work = std::function<Result<T>()>;
  using Convert = Napi::Value (*)(Napi::Env, const T&);

  static Napi::Promise Start(Napi::Env env, std::shared_ptr<Flight> flight, Work work, Convert convert) {
    const auto deferred = Napi::Promise::Deferred::New(env);
    if (flight && !flight->TryBegin()) {
      deferred.Reject(ToError(env, SysError{EBUSY, "call", "the previous call has not ended"}).Value());
      return deferred.Promise();
    }
    auto* call = new AsyncCall(env, deferred, std::move(flight), std::move(work), convert);
    call->Queue();
    return deferred.Promise();
  }

 private:
  AsyncCall(Napi::Env env, Napi::Promise::Deferred deferred, std::shared_ptr<Flight> flight, Work work, Convert convert)
      : Napi::AsyncWorker(env), deferred_(deferred), flight_(std::move(flight)), work_(std::move(work)), convert_(convert) {}

  void Execute() override {
    result_.emplace(work_());
    if (flight_) flight_->End();
  }
  void OnOK() override {
    const Napi::HandleScope scope(Env());
    if (const auto* value = std::get_if<T>(&*result_)) {
      // A worker thread that ends completes its calls after JavaScript has ended: nobody is there to be told.
      if (const Napi::Value converted = convert_(Env(), *value); !converted.IsEmpty()) deferred_.Resolve(converted);
      return;
    }
    deferred_.Reject(ToError(Env(), std::get<SysError>(*result_)).Value());
  }

  Napi::Promise::Deferred deferred_;
  std::shared_ptr<Flight> flight_;
  Work work_;
  Convert convert_;
  std::optional<Result<T>> result_;
};

}  // namespace mailherd
