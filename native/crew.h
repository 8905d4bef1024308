#pragma once

namespace mailherd {

/// Runs `work(data)` on a thread of this process that does nothing else: one that has just become idle, or a new one. However many
/// of them hang, the next piece of work finds one. Threads are detached, so that one that hangs does not hold up the process's end.
/// @return 0, or the errno of a thread that could not be made: then nothing is run.
int RunOnThread(void (*work)(void*), void* data) noexcept;

}  // namespace mailherd
