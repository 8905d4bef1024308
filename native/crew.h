#pragma once

namespace mailherd {

/// Runs `work(data)` on a thread of this process that does nothing else: one that has just become idle, or a new one. However many
/// of them hang, the next piece of work finds one. Threads are detached, so that one that hangs does not hold up the process's end.
/// @return 0, or the errno of a thread that could not be made: then nothing is run.
int RunOnThread(void (*work)(void*), void* data) noexcept;

/// The same for what takes microseconds: it stands in line, and one thread runs all that is in line, one after the other. Waking a thread
/// costs more than reading most files. What comes after a piece that lasts for too long is run by another thread.
/// @param end is called when nothing is left in line, and by `Overtake`: results can be handed over together. The same in all calls.
int RunInLine(void (*work)(void*), void* data, void (*end)()) noexcept;

/// Lets another thread run what is in line behind a piece that lasts for too long, and hands over what was done before it.
/// @return whether anything is in line.
bool Overtake() noexcept;

}  // namespace mailherd
