// What every parser makes of any bytes: no crash, no read beyond them, and no value that could not be one.
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "../directory_watch.h"
#include "../listen_queues.h"
#include "../mounts.h"
#include "../port_use.h"
#include "../postfix_processes.h"
#include "../process_use.h"
#include "../queue_file.h"
#include "../queue_id.h"
#include "../scan.h"
#include "../smtp_peers.h"
#include "../sock_diag.h"
#include "../source_sets.h"
#include "../text_rows.h"
#include "../tune/knob.h"
#include "../tune/ledger.h"
#include "../unpack/mail_paths.h"
#include "../unpack/ustar.h"

namespace {

using namespace mailherd;

constexpr uint32_t kSequence = 7;
constexpr size_t kBytesMax = 16 * 1024;

void Require(bool isTrue) {
  if (!isTrue) std::abort();
}

void ParseTexts(std::string_view text) {
  for (const SourceSet& set : SourceSets()) {
    for (const Source& source : set.sources) {
      std::vector<int64_t> out(source.names.size(), kAbsent);
      source.parse(text, out);
      for (const int64_t value : out) Require(value >= kAbsent);
    }
  }
  const Mount mount = FindMount(text, "/var/spool/postfix");
  Require(mount.device.size() + mount.type.size() <= text.size());
  Require(ParseOpenFilesMax(text) >= kAbsent);
  Require(CountWatches(text) >= 0 && CountWatches(text) <= static_cast<int64_t>(text.size()));
  (void)IsMailSocket(text);
  const QueueId id = ParseQueueId(text);
  Require(id.form != QueueId::Form::longForm || id.arrivalUs >= 0);
  const ServiceCommand command = ParseServiceCommand(text);
  Require(command.name.size() + command.type.size() <= text.size() + 64);
  Require(FirstRecipient(text).size() <= text.size());
  const NameChanges told = ParseNameChanges(text);
  for (size_t i = 0; i < told.changes.size(); i++) {
    const NameChange& change = told.changes[i];
    Require(change.name.empty() || (change.name.data() >= text.data() && change.name.data() + change.name.size() <= text.data() + text.size()));
    Require(change.name.find('\0') == std::string_view::npos);
    if (i > 0) Require(std::tie(told.changes[i - 1].watch, told.changes[i - 1].name) < std::tie(change.watch, change.name));
  }
}

std::string Told(const TextsRead& read) {
  std::string told = read.odd + '\n' + std::to_string(read.uid);
  for (const FolderTexts& folder : read.folders) {
    Require(folder.sums.size() == folder.uids.size() * std::tuple_size_v<TextSum>);
    told += '\n' + folder.guid + std::string(folder.sums.begin(), folder.sums.end());
    for (const uint32_t uid : folder.uids) told += ' ' + std::to_string(uid);
  }
  return told;
}

/// Wherever the stream is cut, it says the same.
void ParseRows(std::string_view text) {
  TextRows whole, cut;
  whole.Push(text.data(), text.size());
  for (size_t at = 0, size = 1; at < text.size(); at += size, size = size % 61 * 2 + 1) {
    size = std::min(size, text.size() - at);
    cut.Push(text.data() + at, size);
  }
  Require(Told(whole.End()) == Told(cut.End()));
}

/// What the writer of kernel values reads: its ledger and its clients' words.
void ParseTuning(std::string_view text) {
  if (const auto entry = ParseEntry(text)) Require(ParseEntry(EntryText(*entry)).has_value());
  if (const auto knob = FindKnob(text, "")) Require(knob->path.find("..") == std::string::npos);
  const std::string_view half = text.substr(0, text.size() / 2);
  for (const KnobRule& rule : KnobRules()) {
    const Knob knob{&rule, std::string(rule.name), "", ""};
    (void)Unfit(knob, half, text.substr(half.size()));
    (void)Unfit(knob, rule.kind == KnobKind::kPortRange ? "32768 60999" : "5000", text);
  }
}

/// What a program that runs as the owner of a mailbox takes from another host: no name may lead out of the mailbox.
void TakeName(std::string_view name) {
  for (const MailFormat format : {MailFormat::maildir, MailFormat::sdbox, MailFormat::mdbox}) {
    for (const bool is_directory : {false, true}) {
      if (!MayHold(format, name, is_directory)) continue;
      Require(name.front() != '/' && name.find('\0') == std::string_view::npos);
      Require(("/" + std::string(name) + "/").find("/../") == std::string::npos);
    }
  }
}

void ParseMember(std::string_view text) {
  TakeName(text.substr(0, 256));
  Block header{};
  std::copy_n(text.begin(), std::min(text.size(), header.size()), header.begin());
  Member member;
  if (ReadHeader(header, member) == nullptr) TakeName(member.name);
  // Hardly anything has the sum of a header by chance: the same with one of its own.
  std::memcpy(header.data() + 257, "ustar", 6);
  header[156] = header[156] % 2 == 0 ? '0' : '5';
  std::memset(header.data() + 148, ' ', 8);
  unsigned sum = 0;
  for (const char byte : header) sum += static_cast<uint8_t>(byte);
  (void)std::snprintf(header.data() + 148, 8, "%06o", sum);
  header[155] = ' ';
  const char* wrong = ReadHeader(header, member);
  Require(wrong == nullptr || std::strcmp(wrong, "checksum") != 0);
  if (wrong != nullptr) return;
  Require(member.name.size() <= 100 + 1 + 155 && member.mode <= 0777 && member.seconds >= 0);
  TakeName(member.name);
}

void TakeRecord(Bytes payload) {
  ListenQueue queue;
  if (ReadTcpQueue(payload, queue)) Require(!queue.name.empty() && queue.depth >= 0 && queue.limit >= 0);
  if (ReadUnixQueue(payload, queue)) Require(queue.name.size() <= 108 && queue.depth >= 0 && queue.limit >= 0);
  PortUse use;
  use.Take(payload);
  Require(use.sources.size() <= 1);
  SmtpPeers peers;
  peers.Take(payload, {});
  for (const auto& one : peers.classes) Require(one.connections + one.connecting <= 1 && one.rttUs.size() <= 1);
}

void ParseDatagrams(Bytes bytes) {
  size_t taken = 0;
  const auto take = [&](Bytes payload) {
    taken += payload.size();
    TakeRecord(payload);
  };
  const DiagEnd end = ReadDiag(bytes, kSequence, take);
  Require(end.err >= 0 && taken <= bytes.size());
  TakeRecord(bytes);
  // Random bytes hardly ever make a header: the same behind a good one.
  const nlmsghdr header = {static_cast<uint32_t>(NLMSG_HDRLEN + bytes.size()), SOCK_DIAG_BY_FAMILY, 0, kSequence, 0};
  std::vector<std::byte> framed(NLMSG_HDRLEN + bytes.size());
  std::memcpy(framed.data(), &header, sizeof header);
  if (!bytes.empty()) std::memcpy(framed.data() + NLMSG_HDRLEN, bytes.data(), bytes.size());
  (void)ReadDiag(framed, kSequence, take);
}

/// An error on purpose in place of the parsers, behind more than chance finds: by it a test sees that the search goes by what the code does.
const bool kIsPlanted = std::getenv("MAILHERD_FUZZ_PLANTED") != nullptr;

void FallIntoTrap(std::string_view text) {
  uint64_t magic = 0;
  if (text.size() < 10 || text[0] != '\x8b' || text[1] != '\x7f') return;
  std::memcpy(&magic, text.data() + 2, sizeof magic);
  Require(magic != 0x9e3779b97f4a7c15);
}

}  // namespace

// Node's own executable has the real ones; here the sum of the bytes tells texts apart as well.
extern "C" int SHA256_Init(SHA256_CTX* context) { return *context = {}, 1; }
extern "C" int SHA256_Update(SHA256_CTX* context, const void* bytes, size_t size) {
  for (size_t i = 0; i < size; i++) context->h[0] = context->h[0] * 31 + static_cast<const uint8_t*>(bytes)[i];
  return 1;
}
extern "C" int SHA256_Final(unsigned char* sum, SHA256_CTX* context) { return std::memcpy(sum, context->h, sizeof context->h), 1; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > kBytesMax) return 0;
  if (kIsPlanted) {
    FallIntoTrap({reinterpret_cast<const char*>(data), size});
    return 0;
  }
  // A copy of its own for each: what is read beyond its end is seen.
  const std::vector<char> text(data, data + size);
  ParseTexts({text.data(), text.size()});
  ParseRows({text.data(), text.size()});
  ParseTuning({text.data(), text.size()});
  ParseMember({text.data(), text.size()});
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data), reinterpret_cast<const std::byte*>(data) + size);
  ParseDatagrams(bytes);
  return 0;
}
