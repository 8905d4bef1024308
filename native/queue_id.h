#pragma once

#include <cstdint>
#include <string_view>

namespace mailherd {

/// What the name of a Postfix queue file tells.
struct QueueId {
  enum class Form { foreign, shortForm, longForm };
  Form form;
  int64_t arrivalUs;   // of the long form: microseconds since 1970
  uint64_t shortKey;   // of the short form: the name as a number, unique among the files of one queue
};

/// Long: six or more digits of base 52 with the seconds, four with the microseconds, 'z', the inode in base 51; the digits
/// are 0-9 and the consonants. Short: five hexadecimal digits of microseconds and the inode in hexadecimal: no seconds.
/// Source: postconf(5) enable_long_queue_ids, mail_queue.h of Postfix.
QueueId ParseQueueId(std::string_view name) noexcept;

}  // namespace mailherd
