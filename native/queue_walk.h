#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "result.h"

namespace mailherd {

/// How much a walk may cost. No level opens a message.
enum class QueueLevel {
  names,  // directory listings only: counts, and ages of long queue ids
  ages,   // and one statx for each short queue id that was not seen before
  stat,   // and one statx for every message: bytes
};

/// Counts are messages; ages are of incoming, active and deferred, by true arrival. NaN = not known.
inline constexpr std::array kQueueFields = {
    "maildrop",  "incoming",   "active",      "deferred", "hold",    "maildropBytes", "incomingBytes", "activeBytes", "deferredBytes",
    "holdBytes", "aged",       "unaged",      "foreign",  "ageMsP50", "ageMsP95",     "ageMsMax",      "statCalls",   "tookMs",
    "complete",
};
using QueueValues = std::array<double, kQueueFields.size()>;

/// Walks the queue directories of one Postfix instance. Remembers when each short-id message arrived (a queue file's birth time
/// never changes), so that the next walk need not ask again. Not for two threads at once.
class QueueWalk {
 public:
  explicit QueueWalk(std::string spool) : spool_(std::move(spool)) {}

  /// Ends early after `budgetMs` and then says complete = 0: counts are lower bounds. Fails when one of the five directories
  /// cannot be read. Messages that move while it walks may count twice or not at all.
  Result<QueueValues> Run(QueueLevel level, double budgetMs) noexcept;

 private:
  struct Arrival {
    int64_t us;
    uint32_t walk;  // the last one that saw it
  };
  class Pass;

  std::string spool_;
  std::vector<char> entries_;
  std::vector<int64_t> agesUs_;
  std::unordered_map<uint64_t, Arrival> arrivals_;
  uint32_t walk_ = 0;
};

}  // namespace mailherd
