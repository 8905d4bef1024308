#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace mailherd {

/// Names of I/O schedulers; a scheduler is the place of its name here.
inline constexpr std::array<std::string_view, 4> kSchedulers = {"none", "mq-deadline", "kyber", "bfq"};

/// The one in brackets of "none [mq-deadline] kyber"; kAbsent for one we do not know.
/// Source: Documentation/block/switching-sched.rst.
int64_t ParseScheduler(std::string_view text) noexcept;

/// 1 for "write back" (the disk has a volatile cache and is sent flushes), 0 for "write through".
/// Source: Documentation/ABI/stable/sysfs-block.
int64_t ParseWriteCache(std::string_view text) noexcept;

}  // namespace mailherd
