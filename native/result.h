#pragma once

#include <string>
#include <utility>
#include <variant>

namespace mailherd {

/// A refused or failed system call: which one, on what, and why.
struct SysError {
  int err;
  const char* op;  // static text: the call, or "parse"
  std::string path;
};

/// A value or the reason why there is none. Nothing in this addon throws.
template <typename T>
using Result = std::variant<T, SysError>;

template <typename T>
const SysError* Failure(const Result<T>& result) noexcept {
  return std::get_if<SysError>(&result);
}

}  // namespace mailherd
