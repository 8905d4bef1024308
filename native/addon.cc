#include <napi.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "give_back.h"
#include "js_values.h"
#include "kernel_calls.h"
#include "mailbox_calls.h"
#include "notify.h"
#include "peer.h"
#include "plan_call.h"
#include "postfix_processes.h"
#include "queue_walk.h"
#include "store.h"
#include "thread_call.h"

namespace mailherd {

namespace {

Napi::Value ToStore(Napi::Env env, const StoreSample& sample) {
  const auto values = ToTyped<Napi::Float64Array>(env, sample.values);
  if (values.IsEmpty() || !sample.place) return values;
  const StorePlace& place = *sample.place;
  auto object = Napi::Object::New(env);
  const auto orNull = [&](const std::string& text) { return text.empty() ? env.Null() : Napi::String::New(env, text).As<Napi::Value>(); };
  object.Set("disk", orNull(place.disk));
  object.Set("device", orNull(place.device));
  object.Set("type", orNull(place.mount.type));
  object.Set("options", Napi::String::New(env, place.mount.options));
  object.Set("values", values);
  return object;
}

Napi::Value ToQueueWalk(Napi::Env env, const QueueValues& walk) {
  const auto values = ToTyped<Napi::Float64Array>(env, walk.numbers);
  if (values.IsEmpty()) return {};
  auto object = Napi::Object::New(env);
  object.Set("values", values);
  auto samples = Napi::Array::New(env, walk.samples.size());
  for (size_t i = 0; i < walk.samples.size(); i++) {
    const QueueSample& given = walk.samples[i];
    auto sample = Napi::Object::New(env);
    sample.Set("queue", Napi::String::New(env, given.queue));
    sample.Set("ageMs", std::isnan(given.ageMs) ? env.Null() : Napi::Number::New(env, given.ageMs).As<Napi::Value>());
    sample.Set("isWhole", Napi::Boolean::New(env, given.isWhole));
    sample.Set("recipient", Napi::String::New(env, given.recipient));
    samples.Set(static_cast<uint32_t>(i), sample);
  }
  object.Set("samples", samples);
  return object;
}

/// new QueueWalker(spool); .walk(level, budgetMs, samplesMax) -> Promise<{values, samples}>
class JsQueueWalker : public Napi::ObjectWrap<JsQueueWalker> {
 public:
  static Napi::Function Define(Napi::Env env) { return DefineClass(env, "QueueWalker", {InstanceMethod<&JsQueueWalker::Walk>("walk")}); }

  explicit JsQueueWalker(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JsQueueWalker>(info) {
    if (info.Length() != 1 || !IsPath(info[0])) {
      ThrowType(info.Env(), "QueueWalker(spool: string)");
      return;
    }
    walk_ = std::make_shared<QueueWalk>(info[0].As<Napi::String>().Utf8Value());
  }

 private:
  static constexpr std::array<std::string_view, 4> kLevels = {"names", "ages", "rotate", "stat"};
  static constexpr double kSamplesMax = 64;

  Napi::Value Walk(const Napi::CallbackInfo& info) {
    constexpr const char* usage = "walk(level: 'names' | 'ages' | 'rotate' | 'stat', budgetMs: number, samplesMax: number)";
    if (info.Length() != 3 || !info[0].IsString() || !info[1].IsNumber() || !info[2].IsNumber()) {
      ThrowType(info.Env(), usage);
      return info.Env().Undefined();
    }
    const auto found = std::find(kLevels.begin(), kLevels.end(), info[0].As<Napi::String>().Utf8Value());
    const double budgetMs = info[1].As<Napi::Number>().DoubleValue();
    const double samplesMax = info[2].As<Napi::Number>().DoubleValue();
    if (found == kLevels.end() || !(budgetMs >= 0 && budgetMs <= 3'600'000) || !(samplesMax >= 0 && samplesMax <= kSamplesMax)) {
      ThrowType(info.Env(), usage);
      return info.Env().Undefined();
    }
    const auto level = static_cast<QueueLevel>(found - kLevels.begin());
    auto work = [walk = walk_, level, budgetMs, samples = static_cast<uint32_t>(samplesMax)]() -> Result<QueueValues> { return walk->Run(level, budgetMs, samples); };
    return ThreadCall<QueueValues>::Start(info.Env(), flight_, std::move(work), ToQueueWalk);
  }

  std::shared_ptr<QueueWalk> walk_;
  std::shared_ptr<Flight> flight_ = std::make_shared<Flight>();
};

/// new StoreReader(root, path); .read() -> Promise<values | {values, disk, device, type, options}>, the latter when they differ from before
class JsStoreReader : public Napi::ObjectWrap<JsStoreReader> {
 public:
  static Napi::Function Define(Napi::Env env) { return DefineClass(env, "StoreReader", {InstanceMethod<&JsStoreReader::Read>("read")}); }

  explicit JsStoreReader(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JsStoreReader>(info) {
    if (info.Length() != 2 || !IsPath(info[0]) || !IsPath(info[1])) {
      ThrowType(info.Env(), "StoreReader(root: string, path: string)");
      return;
    }
    reader_ = std::make_shared<StoreReader>(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::String>().Utf8Value());
  }

 private:
  Napi::Value Read(const Napi::CallbackInfo& info) {
    return ThreadCall<StoreSample>::Start(info.Env(), flight_, [reader = reader_] { return reader->Run(); }, ToStore, Way::inLine);
  }

  std::shared_ptr<StoreReader> reader_;
  std::shared_ptr<Flight> flight_ = std::make_shared<Flight>();
};

Napi::Value ToPostfixProcesses(Napi::Env env, const PostfixProcesses& found) {
  auto services = Napi::Array::New(env, found.services.size());
  for (size_t i = 0; i < found.services.size(); i++) {
    auto service = Napi::Object::New(env);
    service.Set("service", Napi::String::New(env, found.services[i].service));
    service.Set("processes", Napi::Number::New(env, static_cast<double>(found.services[i].processes)));
    service.Set("stressed", Napi::Number::New(env, static_cast<double>(found.services[i].stressed)));
    services.Set(static_cast<uint32_t>(i), service);
  }
  auto object = Napi::Object::New(env);
  object.Set("services", services);
  object.Set("complete", Napi::Boolean::New(env, found.complete));
  return object;
}

/// countPostfixProcesses(root, spool, processesMax) -> Promise<{services, complete}>
Napi::Value CountPostfixProcessesOf(const Napi::CallbackInfo& info) {
  const double most = info.Length() == 3 && info[2].IsNumber() ? info[2].As<Napi::Number>().DoubleValue() : -1;
  if (info.Length() != 3 || !IsPath(info[0]) || !IsPath(info[1]) || !(most >= 0 && most <= 100'000)) {
    ThrowType(info.Env(), "countPostfixProcesses(root: string, spool: string, processesMax: number)");
    return info.Env().Undefined();
  }
  auto work = [root = info[0].As<Napi::String>().Utf8Value(), spool = info[1].As<Napi::String>().Utf8Value(), limit = static_cast<uint32_t>(most)] {
    return CountPostfixProcesses(root, spool, limit);
  };
  return ThreadCall<PostfixProcesses>::Start(info.Env(), nullptr, std::move(work), ToPostfixProcesses);
}

/// serveLine() -> boolean: what waits in line is run, behind a reading that hangs by another thread; whether anything waits
Napi::Value ServeLineCall(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), ServeLine()); }

/// giveBack() -> number: bytes of the program's code and constants that are in memory no longer
Napi::Value GiveBackCall(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), static_cast<double>(GiveBack())); }

/// notifySystemd(socket, state): one datagram; throws when it cannot be sent
Napi::Value NotifySystemdOf(const Napi::CallbackInfo& info) {
  if (info.Length() != 2 || !IsPath(info[0]) || !info[1].IsString()) {
    ThrowType(info.Env(), "notifySystemd(socket: string, state: string)");
    return info.Env().Undefined();
  }
  const auto failed = NotifySystemd(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::String>().Utf8Value());
  if (failed) ToError(info.Env(), *failed).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

/// peerOf(socket) -> {uid, gid}
Napi::Value PeerOfCall(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 1 || !info[0].IsNumber()) {
    ThrowType(env, "peerOf(socket: number)");
    return env.Undefined();
  }
  const Result<Peer> found = PeerOf(info[0].As<Napi::Number>().Int32Value());
  if (const SysError* error = Failure(found)) {
    ToError(env, *error).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const Peer& peer = std::get<Peer>(found);
  auto object = Napi::Object::New(env);
  object.Set("uid", Napi::Number::New(env, peer.uid));
  object.Set("gid", Napi::Number::New(env, peer.gid));
  return object;
}

}  // namespace

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Door::Open(env);
  exports.Set("queueFields", ToNames(env, kQueueFields));
  exports.Set("storeFields", ToNames(env, kStoreFields));
  DefineKernelCalls(env, exports);
  DefineMailboxCalls(env, exports);
  exports.Set("QueueWalker", JsQueueWalker::Define(env));
  exports.Set("searchPlan", Napi::Function::New(env, SearchPlanCall, "searchPlan"));
  exports.Set("searchPlanNow", Napi::Function::New(env, SearchPlanNowCall, "searchPlanNow"));
  exports.Set("countPostfixProcesses", Napi::Function::New(env, CountPostfixProcessesOf, "countPostfixProcesses"));
  exports.Set("notifySystemd", Napi::Function::New(env, NotifySystemdOf, "notifySystemd"));
  exports.Set("peerOf", Napi::Function::New(env, PeerOfCall, "peerOf"));
  exports.Set("giveBack", Napi::Function::New(env, GiveBackCall, "giveBack"));
  exports.Set("serveLine", Napi::Function::New(env, ServeLineCall, "serveLine"));
  exports.Set("StoreReader", JsStoreReader::Define(env));
  return exports;
}

}  // namespace mailherd

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) { return mailherd::Init(env, exports); }

NODE_API_MODULE(mailherd, InitModule)
