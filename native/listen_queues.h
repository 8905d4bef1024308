#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "result.h"
#include "sock_diag.h"

namespace mailherd {

/// A listening socket: connections that wait to be accepted, and how many may. The limit is what listen(2) was given, cut to somaxconn
/// at that moment.
struct ListenQueue {
  std::string name;  // TCP: the port; unix: the path it was bound to
  double depth;
  double limit;
};

/// The queue in one record of inet_diag; false for anything else. Source: sock_diag(7), inet_diag_msg of a TCP_LISTEN socket.
bool ReadTcpQueue(Bytes payload, ListenQueue& queue) noexcept;

/// The same of unix_diag; false also for an abstract name. Source: sock_diag(7), UNIX_DIAG_NAME and UNIX_DIAG_RQLEN.
bool ReadUnixQueue(Bytes payload, ListenQueue& queue) noexcept;

/// True for Postfix's and Dovecot's sockets. Postfix binds below its queue directory, Dovecot below its run directory or, in
/// a queue directory, where Postfix looks for it.
bool IsMailSocket(std::string_view path) noexcept;

struct ListenNames {
  std::vector<std::string> tcp;   // one a port: the fullest of its sockets
  std::vector<std::string> unix;  // of mail services only
};

struct ListenSample {
  std::vector<double> values;        // depth and limit of each, TCP's first
  std::optional<ListenNames> names;  // unless they are those of the sample before
};

/// Reads the accept queues of this network namespace. Not for two threads at once.
class ListenReader {
 public:
  /// @param run Dovecot's base_dir where it is another than usual; empty: as usual. It may have been bound by way of /var/run or /run.
  explicit ListenReader(const std::string& run);
  Result<ListenSample> Run() noexcept;

 private:
  bool IsWanted(std::string_view path) const noexcept;

  std::vector<std::string> folders_;  // Dovecot's own, beside the usual ones
  SockDiag diag_;
  ListenNames names_;
  bool isTold_ = false;
};

}  // namespace mailherd
