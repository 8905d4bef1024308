#include "knob.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <limits>

#include "../unique_fd.h"

namespace mailherd {

namespace {

constexpr int64_t kMiB = 1'048'576;
constexpr int64_t kPortMin = 10'240;
constexpr int64_t kPortMax = 65'535;

// docs/TUNE.md gives the reason and the source of each range.
constexpr KnobRule kRules[] = {
    {"net.core.netdev_max_backlog", "/proc/sys/net/core/netdev_max_backlog", "", KnobKind::kNumber, 1'000, 30'000, 1, true},
    {"net.core.netdev_budget", "/proc/sys/net/core/netdev_budget", "", KnobKind::kNumber, 300, 600, 1, true},
    {"net.ipv4.tcp_max_syn_backlog", "/proc/sys/net/ipv4/tcp_max_syn_backlog", "", KnobKind::kNumber, 1'024, 8'192, 1, true},
    {"net.ipv4.ip_local_port_range", "/proc/sys/net/ipv4/ip_local_port_range", "", KnobKind::kPortRange, kPortMin, kPortMax, 1, true},
    {"net.netfilter.nf_conntrack_max", "/proc/sys/net/netfilter/nf_conntrack_max", "", KnobKind::kNumber, 65'536, 4'194'304, 1, true},
    {"fs.inotify.max_user_instances", "/proc/sys/fs/inotify/max_user_instances", "", KnobKind::kNumber, 128, 65'535, 1, true},
    {"fs.inotify.max_user_watches", "/proc/sys/fs/inotify/max_user_watches", "", KnobKind::kNumber, 8'192, 4'194'304, 1, true},
    {"fs.file-max", "/proc/sys/fs/file-max", "", KnobKind::kNumber, 65'536, 100'000'000, 1, true},
    {"vm.dirty_background", "/proc/sys/vm/dirty_background_bytes", "/proc/sys/vm/dirty_background_ratio", KnobKind::kBytesOrPercent, 64 * kMiB, 4'096 * kMiB,
     kMiB, false},
    {"vm.dirty", "/proc/sys/vm/dirty_bytes", "/proc/sys/vm/dirty_ratio", KnobKind::kBytesOrPercent, 256 * kMiB, 16'384 * kMiB, kMiB, false},
    {"block.read_ahead_kb/", "/sys/block/*/queue/read_ahead_kb", "", KnobKind::kNumber, 16, 1'024, 16, false},
    {"block.wbt_lat_usec/", "/sys/block/*/queue/wbt_lat_usec", "", KnobKind::kNumber, 2'000, 75'000, 1, false},
};

/// A name of /sys/block that cannot lead elsewhere: no slash, no dot.
bool IsDisk(std::string_view name) noexcept {
  if (name.empty() || name.size() > 32) return false;
  for (const char c : name) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '!';
    if (!is_plain) return false;
  }
  return true;
}

std::string Placed(std::string_view path, std::string_view disk, const std::string& root) {
  std::string whole = root;
  const size_t star = path.find('*');
  if (star == std::string_view::npos) return whole.append(path);
  return whole.append(path.substr(0, star)).append(disk).append(path.substr(star + 1));
}

Result<std::string> ReadText(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return SysError{errno, "open", path};
  std::array<char, 256> buffer;
  const ssize_t length = ::read(file.get(), buffer.data(), buffer.size());
  if (length < 0) return SysError{errno, "read", path};
  std::string text;
  for (const char c : std::string_view(buffer.data(), static_cast<size_t>(length))) {
    const bool is_blank = c == ' ' || c == '\t' || c == '\n';
    if (!is_blank) text += c;
    else if (!text.empty() && text.back() != ' ') text += ' ';
  }
  if (!text.empty() && text.back() == ' ') text.pop_back();
  if (text.empty()) return SysError{EBADMSG, "parse", path};
  return text;
}

std::optional<SysError> WriteText(const std::string& path, std::string_view text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return SysError{errno, "open", path};
  const ssize_t length = ::write(file.get(), text.data(), text.size());
  if (length < 0) return SysError{errno, "write", path};
  if (static_cast<size_t>(length) != text.size()) return SysError{EIO, "write", path};
  return std::nullopt;
}

/// Decimal digits only; -1 for anything else.
int64_t Number(std::string_view text) noexcept {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = error == std::errc{} && end == text.data() + text.size() && !text.empty() && text.front() != '-';
  return is_whole ? value : -1;
}

struct PortRange {
  int64_t low = -1;
  int64_t high = -1;
};

PortRange Ports(std::string_view text) noexcept {
  const size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return {};
  return {Number(text.substr(0, blank)), Number(text.substr(blank + 1))};
}

const char* UnfitPorts(const KnobRule& rule, std::string_view current, std::string_view value) noexcept {
  const PortRange before = Ports(current);
  const PortRange after = Ports(value);
  if (before.low < 0 || before.high < 0) return "CURRENT_ODD";
  if (after.low < rule.min || after.high > rule.max || after.low >= after.high) return "OUT_OF_RANGE";
  // The kernel warns of ends of one parity: it then has only half as many ports for connect() as for bind().
  if (after.low % 2 == after.high % 2) return "OUT_OF_RANGE";
  return after.low > before.low || after.high < before.high ? "WOULD_LOWER" : nullptr;
}

}  // namespace

std::span<const KnobRule> KnobRules() noexcept { return kRules; }

std::optional<Knob> FindKnob(std::string_view name, const std::string& root) {
  for (const KnobRule& rule : kRules) {
    const bool is_of_disk = rule.name.back() == '/';
    if (is_of_disk ? !name.starts_with(rule.name) : name != rule.name) continue;
    const std::string_view disk = is_of_disk ? name.substr(rule.name.size()) : std::string_view();
    if (is_of_disk && !IsDisk(disk)) return std::nullopt;
    return Knob{&rule, std::string(name), Placed(rule.path, disk, root), rule.twin_path.empty() ? "" : Placed(rule.twin_path, disk, root)};
  }
  return std::nullopt;
}

Result<std::string> ReadKnob(const Knob& knob) {
  Result<std::string> text = ReadText(knob.path);
  if (knob.rule->kind != KnobKind::kBytesOrPercent || Failure(text) != nullptr || std::get<std::string>(text) != "0") return text;
  Result<std::string> percent = ReadText(knob.twin_path);
  if (Failure(percent) == nullptr) std::get<std::string>(percent) += '%';
  return percent;
}

std::optional<SysError> WriteKnob(const Knob& knob, std::string_view value) {
  const bool is_percent = knob.rule->kind == KnobKind::kBytesOrPercent && value.ends_with('%');
  return is_percent ? WriteText(knob.twin_path, value.substr(0, value.size() - 1)) : WriteText(knob.path, value);
}

const char* Unfit(const Knob& knob, std::string_view current, std::string_view value) noexcept {
  const KnobRule& rule = *knob.rule;
  if (rule.kind == KnobKind::kPortRange) return UnfitPorts(rule, current, value);
  const int64_t after = Number(value);
  if (after < rule.min || after > rule.max || after % rule.step != 0) return "OUT_OF_RANGE";
  if (!rule.raise_only) return nullptr;
  const int64_t before = Number(current);
  if (before < 0) return "CURRENT_ODD";
  return after < before ? "WOULD_LOWER" : nullptr;
}

}  // namespace mailherd
