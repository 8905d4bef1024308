#pragma once

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace mailherd {

using TextSum = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

/// SHA-256 of a text that comes in pieces, lines ended by LF whatever ends them on disk: stores differ in that, and a copy between
/// them may. By the OpenSSL in Node's own executable.
class TextDigest {
 public:
  TextDigest() { Begin(); }
  void Begin();
  void Add(const char* bytes, size_t size);
  TextSum End();

 private:
  SHA256_CTX context_;
  bool endsInCr_ = false;
};

}  // namespace mailherd
