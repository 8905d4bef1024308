#include "plan_call.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "async_call.h"
#include "plan_model.h"
#include "plan_search.h"

namespace mailherd {

namespace {

/// Reads a model out of JavaScript's own arrays and keeps these alive; nothing is copied.
class JsModel {
 public:
  explicit JsModel(const Napi::Object& model) : object_(model) {
    PlanModel& m = model_;
    m.machines = Count("machines");
    m.processes = Count("processes");
    m.resources = Count("resources");
    m.services = Count("services");
    m.locations = Count("locations");
    m.neighbourhoods = Count("neighbourhoods");
    m.balances = Count("balances");
    const size_t machines = Size(m.machines), processes = Size(m.processes), resources = Size(m.resources), services = Size(m.services), balances = Size(m.balances);
    m.capacity = Array<double>("capacity", machines * resources, napi_float64_array);
    m.safety = Array<double>("safety", machines * resources, napi_float64_array);
    m.need = Array<double>("need", processes * resources, napi_float64_array);
    m.loadWeight = Array<double>("loadWeight", resources, napi_float64_array);
    m.transient = Array<uint8_t>("transient", resources, napi_uint8_array);
    m.balanceFirst = Array<int32_t>("balanceFirst", balances, napi_int32_array);
    m.balanceSecond = Array<int32_t>("balanceSecond", balances, napi_int32_array);
    m.balanceTarget = Array<double>("balanceTarget", balances, napi_float64_array);
    m.balanceWeight = Array<double>("balanceWeight", balances, napi_float64_array);
    m.home = Array<int32_t>("home", processes, napi_int32_array);
    m.service = Array<int32_t>("service", processes, napi_int32_array);
    m.exclusive = Array<uint8_t>("exclusive", services, napi_uint8_array);
    m.spread = Array<int32_t>("spread", services, napi_int32_array);
    m.dependencyStart = Array<int32_t>("dependencyStart", services + 1, napi_int32_array);
    const size_t dependencies = m.dependencyStart == nullptr ? 0 : Size(m.dependencyStart[services]);
    m.dependencies = Array<int32_t>("dependencies", dependencies, napi_int32_array);
    m.location = Array<int32_t>("location", machines, napi_int32_array);
    m.neighbourhood = Array<int32_t>("neighbourhood", machines, napi_int32_array);
    m.moveCost = Array<double>("moveCost", processes, napi_float64_array);
    if (!object_.Get("machineMoveCost").IsNull()) m.machineMoveCost = Array<int32_t>("machineMoveCost", machines * machines, napi_int32_array);
    m.offers = Array<uint32_t>("offers", machines, napi_uint32_array);
    m.accepts = Array<uint32_t>("accepts", processes, napi_uint32_array);
    m.processMoveWeight = Number("processMoveWeight");
    m.serviceMoveWeight = Number("serviceMoveWeight");
    m.machineMoveWeight = Number("machineMoveWeight");
  }

  const PlanModel& model() const { return model_; }
  /// Name of what is missing or of the wrong length; empty when all is there.
  const std::string& wrong() const { return wrong_; }
  template <typename T>
  const T* Own(const Napi::Value& value, const char* name, size_t length, napi_typedarray_type type) {
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type || value.As<Napi::TypedArray>().ElementLength() != length) {
      if (wrong_.empty()) wrong_ = name;
      return nullptr;
    }
    kept_.push_back(Napi::Persistent(value.As<Napi::Object>()));
    return value.As<Napi::TypedArrayOf<T>>().Data();
  }

 private:
  static size_t Size(int count) { return static_cast<size_t>(std::max(0, count)); }
  double Number(const char* name) {
    const Napi::Value value = object_.Get(name);
    if (!value.IsNumber() && wrong_.empty()) wrong_ = name;
    return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
  }
  int Count(const char* name) {
    const double count = Number(name);
    if (!(count >= 0 && count <= 100'000'000) && wrong_.empty()) wrong_ = name;
    return wrong_.empty() ? static_cast<int>(count) : 0;
  }
  template <typename T>
  const T* Array(const char* name, size_t length, napi_typedarray_type type) {
    return Own<T>(object_.Get(name), name, length, type);
  }

  Napi::Object object_;
  PlanModel model_;
  std::string wrong_;
  std::vector<Napi::ObjectReference> kept_;
};

struct Task {
  std::unique_ptr<JsModel> model;
  const int32_t* start = nullptr;
  PlanLimits limits;
};

bool ReadTask(const Napi::CallbackInfo& info, Task& task) {
  const Napi::Env env = info.Env();
  if (info.Length() != 3 || !info[0].IsObject() || !info[2].IsObject()) {
    Napi::TypeError::New(env, "searchPlan(model, start: Int32Array, limits)").ThrowAsJavaScriptException();
    return false;
  }
  task.model = std::make_unique<JsModel>(info[0].As<Napi::Object>());
  task.start = task.model->Own<int32_t>(info[1], "start", static_cast<size_t>(task.model->model().processes), napi_int32_array);
  if (!task.model->wrong().empty()) {
    Napi::TypeError::New(env, "searchPlan: not a model, see " + task.model->wrong()).ThrowAsJavaScriptException();
    return false;
  }
  const auto limits = info[2].As<Napi::Object>();
  const auto number = [&](const char* name) { return limits.Get(name).ToNumber().DoubleValue(); };
  task.limits = {number("ms"), number("steps"), std::clamp(static_cast<int>(number("threads")), 1, 64), static_cast<uint64_t>(number("seed")), number("enough"), number("heat")};
  return true;
}

Napi::Value ToJs(Napi::Env env, const PlanFound& found) {
  auto assignment = Napi::Int32Array::New(env, found.assignment.size());
  if (assignment.IsEmpty()) return {};
  std::copy(found.assignment.begin(), found.assignment.end(), assignment.Data());
  auto object = Napi::Object::New(env);
  object.Set("assignment", assignment);
  object.Set("cost", Napi::Number::New(env, found.cost));
  object.Set("steps", Napi::Number::New(env, found.steps));
  return object;
}

}  // namespace

Napi::Value SearchPlanCall(const Napi::CallbackInfo& info) {
  auto task = std::make_shared<Task>();
  if (!ReadTask(info, *task)) return info.Env().Undefined();
  return AsyncCall<PlanFound>::Start(info.Env(), nullptr, [task]() -> Result<PlanFound> { return SearchPlan(task->model->model(), task->start, task->limits); }, ToJs);
}

Napi::Value SearchPlanNowCall(const Napi::CallbackInfo& info) {
  Task task;
  if (!ReadTask(info, task)) return info.Env().Undefined();
  return ToJs(info.Env(), SearchPlan(task.model->model(), task.start, task.limits));
}

}  // namespace mailherd
