#pragma once

#include <cstddef>

namespace mailherd {

/// Gives back to the kernel what this process may not need again: memory that was freed, and the pages of the program's own code and
/// constants. These are still in the kernel's cache of its file and come back one by one as they are needed; what only the start needed
/// stays away. What may be written to, and what is not of a file, is left alone.
/// @return bytes of code and constants, those too that were not there. Source: malloc_trim(3), madvise(2), dl_iterate_phdr(3), proc_pid_maps(5).
size_t GiveBack() noexcept;

}  // namespace mailherd
