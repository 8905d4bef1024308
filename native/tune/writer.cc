// mailherd-tune: the only program of Mailherd that writes kernel values. Root with an empty capability set, one unix socket, an
// allow-list with ranges, a ledger before every write.
//   mailherd-tune serve    [--root DIR] [--ledger DIR] [--socket PATH]
//   mailherd-tune restore  [--root DIR] [--ledger DIR]
//   mailherd-tune knobs                                the allow-list
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "hold.h"

namespace mailherd {

namespace {

constexpr int kActivationFd = 3;  // sd_listen_fds(3): SD_LISTEN_FDS_START
constexpr int kClientPatienceS = 2;
constexpr int kIdleExitS = 60;
constexpr int kRestoreRetryS = 60;
constexpr size_t kRequestBytesMax = 1'024;
constexpr int kExitUsage = 2;

struct Options {
  std::string root;
  std::string ledger = "/run/mailherd-tune";
  std::string socket;  // "" when systemd hands the socket in
};

void Say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  if (!text.empty() && text.back() != '\n') std::fputc('\n', stderr);
}

int Failed(const SysError& error) {
  Say(std::string("mailherd-tune: ") + error.op + " " + error.path + ": " + ::strerror(error.err));
  return EXIT_FAILURE;
}

Result<Holder> OpenHolder(const Options& options) {
  const std::string path = options.root + "/proc/sys/kernel/random/boot_id";
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 64> buffer;
  const ssize_t length = file ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
  if (length < 0) return SysError{errno, "read", path};
  std::string boot(buffer.data(), static_cast<size_t>(length));
  while (!boot.empty() && boot.back() == '\n') boot.pop_back();
  if (boot.empty()) return SysError{EBADMSG, "parse", path};
  Result<Ledger> ledger = Ledger::Open(options.ledger);
  if (SysError* error = std::get_if<SysError>(&ledger)) return std::move(*error);
  return Holder(std::move(std::get<Ledger>(ledger)), options.root, std::move(boot));
}

Result<UniqueFd> Listen(const std::string& path) {
  if (path.empty()) {
    const char* pid = ::getenv("LISTEN_PID");
    if (pid == nullptr || std::to_string(::getpid()) != pid) return SysError{ENOTCONN, "listen", "no socket of systemd, and no --socket"};
    return UniqueFd(kActivationFd);
  }
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return SysError{ENAMETOOLONG, "bind", path};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return SysError{errno, "socket", path};
  ::unlink(path.c_str());
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound != 0) return SysError{errno, "bind", path};
  if (::listen(fd.get(), 8) != 0) return SysError{errno, "listen", path};
  return fd;
}

/// Who may ask: root, and the owner of the socket's file. Its mode says the same; this holds when somebody has changed that.
bool MayAsk(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0) return true;
  sockaddr_un own{};
  socklen_t own_size = sizeof own;
  if (::getsockname(connection, reinterpret_cast<sockaddr*>(&own), &own_size) != 0 || own.sun_path[0] != '/') return false;
  struct stat file{};
  return ::stat(own.sun_path, &file) == 0 && file.st_uid == peer.uid;
}

/// One connection is one request and one answer.
void ServeOne(int listener, Holder& holder) {
  const UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) return;
  const timeval patience{kClientPatienceS, 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  std::string answer;
  if (!MayAsk(connection.get())) {
    answer = "refused\tFORBIDDEN\troot or the owner of the socket\n";
  } else {
    std::string request;
    std::array<char, kRequestBytesMax> buffer;
    size_t end = std::string::npos;
    while (end == std::string::npos && request.size() < kRequestBytesMax) {
      const ssize_t length = ::recv(connection.get(), buffer.data(), kRequestBytesMax - request.size(), 0);
      if (length <= 0) return;  // gone, or too slow: half a request is none
      request.append(buffer.data(), static_cast<size_t>(length));
      end = request.find('\n');
    }
    if (end != std::string::npos) request.resize(end);
    answer = end == std::string::npos ? "refused\tREQUEST_INVALID\ttoo long\n" : holder.Answer(request);
    if (request != "list") Say(request + "\t=> " + answer);
  }
  for (std::string_view rest = answer; !rest.empty();) {
    const ssize_t sent = ::send(connection.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    rest.remove_prefix(static_cast<size_t>(sent));
  }
}

int Serve(const Options& options) {
  sigset_t ending;
  ::sigemptyset(&ending);
  ::sigaddset(&ending, SIGTERM);
  ::sigaddset(&ending, SIGINT);
  ::sigprocmask(SIG_BLOCK, &ending, nullptr);
  const UniqueFd signals(::signalfd(-1, &ending, SFD_CLOEXEC));
  Result<Holder> opened = OpenHolder(options);
  if (const SysError* error = Failure(opened)) return Failed(*error);
  Holder& holder = std::get<Holder>(opened);
  // What a writer that was killed has left. The agent asks again for what is still wanted.
  Say(holder.RestoreAll());
  const Result<UniqueFd> listener = Listen(options.socket);
  if (const SysError* error = Failure(listener)) return Failed(*error);

  for (;;) {
    Say(holder.RestoreExpired());
    const int64_t next = holder.NextExpiry();
    // 0: it has expired and could not be restored just now.
    const int64_t wait_s = next < 0 ? kIdleExitS : next == 0 ? kRestoreRetryS : std::min<int64_t>(next, 3'600);
    std::array<pollfd, 2> waits{{{std::get<UniqueFd>(listener).get(), POLLIN, 0}, {signals.get(), POLLIN, 0}}};
    const int ready = ::poll(waits.data(), waits.size(), static_cast<int>(wait_s * 1'000));
    if (ready < 0 && errno != EINTR) return Failed(SysError{errno, "poll", ""});
    if (waits[1].revents != 0) break;
    if (waits[0].revents != 0) ServeOne(waits[0].fd, holder);
    // systemd starts it again for the next request.
    else if (ready == 0 && next < 0 && options.socket.empty()) return EXIT_SUCCESS;
  }
  Say(holder.RestoreAll());
  return EXIT_SUCCESS;
}

int Restore(const Options& options) {
  Result<Holder> opened = OpenHolder(options);
  if (const SysError* error = Failure(opened)) {
    // Nothing was ever changed.
    if (error->err == ENOENT && error->path == options.ledger) return EXIT_SUCCESS;
    return Failed(*error);
  }
  const std::string said = std::get<Holder>(opened).RestoreAll();
  Say(said);
  return said.find("refused\t") == std::string::npos ? EXIT_SUCCESS : EXIT_FAILURE;
}

int Knobs() {
  for (const KnobRule& rule : KnobRules()) {
    std::printf("%s\t%s\t%lld\t%lld\t%lld\t%s\n", std::string(rule.name).c_str(), std::string(rule.path).c_str(), static_cast<long long>(rule.min),
                static_cast<long long>(rule.max), static_cast<long long>(rule.step), rule.raise_only ? "raise" : "set");
  }
  return EXIT_SUCCESS;
}

int Main(int count, char** words) {
  const std::string_view verb = count > 1 ? words[1] : "";
  Options options;
  for (int i = 2; i < count; i += 2) {
    const std::string_view name = words[i];
    std::string* target = name == "--root" ? &options.root : name == "--ledger" ? &options.ledger : name == "--socket" ? &options.socket : nullptr;
    if (target == nullptr || i + 1 == count) {
      Say("mailherd-tune: --root DIR, --ledger DIR, --socket PATH");
      return kExitUsage;
    }
    *target = words[i + 1];
  }
  if (verb == "serve") return Serve(options);
  if (verb == "restore") return Restore(options);
  if (verb == "knobs") return Knobs();
  Say("usage: mailherd-tune serve|restore|knobs");
  return kExitUsage;
}

}  // namespace

}  // namespace mailherd

int main(int count, char** words) { return mailherd::Main(count, words); }
