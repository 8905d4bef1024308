#include "give_back.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "kernel_file.h"
#include "scan.h"

namespace mailherd {

namespace {

/// Addresses of whole pages.
struct Range {
  uintptr_t begin;
  uintptr_t end;
};

/// Of the program itself, which comes first: what it may not write to.
int TakeConstant(dl_phdr_info* program, size_t, void* data) noexcept {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (size_t i = 0; i < program->dlpi_phnum; i++) {
    const ElfW(Phdr)& part = program->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = program->dlpi_addr + part.p_vaddr, end = begin + part.p_memsz;
    const Range whole = {(begin + page - 1) / page * page, end / page * page};
    if (whole.begin < whole.end) static_cast<std::vector<Range>*>(data)->push_back(whole);
  }
  return 1;
}

/// Whether one mapping of a file, private and not to be written to, has all of it: only then does every page come back as it was.
/// @param maps as in proc_pid_maps(5).
bool IsOfFile(std::string_view maps, const Range& range) noexcept {
  std::string_view line, addresses, rights, word, inode;
  while (NextLine(maps, line)) {
    if (!NextWord(line, addresses) || !NextWord(line, rights) || !NextWord(line, word) || !NextWord(line, word) || !NextWord(line, inode)) continue;
    const size_t dash = addresses.find('-');
    if (dash == std::string_view::npos || rights.size() != 4) continue;
    const int64_t begin = ToHexCounter(addresses.substr(0, dash)), end = ToHexCounter(addresses.substr(dash + 1));
    if (begin < 0 || end < 0 || static_cast<uintptr_t>(begin) > range.begin || static_cast<uintptr_t>(end) < range.end) continue;
    return rights[1] == '-' && rights[3] == 'p' && ToCounter(inode) > 0;
  }
  return false;
}

}  // namespace

size_t GiveBack() noexcept {
  ::malloc_trim(0);
  std::vector<Range> constant;
  ::dl_iterate_phdr(TakeConstant, &constant);
  std::string buffer;
  KernelFile file("/proc/self/maps");
  const auto maps = file.Read(buffer);
  size_t bytes = 0;
  for (const Range& range : constant) {
    if (Failure(maps) != nullptr || !IsOfFile(std::get<std::string_view>(maps), range)) continue;
    if (::madvise(reinterpret_cast<void*>(range.begin), range.end - range.begin, MADV_DONTNEED) == 0) bytes += range.end - range.begin;
  }
  return bytes;
}

}  // namespace mailherd
