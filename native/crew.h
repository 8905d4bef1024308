#pragma once

namespace mailherd {

/// Runs `work(data)` on a thread of this process that does nothing else: one that has just become idle, or a new one. However many
/// of them hang, the next piece of work finds one. Threads are detached, so that one that hangs does not hold up the process's end.
/// @return 0, or the errno of a thread that could not be made: then nothing is run.
int RunOnThread(void (*work)(void*), void* data) noexcept;

/// For what takes microseconds: it waits in line until `ServeLine` is called, when all have joined that are begun at once. Waking a thread
/// costs more than reading most files.
/// @param end is called when nothing is left in line, and by `ServeLine`: results can be handed over together. The same in all calls.
void StandInLine(void (*work)(void*), void* data, void (*end)()) noexcept;

/// Lets one thread run all that is in line, one after the other, on the processor that it is called on; another one what is behind a piece
/// that lasts for too long. Hands over what was done before. To be called until nothing waits. @return whether anything was in line.
bool ServeLine() noexcept;

}  // namespace mailherd
