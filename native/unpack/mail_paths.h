#pragma once

#include <optional>
#include <string_view>

namespace mailherd {

enum class MailFormat { maildir, sdbox, mdbox };

std::optional<MailFormat> ToMailFormat(std::string_view name) noexcept;

/// May a seed have this below the root of the mailbox? Messages and the few files beside them, and nothing that leads elsewhere.
/// @param path of a directory with or without a slash at its end.
bool MayHold(MailFormat format, std::string_view path, bool is_directory);

}  // namespace mailherd
