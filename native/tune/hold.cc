#include "hold.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace mailherd {

namespace {

/// Nothing is ours for longer without somebody saying so again.
constexpr int64_t kSecondsMax = 86'400;
constexpr size_t kReasonBytesMax = 500;

int64_t NowS() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec;
}

std::string Refused(std::string_view code, std::string_view detail) { return "refused\t" + std::string(code) + "\t" + std::string(detail) + "\n"; }

std::string Refused(std::string_view code, const SysError& error) {
  return Refused(code, std::string(error.op) + " " + error.path + ": " + ::strerrorname_np(error.err));
}

/// Splits at tabs into at most N fields. Returns how many there are, N + 1 for more.
template <size_t N>
size_t Fields(std::string_view line, std::array<std::string_view, N>& fields) noexcept {
  for (size_t count = 0;; count++) {
    if (count == N) return N + 1;
    const size_t tab = line.find('\t');
    fields[count] = line.substr(0, tab);
    if (tab == std::string_view::npos) return count + 1;
    line.remove_prefix(tab + 1);
  }
}

/// 1..kSecondsMax, or -1.
int64_t Seconds(std::string_view text) noexcept {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = error == std::errc{} && end == text.data() + text.size();
  return is_whole && value >= 1 && value <= kSecondsMax ? value : -1;
}

}  // namespace

std::string Holder::Answer(std::string_view request) {
  const bool is_clean = std::none_of(request.begin(), request.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\t'; });
  std::array<std::string_view, 6> field;
  const size_t count = Fields(request, field);
  if (is_clean && field[0] == "list" && count == 1) return List();
  if (is_clean && field[0] == "set" && count == 6 && field[5].size() <= kReasonBytesMax) {
    const int64_t seconds = Seconds(field[4]);
    if (seconds > 0) return Change({field[1], field[2], field[3], field[5], seconds});
  }
  if (is_clean && field[0] == "renew" && count == 3) {
    const int64_t seconds = Seconds(field[2]);
    if (seconds > 0) return Renew(field[1], seconds);
  }
  if (is_clean && field[0] == "undo" && count == 2) {
    auto found = ledger_.Find(std::string(field[1]));
    if (const SysError* error = Failure(found)) return Refused("LEDGER_FAILED", *error);
    const std::optional<Entry>& entry = std::get<0>(found);
    return entry ? Undo(*entry) : Refused("NOT_HELD", field[1]);
  }
  return Refused("REQUEST_INVALID", "list | set KNOB EXPECTED VALUE SECONDS REASON | renew KNOB SECONDS | undo KNOB");
}

std::string Holder::List() const {
  auto all = ledger_.All();
  if (const SysError* error = Failure(all)) return Refused("LEDGER_FAILED", *error);
  std::string answer;
  for (const Entry& entry : std::get<0>(all)) {
    const int64_t left = std::max<int64_t>(entry.expires_s - NowS(), 0);
    answer += "held\t" + entry.knob + "\t" + entry.old + "\t" + entry.ours.front() + "\t" + std::to_string(left) + "\t" + entry.reason + "\n";
  }
  return answer + "ok\n";
}

std::string Holder::Change(const Set& wish) {
  const std::optional<Knob> knob = FindKnob(wish.knob, root_);
  if (!knob) return Refused("KNOB_UNKNOWN", wish.knob);
  auto found = ledger_.Find(knob->name);
  if (const SysError* error = Failure(found)) return Refused("LEDGER_FAILED", *error);
  const std::optional<Entry>& held = std::get<0>(found);
  const Result<std::string> read = ReadKnob(*knob);
  if (const SysError* error = Failure(read)) return Refused("READ_FAILED", *error);
  const std::string& current = std::get<0>(read);
  if (held && !held->IsOurs(current)) {
    if (const auto error = ledger_.Remove(knob->name)) return Refused("LEDGER_FAILED", *error);
    return Refused("RELEASED", current);
  }
  if (current != wish.expected) return Refused("VALUE_CHANGED", current);
  if (const char* code = Unfit(*knob, current, wish.value)) return Refused(code, wish.value);
  if (current == wish.value) return Refused("SAME_VALUE", current);

  Entry entry{boot_, knob->name, held ? held->old : current, {std::string(wish.value)}, NowS() + wish.seconds, std::string(wish.reason)};
  // Until the kernel has the new value, the one it has is ours as well.
  if (held) entry.ours.push_back(current);
  if (const auto error = ledger_.Put(entry)) return Refused("LEDGER_FAILED", *error);
  const auto failure = WriteKnob(*knob, wish.value);
  const Result<std::string> after = ReadKnob(*knob);
  if (failure || Failure(after) != nullptr || std::get<0>(after) != wish.value) {
    // Whatever the kernel made of it, it is our doing.
    const auto back = WriteKnob(*knob, entry.old);
    if (!back) (void)ledger_.Remove(knob->name);
    return failure ? Refused("WRITE_FAILED", *failure) : Refused("NOT_TAKEN", knob->path);
  }
  if (held) {
    entry.ours.resize(1);
    if (const auto error = ledger_.Put(entry)) return Refused("LEDGER_FAILED", *error);
  }
  return "ok\n";
}

std::string Holder::Renew(std::string_view name, int64_t seconds) {
  auto found = ledger_.Find(std::string(name));
  if (const SysError* error = Failure(found)) return Refused("LEDGER_FAILED", *error);
  std::optional<Entry>& entry = std::get<0>(found);
  if (!entry) return Refused("NOT_HELD", name);
  entry->expires_s = NowS() + seconds;
  if (const auto error = ledger_.Put(*entry)) return Refused("LEDGER_FAILED", *error);
  return "ok\n";
}

std::string Holder::Undo(const Entry& entry) {
  const std::optional<Knob> knob = FindKnob(entry.knob, root_);
  if (!knob) return Refused("KNOB_UNKNOWN", entry.knob);
  std::string answer;
  if (entry.boot != boot_) {
    answer = "ok\tforgotten\tof another boot\n";
  } else {
    const Result<std::string> read = ReadKnob(*knob);
    const SysError* error = Failure(read);
    // A disk that is gone took its settings with it; anything else may pass.
    if (error != nullptr && error->err != ENOENT) return Refused("READ_FAILED", *error);
    if (error != nullptr) {
      answer = "ok\tforgotten\tgone\n";
    } else if (const std::string& current = std::get<0>(read); !entry.IsOurs(current)) {
      // Also when it is the old value: then somebody has put it back, or we never got so far.
      answer = "ok\treleased\t" + current + "\n";
    } else {
      if (const auto failure = WriteKnob(*knob, entry.old)) return Refused("WRITE_FAILED", *failure);
      answer = "ok\trestored\t" + entry.old + "\n";
    }
  }
  if (const auto failure = ledger_.Remove(entry.knob)) return Refused("LEDGER_FAILED", *failure);
  return answer;
}

std::string Holder::RestoreAll() {
  auto all = ledger_.All();
  if (const SysError* error = Failure(all)) return Refused("LEDGER_FAILED", *error);
  std::string said;
  for (const Entry& entry : std::get<0>(all)) said += entry.knob + "\t" + Undo(entry);
  return said;
}

std::string Holder::RestoreExpired() {
  auto all = ledger_.All();
  if (const SysError* error = Failure(all)) return Refused("LEDGER_FAILED", *error);
  std::string said;
  for (const Entry& entry : std::get<0>(all))
    if (entry.expires_s <= NowS()) said += entry.knob + "\texpired\t" + Undo(entry);
  return said;
}

int64_t Holder::NextExpiry() const {
  auto all = ledger_.All();
  if (Failure(all) != nullptr) return -1;
  int64_t next = -1;
  for (const Entry& entry : std::get<0>(all)) {
    const int64_t left = std::max<int64_t>(entry.expires_s - NowS(), 0);
    next = next < 0 ? left : std::min(next, left);
  }
  return next;
}

}  // namespace mailherd
