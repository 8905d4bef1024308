#include "file_packer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "beneath.h"

namespace mailherd {

namespace {

constexpr size_t kPieceBytes = 256 * 1024;
constexpr size_t kBlock = 512;
constexpr size_t kNameBytes = 100;
constexpr size_t kPrefixAt = 345;
constexpr size_t kPrefixBytes = 155;

/// `1.M1.host,S=5:2,FSab` without `ab`.
std::string_view WithoutKeywords(std::string_view path) {
  const size_t end = path.find_last_not_of("abcdefghijklmnopqrstuvwxyz");
  const size_t flags = end == std::string_view::npos ? end : path.find_last_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ", end);
  const bool isName = flags != std::string_view::npos && flags >= 2 && path.substr(flags - 2, 3) == ":2,";
  return isName ? path.substr(0, end + 1) : path;
}

/// Where a name is cut for its two fields: 0, not at all; npos, it does not fit.
size_t Cut(std::string_view name) {
  if (name.size() <= kNameBytes) return 0;
  for (size_t at = name.find('/'); at != std::string_view::npos; at = name.find('/', at + 1)) {
    const size_t rest = name.size() - at - 1;
    if (at > 0 && at <= kPrefixBytes && rest > 0 && rest <= kNameBytes) return at;
  }
  return std::string_view::npos;
}

void PutOctal(char* field, int digits, uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
  std::memcpy(field, text, static_cast<size_t>(digits));
}

/// @return false for what a header has no room for.
bool AddHeader(std::vector<char>& bytes, std::string_view name, const struct stat& file) {
  const size_t cut = Cut(name);
  const auto size = static_cast<uint64_t>(file.st_size);
  if (cut == std::string_view::npos || size >= (1ULL << 33) || file.st_mtime < 0 || file.st_mtime >= (1LL << 33)) return false;
  std::array<char, kBlock> header{};
  const std::string_view rest = cut == 0 ? name : name.substr(cut + 1);
  std::memcpy(header.data(), rest.data(), rest.size());
  if (cut > 0) std::memcpy(header.data() + kPrefixAt, name.data(), cut);
  PutOctal(header.data() + 100, 7, file.st_mode & 0777);
  // Owner and group: whoever unpacks.
  PutOctal(header.data() + 108, 7, 0);
  PutOctal(header.data() + 116, 7, 0);
  PutOctal(header.data() + 124, 11, size);
  PutOctal(header.data() + 136, 11, static_cast<uint64_t>(file.st_mtime));
  std::memset(header.data() + 148, ' ', 8);
  header[156] = '0';
  std::memcpy(header.data() + 257, "ustar\00000", 8);
  uint64_t sum = 0;
  for (const char byte : header) sum += static_cast<uint8_t>(byte);
  PutOctal(header.data() + 148, 6, sum);
  header[154] = '\0';
  bytes.insert(bytes.end(), header.begin(), header.end());
  return true;
}

}  // namespace

Result<PackedPiece> FilePacker::Next() {
  PackedPiece piece;
  piece.bytes.reserve(kPieceBytes);
  if (!directory_) {
    directory_ = OpenResolved(root_.c_str(), O_PATH | O_DIRECTORY);
    if (!directory_) return SysError{errno, "open", root_};
  }
  while (piece.bytes.size() + kBlock < kPieceBytes && at_ < paths_.size()) {
    if (!file_) {
      if (auto failed = Open(piece)) return *failed;
      if (!file_) continue;
    }
    if (auto failed = Read(piece)) return *failed;
  }
  piece.isLast = at_ == paths_.size();
  return piece;
}

std::optional<SysError> FilePacker::Open(PackedPiece& piece) {
  const std::string& path = paths_[at_];
  // Whoever has put something else there, or a link on the way to it, does not have it opened.
  UniqueFd file = OpenBeneath(directory_.get(), path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!file && (errno == ENOENT || errno == ENOTDIR)) {
    at_++;
    return std::nullopt;
  }
  struct stat found;
  if (!file || ::fstat(file.get(), &found) != 0) return SysError{errno, "open", path};
  if (!S_ISREG(found.st_mode)) return SysError{EINVAL, "no plain file", path};
  if (!AddHeader(piece.bytes, options_.dropsKeywords ? WithoutKeywords(path) : path, found)) return SysError{EOVERFLOW, "too long for the archive", path};
  size_ = left_ = static_cast<uint64_t>(found.st_size);
  digest_.Begin();
  file_ = std::move(file);
  return std::nullopt;
}

std::optional<SysError> FilePacker::Read(PackedPiece& piece) {
  auto& bytes = piece.bytes;
  while (left_ > 0 && bytes.size() < kPieceBytes) {
    const size_t from = bytes.size();
    const auto part = static_cast<size_t>(std::min<uint64_t>(left_, kPieceBytes - from));
    bytes.resize(from + part);
    const ssize_t got = ::read(file_.get(), bytes.data() + from, part);
    if (got < 0 && errno != EINTR) return SysError{errno, "read", paths_[at_]};
    if (got == 0) return SysError{ENODATA, "a file has become shorter", paths_[at_]};
    bytes.resize(from + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) continue;
    if (options_.hasSums) digest_.Add(bytes.data() + from, static_cast<size_t>(got));
    left_ -= static_cast<uint64_t>(got);
  }
  if (left_ > 0) return std::nullopt;
  bytes.resize(bytes.size() + (kBlock - size_ % kBlock) % kBlock);
  piece.files.push_back(static_cast<uint32_t>(at_++));
  piece.sizes.push_back(static_cast<double>(size_));
  if (options_.hasSums) {
    const TextSum sum = digest_.End();
    piece.sums.insert(piece.sums.end(), sum.begin(), sum.end());
  }
  file_.reset();
  return std::nullopt;
}

}  // namespace mailherd
