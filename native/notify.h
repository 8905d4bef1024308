#pragma once

#include <optional>
#include <string>

#include "result.h"

namespace mailherd {

/// Sends a state to systemd, without waiting. A program that does it would cost more than all that the kernel is asked in a round.
/// @param socket as in NOTIFY_SOCKET: a path, or "@" and an abstract name. Source: sd_notify(3).
std::optional<SysError> NotifySystemd(const std::string& socket, const std::string& state) noexcept;

}  // namespace mailherd
