#pragma once

#include <napi.h>

#include <algorithm>
#include <string>
#include <vector>

namespace mailherd {

inline bool IsPath(const Napi::Value& value) { return value.IsString() && value.As<Napi::String>().Utf8Value().find('\0') == std::string::npos; }

inline void ThrowType(Napi::Env env, const char* usage) { Napi::TypeError::New(env, usage).ThrowAsJavaScriptException(); }

/// Strings without NUL; false for anything else.
inline bool ReadNames(const Napi::Value& value, std::vector<std::string>& names) {
  if (!value.IsArray()) return false;
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Value one = array.Get(i);
    if (!IsPath(one)) return false;
    names.push_back(one.As<Napi::String>().Utf8Value());
  }
  return true;
}

template <typename Container>
Napi::Array ToNames(Napi::Env env, const Container& names) {
  auto array = Napi::Array::New(env, names.size());
  uint32_t at = 0;
  for (const auto& name : names) array.Set(at++, Napi::String::New(env, std::string(name)));
  return array;
}

/// Empty when the environment is ending and makes no more values.
template <typename Array, typename Container>
Array ToTyped(Napi::Env env, const Container& values) {
  Array array = Array::New(env, values.size());
  if (!array.IsEmpty()) std::copy(values.begin(), values.end(), array.Data());
  return array;
}

}  // namespace mailherd
