#pragma once

#include <string>
#include <string_view>

namespace mailherd {

/// The first recipient that is not yet delivered, in lower case, from the first bytes of a queue file; empty when they hold none
/// whose domain can be a name: the envelope is longer, all are delivered, or it is no queue file. A file is a row of records: a type byte, the length
/// in base 128 with the low digits first, the data; 'R' is a recipient, 'D' one that is done, 'M' begins the message itself.
/// Source: rec_type.h and record.c of Postfix.
std::string FirstRecipient(std::string_view head);

}  // namespace mailherd
