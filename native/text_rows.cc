#include "text_rows.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

namespace mailherd {

namespace {

constexpr size_t kHeadBytesMax = 256;  // longer than any
constexpr size_t kPieceBytes = 256 * 1024;
constexpr int kPipeBytes = 1024 * 1024;

bool Take(std::string_view& text, std::string_view expected) {
  if (text.substr(0, expected.size()) != expected) return false;
  text.remove_prefix(expected.size());
  return true;
}

/// A value of its own line.
bool TakeLine(std::string_view& text, std::string_view name, std::string_view& value) {
  if (!Take(text, name)) return false;
  const size_t end = text.find('\n');
  if (end == std::string_view::npos || end == 0) return false;
  value = text.substr(0, end);
  text.remove_prefix(end + 1);
  return true;
}

template <typename Number>
bool ToNumber(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

void TextRows::Push(const char* bytes, size_t size) {
  size_t at = 0;
  while (at < size && found_.odd.empty()) {
    if (isInBody_) {
      const auto part = static_cast<size_t>(std::min<uint64_t>(left_, size - at));
      digest_.Add(bytes + at, part);
      left_ -= part;
      at += part;
      if (left_ == 0) EndBody();
      continue;
    }
    const size_t before = head_.size();
    head_.append(bytes + at, std::min(size - at, kHeadBytesMax - before));
    const size_t taken = ReadHead();
    if (taken > 0) {
      at += taken - before;
      head_.clear();
    } else if (head_.size() == kHeadBytesMax) {
      found_.odd = "what follows a text is no row: it is not as long as its size says";
    } else {
      at = size;
    }
  }
}

size_t TextRows::ReadHead() {
  std::string_view text = head_;
  // A form feed stands between rows.
  if (isWaiting_ && (Take(text, "\n"), !Take(text, "\f\n"))) return 0;
  std::string_view guid;
  std::string_view uid;
  std::string_view size;
  if (!TakeLine(text, "mailbox-guid: ", guid) || !TakeLine(text, "uid: ", uid) || !TakeLine(text, "size.physical: ", size) || !Take(text, "text:\n"))
    return 0;
  uint32_t number = 0;
  if (guid.find_first_not_of("0123456789abcdef") != std::string_view::npos || !ToNumber(uid, number) || !ToNumber(size, left_)) return 0;
  Count();
  guid_ = guid;
  uid_ = number;
  digest_.Begin();
  isInBody_ = true;
  if (left_ == 0) EndBody();
  return head_.size() - text.size();
}

void TextRows::EndBody() {
  sum_ = digest_.End();
  isInBody_ = false;
  isWaiting_ = true;
}

void TextRows::Count() {
  if (!isWaiting_) return;
  isWaiting_ = false;
  auto& folders = found_.folders;
  // Rows come folder by folder.
  if (folders.empty() || folders.back().guid != guid_) folders.push_back({guid_, {}, {}});
  folders.back().uids.push_back(uid_);
  folders.back().sums.insert(folders.back().sums.end(), sum_.begin(), sum_.end());
}

TextsRead TextRows::End() {
  if (found_.odd.empty() && isInBody_) found_.odd = "the text of a message is cut short";
  if (found_.odd.empty() && !head_.empty() && !(isWaiting_ && head_ == "\n")) found_.odd = "what follows a text is no row";
  if (found_.odd.empty()) Count();
  found_.uid = uid_;
  return std::move(found_);
}

Result<TextsRead> ReadTexts(const UniqueFd& file) {
  // Not allowed beyond a limit of the user's: it works with less.
  ::fcntl(file.get(), F_SETPIPE_SZ, kPipeBytes);
  const auto piece = std::make_unique<char[]>(kPieceBytes);
  TextRows rows;
  for (;;) {
    const ssize_t got = ::read(file.get(), piece.get(), kPieceBytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError{errno, "read", "texts"};
    if (got == 0) return rows.End();
    rows.Push(piece.get(), static_cast<size_t>(got));
  }
}

}  // namespace mailherd
