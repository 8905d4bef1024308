#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "arrivals.h"
#include "listing.h"
#include "queue_rotation.h"
#include "result.h"

namespace mailherd {

/// How much a walk may cost. No level opens a message but for the few that are asked for.
enum class QueueLevel {
  names,   // directory listings only, of the directories that have changed: counts, ages of long queue ids, sizes of the directories
  ages,    // and one statx for each short queue id that was not seen before
  rotate,  // and one statx for some messages of each queue, others each time (see QueueRotation)
  stat,    // and one statx for every message
};

/// Counts are messages; ages are of incoming, active and deferred, by true arrival. NaN = not known. What comes of statx is of the
/// messages that were asked (`asked` of all queues together; `scheduled` of deferred in this walk), bytes are projected onto the rest.
inline constexpr std::array kQueueFields = {
    "maildrop",  "incoming",   "active",      "deferred", "hold",    "maildropBytes", "incomingBytes", "activeBytes", "deferredBytes",
    "holdBytes", "aged",       "unaged",      "foreign",  "ageMsP50", "ageMsP95",     "ageMsMax",      "statCalls",   "tookMs",
    "complete",
    // Names and directories tell these.
    "stuckIncoming", "directoryBytes", "directoryBytesMax", "buckets", "bucketMax", "directoriesKept",
    "directoriesFollowed", "changesHeard", "changesLost", "listingsWrong", "followErrno",
    // Statx tells these.
    "asked", "halfWritten", "forceExpire", "unthrottle", "scheduled", "due", "within1", "within5", "within15", "within60", "later",
    "herd", "herdInMs",
    "opened",
};

struct QueueValues {
  std::array<double, kQueueFields.size()> numbers;
  /// Where the opened messages go, one entry each that told it.
  std::vector<std::string> domains;
};

/// Walks the queue directories of one Postfix instance. Remembers when each short-id message arrived (a queue file's birth time
/// never changes) and the names in directories (see Listings), so that the next walk need not ask again. Not for two threads at once.
class QueueWalk {
 public:
  explicit QueueWalk(std::string spool) : spool_(std::move(spool)) {}

  /// Ends early after `budgetMs` and then says complete = 0: counts are lower bounds. Fails when one of the five directories
  /// cannot be read. Messages that move while it walks may count twice or not at all.
  /// @param opensMax so many of the messages that are asked for are opened too, for the domain of their recipient.
  Result<QueueValues> Run(QueueLevel level, double budgetMs, uint32_t opensMax) noexcept;

 private:
  class Pass;

  std::string spool_;
  std::vector<char> entries_;
  Arrivals arrivals_;
  Listings listings_;
  std::array<QueueRotation, 5> rotations_;
  std::array<int64_t, 5> counted_{};  // by the last walk
  uint32_t walk_ = 0;
};

}  // namespace mailherd
