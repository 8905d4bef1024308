#include "ledger.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace mailherd {

namespace {

constexpr std::string_view kEnd = "end";
constexpr size_t kEntryBytesMax = 4'096;

/// Names of knobs as names of files: only one of a disk has a slash.
std::string FileOf(std::string_view knob) {
  std::string name(knob);
  std::replace(name.begin(), name.end(), '/', ':');
  return name;
}

}  // namespace

bool Entry::IsOurs(std::string_view value) const noexcept { return std::find(ours.begin(), ours.end(), value) != ours.end(); }

std::string EntryText(const Entry& entry) {
  std::string text = "boot " + entry.boot + "\nknob " + entry.knob + "\nold " + entry.old + "\n";
  for (const std::string& value : entry.ours) text += "ours " + value + "\n";
  text += "expires " + std::to_string(entry.expires_s) + "\nreason " + entry.reason + "\n";
  return text.append(kEnd).append("\n");
}

std::optional<Entry> ParseEntry(std::string_view text) {
  Entry entry;
  bool is_whole = false;
  while (!text.empty() && !is_whole) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const size_t blank = line.find(' ');
    const std::string_view key = line.substr(0, blank);
    const std::string_view value = blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1);
    if (key == "boot") entry.boot = value;
    else if (key == "knob") entry.knob = value;
    else if (key == "old") entry.old = value;
    else if (key == "ours") entry.ours.emplace_back(value);
    else if (key == "reason") entry.reason = value;
    else if (key == "expires") {
      if (std::from_chars(value.data(), value.data() + value.size(), entry.expires_s).ec != std::errc{}) return std::nullopt;
    } else if (key == kEnd) is_whole = true;
    else return std::nullopt;
  }
  const bool is_complete = is_whole && !entry.boot.empty() && !entry.knob.empty() && !entry.old.empty() && !entry.ours.empty();
  return is_complete ? std::optional(std::move(entry)) : std::nullopt;
}

Result<Ledger> Ledger::Open(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return SysError{errno, "open", directory};
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return SysError{errno, "flock", directory};
  return Ledger(std::move(fd), directory);
}

std::optional<SysError> Ledger::Put(const Entry& entry) const {
  const std::string name = FileOf(entry.knob);
  const std::string beside = name + "~";
  const std::string text = EntryText(entry);
  UniqueFd file(::openat(directory_.get(), beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return SysError{errno, "open", path_ + "/" + beside};
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  if (written < 0 || static_cast<size_t>(written) != text.size()) return SysError{written < 0 ? errno : ENOSPC, "write", path_ + "/" + beside};
  if (::fsync(file.get()) != 0) return SysError{errno, "fsync", path_ + "/" + beside};
  if (::renameat(directory_.get(), beside.c_str(), directory_.get(), name.c_str()) != 0) return SysError{errno, "rename", path_ + "/" + name};
  if (::fsync(directory_.get()) != 0) return SysError{errno, "fsync", path_};
  return std::nullopt;
}

std::optional<SysError> Ledger::Remove(const std::string& knob) const {
  const std::string name = FileOf(knob);
  if (::unlinkat(directory_.get(), name.c_str(), 0) != 0 && errno != ENOENT) return SysError{errno, "unlink", path_ + "/" + name};
  return std::nullopt;
}

Result<std::optional<Entry>> Ledger::Find(const std::string& knob) const {
  const std::string name = FileOf(knob);
  const UniqueFd file(::openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::optional<Entry>();
  if (!file) return SysError{errno, "open", path_ + "/" + name};
  std::array<char, kEntryBytesMax> buffer;
  const ssize_t length = ::read(file.get(), buffer.data(), buffer.size());
  if (length < 0) return SysError{errno, "read", path_ + "/" + name};
  std::optional<Entry> entry = ParseEntry(std::string_view(buffer.data(), static_cast<size_t>(length)));
  if (!entry || entry->knob != knob) return SysError{EBADMSG, "parse", path_ + "/" + name};
  return entry;
}

Result<std::vector<Entry>> Ledger::All() const {
  const int fd = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SysError{errno, "open", path_};
  DIR* listing = ::fdopendir(fd);
  if (listing == nullptr) {
    ::close(fd);
    return SysError{errno, "fdopendir", path_};
  }
  std::vector<Entry> entries;
  while (const dirent* found = ::readdir(listing)) {
    std::string name = found->d_name;
    if (name.front() == '.' || name.back() == '~') continue;
    std::replace(name.begin(), name.end(), ':', '/');
    auto entry = Find(name);
    // One file that somebody spoilt must not keep the others from being restored.
    if (Failure(entry) == nullptr && std::get<0>(entry)) entries.push_back(std::move(*std::get<0>(entry)));
  }
  ::closedir(listing);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.knob < b.knob; });
  return entries;
}

}  // namespace mailherd
