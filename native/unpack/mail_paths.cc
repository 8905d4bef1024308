#include "mail_paths.h"

#include <algorithm>
#include <vector>

namespace mailherd {

namespace {

using Parts = std::vector<std::string_view>;

/// Empty where a part of it is empty, or leads to another place.
Parts SplitPath(std::string_view path) {
  Parts parts;
  for (;;) {
    const size_t end = path.find('/');
    const std::string_view part = path.substr(0, end);
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string_view::npos) return {};
    parts.push_back(part);
    if (end == std::string_view::npos) return parts;
    path.remove_prefix(end + 1);
  }
}

/// `m.17`, by `m.`.
bool IsNumbered(std::string_view name, std::string_view prefix) {
  if (name.size() <= prefix.size() || name.substr(0, prefix.size()) != prefix) return false;
  name.remove_prefix(prefix.size());
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool IsPartOfFolder(std::string_view name) { return name == "cur" || name == "new" || name == "tmp"; }

/// Maildir++: the INBOX, and folders `.Name` beside its messages.
bool MayHoldMaildir(Parts parts, bool is_directory) {
  const bool is_below = parts.front().front() == '.';
  if (is_below) parts.erase(parts.begin());
  if (is_directory) return parts.empty() ? is_below : parts.size() == 1 && IsPartOfFolder(parts[0]);
  if (parts.size() == 2) return (parts[0] == "cur" || parts[0] == "new") && parts[1].front() != '.';
  return parts.size() == 1 && (parts[0] == "dovecot-uidlist" || parts[0] == "dovecot-keywords" || parts[0] == "maildirfolder");
}

bool MayHoldDbox(const Parts& parts, bool is_multi, bool is_directory) {
  const bool is_storage = parts[0] == "storage";
  if (is_directory) return parts[0] == "mailboxes" || (is_storage && parts.size() == 1);
  const std::string_view name = parts.back();
  if (is_storage) return is_multi && parts.size() == 2 && (IsNumbered(name, "m.") || name == "dovecot.map.index" || name == "dovecot.map.index.log");
  if (parts[0] != "mailboxes" || parts.size() < 4 || parts[parts.size() - 2] != "dbox-Mails") return false;
  return name == "dovecot.index" || name == "dovecot.index.log" || (!is_multi && IsNumbered(name, "u."));
}

}  // namespace

std::optional<MailFormat> ToMailFormat(std::string_view name) noexcept {
  if (name == "maildir") return MailFormat::maildir;
  if (name == "sdbox") return MailFormat::sdbox;
  if (name == "mdbox") return MailFormat::mdbox;
  return std::nullopt;
}

bool MayHold(MailFormat format, std::string_view path, bool is_directory) {
  if (is_directory && !path.empty() && path.back() == '/') path.remove_suffix(1);
  const Parts parts = SplitPath(path);
  if (parts.empty()) return false;
  return format == MailFormat::maildir ? MayHoldMaildir(parts, is_directory) : MayHoldDbox(parts, format == MailFormat::mdbox, is_directory);
}

}  // namespace mailherd
