#include "kernel_calls.h"

#include <cmath>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "block_queue.h"
#include "js_values.h"
#include "kernel_reader.h"
#include "listen_queues.h"
#include "port_use.h"
#include "pressure_watch.h"
#include "process_use.h"
#include "thread_call.h"

namespace mailherd {

namespace {

Napi::Array ToErrors(Napi::Env env, const std::vector<SysError>& errors) {
  auto array = Napi::Array::New(env, errors.size());
  for (size_t i = 0; i < errors.size(); i++) array.Set(static_cast<uint32_t>(i), ToError(env, errors[i]).Value());
  return array;
}

Napi::Value ToKernelSample(Napi::Env env, const KernelSample& sample) {
  const auto values = ToTyped<Napi::BigInt64Array>(env, sample.values);
  if (values.IsEmpty() || !sample.errors) return values;
  auto object = Napi::Object::New(env);
  object.Set("values", values);
  object.Set("errors", ToErrors(env, *sample.errors));
  return object;
}

/// {names, values}: `columns` numbers for each name.
template <typename Rows, typename Name, typename... Column>
Napi::Value ToRows(Napi::Env env, const Rows& rows, Name name, Column... column) {
  std::vector<std::string> names;
  std::vector<double> values;
  for (const auto& row : rows) {
    names.push_back(name(row));
    (values.push_back(column(row)), ...);
  }
  const auto typed = ToTyped<Napi::Float64Array>(env, values);
  if (typed.IsEmpty()) return {};
  auto object = Napi::Object::New(env);
  object.Set("names", ToNames(env, names));
  object.Set("values", typed);
  return object;
}

Napi::Value ToListenSample(Napi::Env env, const ListenSample& sample) {
  const auto values = ToTyped<Napi::Float64Array>(env, sample.values);
  if (values.IsEmpty() || !sample.names) return values;
  auto object = Napi::Object::New(env);
  object.Set("values", values);
  object.Set("tcp", ToNames(env, sample.names->tcp));
  object.Set("unix", ToNames(env, sample.names->unix));
  return object;
}

Napi::Value ToPortUse(Napi::Env env, const PortUse& use) {
  const Napi::Value sources = ToRows(
      env, use.sources, [](const auto& source) { return source.first; }, [](const auto& source) { return source.second.sockets; },
      [](const auto& source) { return static_cast<double>(source.second.ports.count()); });
  const auto toSmtp = ToTyped<Napi::Float64Array>(env, use.toSmtp);
  if (sources.IsEmpty() || toSmtp.IsEmpty()) return {};
  auto object = Napi::Object::New(env);
  std::vector<double> peers;
  for (const SmtpPeers::Class& c : use.peers.classes) {
    peers.insert(peers.end(), {c.connections, c.connecting, c.retransmitting, c.segments, c.segmentsAgain, static_cast<double>(c.rttUs.size()), c.RttMedianUs(), c.RttMaxUs()});
  }
  const auto states = ToTyped<Napi::Float64Array>(env, use.states), peerRows = ToTyped<Napi::Float64Array>(env, peers);
  if (states.IsEmpty() || peerRows.IsEmpty()) return {};
  object.Set("toSmtp", toSmtp);
  object.Set("states", states);
  object.Set("peers", peerRows);
  object.Set("sources", sources);
  object.Set("isComplete", Napi::Boolean::New(env, use.isComplete));
  return object;
}

Napi::Value ToProcessUse(Napi::Env env, const ProcessUse& use) {
  std::vector<double> services, users;
  for (const ServiceFiles& s : use.services) services.insert(services.end(), {s.processes, s.looked, s.denied, s.openFiles, s.fullest, s.fullestMax});
  for (const auto& [uid, user] : use.users) users.insert(users.end(), {static_cast<double>(uid), user.instances, user.watches, user.processes});
  const auto serviceRows = ToTyped<Napi::Float64Array>(env, services), userRows = ToTyped<Napi::Float64Array>(env, users);
  if (serviceRows.IsEmpty() || userRows.IsEmpty()) return {};
  auto object = Napi::Object::New(env);
  object.Set("services", serviceRows);
  object.Set("users", userRows);
  object.Set("isComplete", Napi::Boolean::New(env, use.isComplete));
  return object;
}

/// new KernelReader(root, sets, subjects); .read() -> Promise<values | {values, errors}>, the latter when they differ from before
class JsKernelReader : public Napi::ObjectWrap<JsKernelReader> {
 public:
  static Napi::Function Define(Napi::Env env) { return DefineClass(env, "KernelReader", {InstanceMethod<&JsKernelReader::Read>("read")}); }

  explicit JsKernelReader(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JsKernelReader>(info) {
    std::vector<std::string> sets, subjects;
    std::vector<KernelPart> parts;
    const bool isGiven = info.Length() == 3 && IsPath(info[0]) && ReadNames(info[1], sets) && ReadNames(info[2], subjects) && sets.size() == subjects.size();
    for (size_t i = 0; isGiven && i < sets.size(); i++) {
      const auto& all = SourceSets();
      const auto found = std::find_if(all.begin(), all.end(), [&](const SourceSet& set) { return set.name == sets[i]; });
      if (found != all.end()) parts.push_back({&*found, subjects[i]});
    }
    if (!isGiven || parts.empty() || parts.size() != sets.size()) {
      ThrowType(info.Env(), "KernelReader(root: string, sets: string[], subjects: string[])");
      return;
    }
    reader_ = std::make_shared<KernelReader>(info[0].As<Napi::String>().Utf8Value(), std::move(parts));
  }

 private:
  Napi::Value Read(const Napi::CallbackInfo& info) {
    auto work = [reader = reader_]() -> Result<KernelSample> { return reader->Run(); };
    return ThreadCall<KernelSample>::Start(info.Env(), flight_, std::move(work), ToKernelSample, Way::inLine);
  }

  std::shared_ptr<KernelReader> reader_;
  std::shared_ptr<Flight> flight_ = std::make_shared<Flight>();
};

/// new ListenReader(run); .read() -> Promise<values | {values, tcp, unix}>, the latter when the names differ from before
class JsListenReader : public Napi::ObjectWrap<JsListenReader> {
 public:
  static Napi::Function Define(Napi::Env env) { return DefineClass(env, "ListenReader", {InstanceMethod<&JsListenReader::Read>("read")}); }
  explicit JsListenReader(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JsListenReader>(info) {
    if (info.Length() != 1 || !IsPath(info[0])) {
      ThrowType(info.Env(), "ListenReader(run: string)");
      return;
    }
    reader_ = std::make_shared<ListenReader>(info[0].As<Napi::String>().Utf8Value());
  }

 private:
  Napi::Value Read(const Napi::CallbackInfo& info) {
    return ThreadCall<ListenSample>::Start(info.Env(), flight_, [reader = reader_] { return reader->Run(); }, ToListenSample, Way::inLine);
  }

  std::shared_ptr<ListenReader> reader_;
  std::shared_ptr<Flight> flight_ = std::make_shared<Flight>();
};

/// new PortReader(); .read(first, last, farm) -> Promise<{toSmtp, states, peers, sources, isComplete}>
class JsPortReader : public Napi::ObjectWrap<JsPortReader> {
 public:
  static Napi::Function Define(Napi::Env env) { return DefineClass(env, "PortReader", {InstanceMethod<&JsPortReader::Read>("read")}); }
  explicit JsPortReader(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JsPortReader>(info) {}

 private:
  static bool ReadPort(const Napi::Value& value, uint16_t& port) {
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    if (!(number >= 1 && number <= 65535) || number != std::floor(number)) return false;
    port = static_cast<uint16_t>(number);
    return true;
  }
  Napi::Value Read(const Napi::CallbackInfo& info) {
    uint16_t first = 0, last = 0;
    std::vector<std::string> names;
    if (info.Length() != 3 || !ReadPort(info[0], first) || !ReadPort(info[1], last) || first > last || !ReadNames(info[2], names)) {
      ThrowType(info.Env(), "read(first: port, last: port, farm: string[])");
      return info.Env().Undefined();
    }
    AddressSet farm;
    AddressKey key;
    for (const std::string& name : names) {
      if (ReadAddress(name, key)) farm.insert(key);
    }
    auto work = [reader = reader_, first, last, farm = std::move(farm)] { return reader->Run(first, last, farm); };
    return ThreadCall<PortUse>::Start(info.Env(), flight_, std::move(work), ToPortUse);
  }

  std::shared_ptr<PortReader> reader_ = std::make_shared<PortReader>();
  std::shared_ptr<Flight> flight_ = std::make_shared<Flight>();
};

/// readProcessUse(root, groups, budgetMs) -> Promise<{services, users, isComplete}>
Napi::Value ReadProcessUseOf(const Napi::CallbackInfo& info) {
  std::vector<std::string> groups;
  const double budgetMs = info.Length() == 3 && info[2].IsNumber() ? info[2].As<Napi::Number>().DoubleValue() : -1;
  if (!(budgetMs >= 0 && budgetMs <= 3'600'000) || !IsPath(info[0]) || !ReadNames(info[1], groups)) {
    ThrowType(info.Env(), "readProcessUse(root: string, groups: string[], budgetMs: number)");
    return info.Env().Undefined();
  }
  auto work = [root = info[0].As<Napi::String>().Utf8Value(), groups = std::move(groups), budgetMs] { return ReadProcessUse(root, groups, budgetMs); };
  return ThreadCall<ProcessUse>::Start(info.Env(), nullptr, std::move(work), ToProcessUse);
}

/// Who is told of pressure. Only its environment's thread ever holds it.
struct Listener {
  Napi::FunctionReference tell;
};

class SignalErrand final : public Errand {
 public:
  SignalErrand(std::weak_ptr<Listener> listener, PressureSignal signal) : listener_(std::move(listener)), signal_(signal) {}

  void Finish(Napi::Env env) override {
    const auto listener = listener_.lock();
    if (!listener) return;
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const double lateMs = static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6 - signal_.atMs;
    listener->tell.Call({Napi::Number::New(env, static_cast<double>(signal_.trigger)), Napi::Number::New(env, lateMs)});
  }

 private:
  std::weak_ptr<Listener> listener_;
  PressureSignal signal_;
};

/// new PressureWatch(paths, isFull, shares, tell); .windowsMs, .errors, .close()
class JsPressureWatch : public Napi::ObjectWrap<JsPressureWatch> {
 public:
  static Napi::Function Define(Napi::Env env) { return DefineClass(env, "PressureWatch", {InstanceMethod<&JsPressureWatch::Close>("close")}); }

  explicit JsPressureWatch(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JsPressureWatch>(info) {
    const Napi::Env env = info.Env();
    std::vector<PressureTrigger> triggers;
    if (!ReadTriggers(info, triggers)) {
      ThrowType(env, "PressureWatch(paths: string[], isFull: boolean[], shares: number[], tell: (trigger, lateMs) => void)");
      return;
    }
    auto opened = PressureWatch::Open(triggers);
    if (const auto* failed = Failure(opened)) {
      ToError(env, *failed).ThrowAsJavaScriptException();
      return;
    }
    watch_ = std::get<std::shared_ptr<PressureWatch>>(opened);
    listener_ = std::make_shared<Listener>();
    listener_->tell = Napi::Persistent(info[3].As<Napi::Function>());
    auto tell = [door = Door::Of(env).shared_from_this(), listener = std::weak_ptr<Listener>(listener_)](PressureSignal signal) {
      door->Return(std::make_unique<SignalErrand>(listener, signal));
    };
    if (const int err = PressureWatch::Start(watch_, std::move(tell)); err != 0) {
      ToError(env, SysError{err, "pthread_create", "pressure watch"}).ThrowAsJavaScriptException();
      return;
    }
    info.This().As<Napi::Object>().Set("windowsMs", ToNumbers(env, watch_->windowsMs()));
    info.This().As<Napi::Object>().Set("errors", ToErrors(env, watch_->errors()));
  }
  ~JsPressureWatch() override { End(); }

 private:
  static bool ReadTriggers(const Napi::CallbackInfo& info, std::vector<PressureTrigger>& triggers) {
    std::vector<std::string> paths;
    if (info.Length() != 4 || !ReadNames(info[0], paths) || !info[1].IsArray() || !info[2].IsArray() || !info[3].IsFunction()) return false;
    const auto isFull = info[1].As<Napi::Array>(), shares = info[2].As<Napi::Array>();
    if (paths.empty() || paths.size() > 64 || isFull.Length() != paths.size() || shares.Length() != paths.size()) return false;
    for (uint32_t i = 0; i < paths.size(); i++) {
      const Napi::Value full = isFull.Get(i), share = shares.Get(i);
      if (!full.IsBoolean() || !share.IsNumber()) return false;
      const double part = share.As<Napi::Number>().DoubleValue();
      if (!(part > 0 && part < 1)) return false;
      triggers.push_back({paths[i], full.As<Napi::Boolean>().Value(), part});
    }
    return true;
  }
  static Napi::Array ToNumbers(Napi::Env env, const std::vector<double>& values) {
    auto array = Napi::Array::New(env, values.size());
    for (uint32_t i = 0; i < values.size(); i++) array.Set(i, Napi::Number::New(env, values[i]));
    return array;
  }
  Napi::Value Close(const Napi::CallbackInfo& info) {
    End();
    return info.Env().Undefined();
  }
  void End() {
    if (watch_) watch_->Stop();
    watch_.reset();
    listener_.reset();
  }

  std::shared_ptr<PressureWatch> watch_;
  std::shared_ptr<Listener> listener_;
};

}  // namespace

void DefineKernelCalls(Napi::Env env, Napi::Object exports) {
  auto sets = Napi::Object::New(env);
  for (const SourceSet& set : SourceSets()) sets.Set(set.name, ToNames(env, FieldsOf(set)));
  exports.Set("sourceSets", sets);
  exports.Set("schedulers", ToNames(env, kSchedulers));
  exports.Set("tcpStates", ToNames(env, kTcpStates));
  exports.Set("peerClasses", ToNames(env, kPeerClasses));
  exports.Set("KernelReader", JsKernelReader::Define(env));
  exports.Set("ListenReader", JsListenReader::Define(env));
  exports.Set("PortReader", JsPortReader::Define(env));
  exports.Set("readProcessUse", Napi::Function::New(env, ReadProcessUseOf, "readProcessUse"));
  exports.Set("PressureWatch", JsPressureWatch::Define(env));
}

}  // namespace mailherd
