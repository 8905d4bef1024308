#include "mailbox_calls.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "file_packer.h"
#include "js_values.h"
#include "text_rows.h"
#include "thread_call.h"
#include "unique_fd.h"

namespace mailherd {

namespace {

Napi::Value ToTexts(Napi::Env env, const TextsRead& read) {
  auto folders = Napi::Array::New(env, read.folders.size());
  for (size_t i = 0; i < read.folders.size(); i++) {
    const auto uids = ToTyped<Napi::Uint32Array>(env, read.folders[i].uids);
    const auto sums = ToTyped<Napi::Uint8Array>(env, read.folders[i].sums);
    if (uids.IsEmpty() || sums.IsEmpty()) return {};
    auto folder = Napi::Object::New(env);
    folder.Set("guid", Napi::String::New(env, read.folders[i].guid));
    folder.Set("uids", uids);
    folder.Set("sums", sums);
    folders.Set(static_cast<uint32_t>(i), folder);
  }
  auto object = Napi::Object::New(env);
  object.Set("folders", folders);
  object.Set("odd", Napi::String::New(env, read.odd));
  object.Set("uid", Napi::Number::New(env, read.uid));
  return object;
}

Napi::Value ToPiece(Napi::Env env, const PackedPiece& piece) {
  const auto bytes = ToTyped<Napi::Uint8Array>(env, piece.bytes);
  const auto files = ToTyped<Napi::Uint32Array>(env, piece.files);
  const auto sizes = ToTyped<Napi::Float64Array>(env, piece.sizes);
  const auto sums = ToTyped<Napi::Uint8Array>(env, piece.sums);
  if (bytes.IsEmpty() || files.IsEmpty() || sizes.IsEmpty() || sums.IsEmpty()) return {};
  auto object = Napi::Object::New(env);
  object.Set("bytes", bytes);
  object.Set("files", files);
  object.Set("sizes", sizes);
  object.Set("sums", sums);
  object.Set("isLast", Napi::Boolean::New(env, piece.isLast));
  return object;
}

/// openPipe() -> [reading, writing]: descriptors, which no other program inherits
Napi::Value OpenPipe(const Napi::CallbackInfo& info) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    ToError(info.Env(), SysError{errno, "pipe2", ""}).ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  auto array = Napi::Array::New(info.Env(), 2);
  for (uint32_t i = 0; i < 2; i++) array.Set(i, Napi::Number::New(info.Env(), ends[i]));
  return array;
}

/// readTexts(descriptor) -> Promise<{folders, odd, uid}>, when it has come to its end; it is closed, also when it cannot be read
Napi::Value ReadTextsOf(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsNumber() || info[0].As<Napi::Number>().Int32Value() < 0) {
    ThrowType(info.Env(), "readTexts(descriptor: number)");
    return info.Env().Undefined();
  }
  // Owned from here on: without a thread it must be closed too, or whoever writes into it waits for ever.
  auto file = std::make_shared<UniqueFd>(info[0].As<Napi::Number>().Int32Value());
  return ThreadCall<TextsRead>::Start(info.Env(), nullptr, [file = std::move(file)] { return ReadTexts(*file); }, ToTexts);
}

/// new FilePacker(root, paths, hasSums, dropsKeywords); .next() -> Promise<{bytes, files, sizes, sums, isLast}>
class JsFilePacker : public Napi::ObjectWrap<JsFilePacker> {
 public:
  static Napi::Function Define(Napi::Env env) { return DefineClass(env, "FilePacker", {InstanceMethod<&JsFilePacker::Next>("next")}); }

  explicit JsFilePacker(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JsFilePacker>(info) {
    std::vector<std::string> paths;
    if (info.Length() != 4 || !IsPath(info[0]) || !ReadNames(info[1], paths) || !info[2].IsBoolean() || !info[3].IsBoolean()) {
      ThrowType(info.Env(), "FilePacker(root: string, paths: string[], hasSums: boolean, dropsKeywords: boolean)");
      return;
    }
    const PackerOptions options = {info[2].As<Napi::Boolean>().Value(), info[3].As<Napi::Boolean>().Value()};
    packer_ = std::make_shared<FilePacker>(info[0].As<Napi::String>().Utf8Value(), std::move(paths), options);
  }

 private:
  Napi::Value Next(const Napi::CallbackInfo& info) {
    return ThreadCall<PackedPiece>::Start(info.Env(), flight_, [packer = packer_] { return packer->Next(); }, ToPiece);
  }

  std::shared_ptr<FilePacker> packer_;
  std::shared_ptr<Flight> flight_ = std::make_shared<Flight>();
};

}  // namespace

void DefineMailboxCalls(Napi::Env env, Napi::Object exports) {
  exports.Set("openPipe", Napi::Function::New(env, OpenPipe, "openPipe"));
  exports.Set("readTexts", Napi::Function::New(env, ReadTextsOf, "readTexts"));
  exports.Set("FilePacker", JsFilePacker::Define(env));
}

}  // namespace mailherd
