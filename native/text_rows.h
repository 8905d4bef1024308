#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "result.h"
#include "text_digest.h"
#include "unique_fd.h"

namespace mailherd {

/// Digests of the texts of one folder, in the order in which they came.
struct FolderTexts {
  std::string guid;
  std::vector<uint32_t> uids;
  std::vector<uint8_t> sums;
};

struct TextsRead {
  std::vector<FolderTexts> folders;
  std::string odd;  // why it is no such stream; empty: it is
  uint32_t uid = 0;  // of the message where that was found
};

/// Reads the stream of `doveadm -f pager fetch "mailbox-guid uid size.physical text"`, cut anywhere. A text counts once another row
/// or the end follows it: one that is not as long as its size says would have taken in what follows.
class TextRows {
 public:
  void Push(const char* bytes, size_t size);
  TextsRead End();

 private:
  /// @return bytes of `head_` that a whole row head took; 0 when it is not complete, or odd.
  size_t ReadHead();
  void EndBody();
  void Count();

  TextsRead found_;
  std::string head_;
  TextDigest digest_;
  std::string guid_;
  uint32_t uid_ = 0;
  uint64_t left_ = 0;
  bool isInBody_ = false;
  bool isWaiting_ = false;  // a text is complete, and what follows it has not come yet
  TextSum sum_{};
};

/// Reads a descriptor to its end.
Result<TextsRead> ReadTexts(const UniqueFd& file);

}  // namespace mailherd
