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
    // Files in corrupt, which no other figure counts.
    "corrupt", "corruptBytes",
    // Statx tells these.
    "asked", "halfWritten", "forceExpire", "unthrottle", "scheduled", "due", "within1", "within5", "within15", "within60", "later",
    "herd", "herdInMs",
    "opened",
};

/// One message of incoming, active or deferred, standing for all of its queue.
struct QueueSample {
  const char* queue;
  double ageMs;           // NaN when it is not known
  bool isWhole;           // cleanup has written all of it
  std::string recipient;  // the first that still waits; empty in incoming, which is not opened, and where the message did not tell
};

struct QueueValues {
  std::array<double, kQueueFields.size()> numbers;
  std::vector<QueueSample> samples;
};

/// Walks the queue directories of one Postfix instance. Remembers when each short-id message arrived (a queue file's birth time
/// never changes) and the names in directories (see Listings), so that the next walk need not ask again. Not for two threads at once.
class QueueWalk {
 public:
  explicit QueueWalk(std::string spool) : spool_(std::move(spool)) {}

  /// Ends early after `budgetMs` and then says complete = 0: counts are lower bounds. Fails when one of the five directories
  /// cannot be read. Messages that move while it walks may count twice or not at all.
  /// @param samplesMax so many of each queue's messages that are asked for are samples, spread over the queue, others each time; those of
  /// active and deferred are opened for their recipient.
  Result<QueueValues> Run(QueueLevel level, double budgetMs, uint32_t samplesMax) noexcept;

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
