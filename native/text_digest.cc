#include "text_digest.h"

#include <cstring>

namespace mailherd {

void TextDigest::Begin() {
  SHA256_Init(&context_);
  endsInCr_ = false;
}

void TextDigest::Add(const char* bytes, size_t size) {
  if (size == 0) return;
  if (endsInCr_ && bytes[0] != '\n') SHA256_Update(&context_, "\r", 1);
  endsInCr_ = bytes[size - 1] == '\r';
  const char* const end = bytes + size - (endsInCr_ ? 1 : 0);
  const char* from = bytes;
  for (const char* at = from; at < end;) {
    const auto* found = static_cast<const char*>(std::memchr(at, '\r', static_cast<size_t>(end - at)));
    if (found == nullptr) break;
    at = found + 1;
    if (at >= end || *at != '\n') continue;
    SHA256_Update(&context_, from, static_cast<size_t>(found - from));
    from = at;
  }
  SHA256_Update(&context_, from, static_cast<size_t>(end - from));
}

TextSum TextDigest::End() {
  if (endsInCr_) SHA256_Update(&context_, "\r", 1);
  TextSum sum;
  SHA256_Final(sum.data(), &context_);
  return sum;
}

}  // namespace mailherd
