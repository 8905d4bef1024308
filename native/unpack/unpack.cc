// mailherd-unpack: writes a seed below the present directory, run as the owner of the mailbox. It takes what a mailbox of that format holds
// and nothing else: plain files and directories, no links, no path that leads elsewhere.
//   mailherd-unpack FORMAT BYTES_MAX
//     from descriptor 3: ustar archives, then a text that begins with {, then the end
//     to stdout, which is closed then: how many files there were, a line, then that text
//     from stdin: paths of files to remove after all, each ended by a zero byte
// What is wrong is told on stderr, with exit code 1.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "mail_paths.h"
#include "tree.h"
#include "ustar.h"

namespace mailherd {

namespace {

constexpr int kStreamFd = 3;
constexpr size_t kPieceBytes = 256 * 1024;
constexpr size_t kTailBytesMax = 16 * 1024 * 1024;
/// A peer that sends nothing for so long is given up.
constexpr int kIdleMs = 5 * 60 * 1000;
constexpr int kExitUsage = 2;

using Trouble = std::optional<std::string>;

Trouble Told(const std::optional<SysError>& error) {
  if (!error) return std::nullopt;
  return std::string(error->op) + " " + error->path + ": " + std::strerror(error->err);
}

/// The next bytes of a socket that does not wait by itself, or of a pipe. @param got 0: the end.
Trouble ReadSome(int fd, char* buffer, size_t size, size_t& got) {
  for (;;) {
    const ssize_t length = ::read(fd, buffer, size);
    if (length >= 0) {
      got = static_cast<size_t>(length);
      return std::nullopt;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Told(SysError{errno, "read", "the stream"});
    pollfd waiting = {fd, POLLIN, 0};
    if (::poll(&waiting, 1, kIdleMs) == 0) return "the peer is silent";
  }
}

/// Archives in a stream that is cut anywhere, and the text behind them.
class Unpacker {
 public:
  Unpacker(MailFormat format, const char* format_name, uint64_t bytes_max, Tree& tree)
      : format_(format), format_name_(format_name), bytes_max_(bytes_max), tree_(tree) {}

  Trouble Push(const char* bytes, size_t size) {
    while (size > 0 && !is_tail_) {
      size_t taken = 0;
      if (auto trouble = content_left_ > 0 ? Content(bytes, size, taken) : padding_left_ > 0 ? Padding(size, taken) : Header(bytes, size, taken))
        return trouble;
      bytes += taken;
      size -= taken;
    }
    if (size == 0) return std::nullopt;
    if (tail_.size() + size > kTailBytesMax) return "the summary is too long";
    tail_.append(bytes, size);
    return std::nullopt;
  }

  Trouble End() const { return is_tail_ ? std::nullopt : Trouble("the stream broke off"); }

  uint64_t files() const { return files_; }
  const std::string& tail() const { return tail_; }

 private:
  Trouble Header(const char* bytes, size_t size, size_t& taken) {
    if (header_filled_ == 0 && bytes[0] == '{') {
      is_tail_ = true;
      return std::nullopt;
    }
    taken = std::min(size, kBlockBytes - header_filled_);
    std::memcpy(header_.data() + header_filled_, bytes, taken);
    header_filled_ += taken;
    if (header_filled_ < kBlockBytes) return std::nullopt;
    header_filled_ = 0;
    return IsZero(header_) ? std::nullopt : Begin();
  }

  Trouble Begin() {
    Member member;
    if (const char* wrong = ReadHeader(header_, member)) return std::string("no plain ustar archive: ") + wrong;
    if (!MayHold(format_, member.name, member.isDirectory)) return std::string("no ") + format_name_ + " holds that: " + member.name;
    if (member.isDirectory) return Told(tree_.MakeDirectory(member));
    files_++;
    bytes_ += member.bytes;
    if (bytes_ > bytes_max_) return "larger than expected";
    if (auto failed = tree_.Begin(member)) return Told(failed);
    content_left_ = member.bytes;
    padding_left_ = (kBlockBytes - member.bytes % kBlockBytes) % kBlockBytes;
    return content_left_ == 0 ? Told(tree_.End()) : std::nullopt;
  }

  Trouble Content(const char* bytes, size_t size, size_t& taken) {
    taken = static_cast<size_t>(std::min<uint64_t>(size, content_left_));
    if (auto failed = tree_.Write(bytes, taken)) return Told(failed);
    content_left_ -= taken;
    return content_left_ == 0 ? Told(tree_.End()) : std::nullopt;
  }

  Trouble Padding(size_t size, size_t& taken) {
    taken = std::min(size, padding_left_);
    padding_left_ -= taken;
    return std::nullopt;
  }

  const MailFormat format_;
  const char* const format_name_;
  const uint64_t bytes_max_;
  Tree& tree_;
  Block header_{};
  size_t header_filled_ = 0;
  uint64_t content_left_ = 0;
  size_t padding_left_ = 0;
  uint64_t files_ = 0;
  uint64_t bytes_ = 0;
  bool is_tail_ = false;
  std::string tail_;
};

Trouble Unpack(MailFormat format, const char* format_name, uint64_t bytes_max, Tree& tree) {
  Unpacker unpacker(format, format_name, bytes_max, tree);
  const auto piece = std::make_unique<char[]>(kPieceBytes);
  for (size_t got = 1; got > 0;) {
    if (auto trouble = ReadSome(kStreamFd, piece.get(), kPieceBytes, got)) return trouble;
    if (auto trouble = unpacker.Push(piece.get(), got)) return trouble;
  }
  if (auto trouble = unpacker.End()) return trouble;
  std::printf("%llu\n", static_cast<unsigned long long>(unpacker.files()));
  std::fwrite(unpacker.tail().data(), 1, unpacker.tail().size(), stdout);
  return std::fclose(stdout) == 0 ? std::nullopt : Told(SysError{errno, "write", "the summary"});
}

Trouble Remove(MailFormat format, const char* format_name, Tree& tree) {
  const auto piece = std::make_unique<char[]>(kPieceBytes);
  std::string path;
  for (size_t got = 1; got > 0;) {
    if (auto trouble = ReadSome(STDIN_FILENO, piece.get(), kPieceBytes, got)) return trouble;
    for (size_t at = 0; at < got; at++) {
      if (piece[at] != '\0') {
        path.push_back(piece[at]);
        continue;
      }
      if (!MayHold(format, path, false)) return std::string("no ") + format_name + " holds that: " + path;
      if (auto failed = tree.Remove(path)) return Told(failed);
      path.clear();
    }
  }
  return path.empty() ? std::nullopt : Trouble("the last path has no end");
}

}  // namespace

int Run(int count, char** words) {
  const auto format = count == 3 ? ToMailFormat(words[1]) : std::nullopt;
  const std::string_view limit = count == 3 ? words[2] : "";
  uint64_t bytes_max = 0;
  const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), bytes_max);
  if (!format || error != std::errc() || end != limit.data() + limit.size()) {
    std::fputs("usage: mailherd-unpack maildir|sdbox|mdbox BYTES_MAX\n", stderr);
    return kExitUsage;
  }
  UniqueFd root(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Files of mdbox that grow are sent again.
  Tree tree(std::move(root), *format == MailFormat::mdbox);
  Trouble trouble = Unpack(*format, words[1], bytes_max, tree);
  if (!trouble) trouble = Remove(*format, words[1], tree);
  if (!trouble) trouble = Told(tree.Finish());
  if (!trouble) return EXIT_SUCCESS;
  std::fprintf(stderr, "%s\n", trouble->c_str());
  return EXIT_FAILURE;
}

}  // namespace mailherd

int main(int count, char** words) { return mailherd::Run(count, words); }
