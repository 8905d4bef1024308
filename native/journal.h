#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace mailherd {

/// Of one ext4 journal: commits since the mount, those of them that somebody waited for, and the moving average of what a commit takes.
/// Source: fs/jbd2/journal.c, jbd2_seq_info_show, /proc/fs/jbd2/<device>-8/info.
inline constexpr std::array kJournalFields = {"journalCommits", "journalCommitsRequested", "journalCommitUs"};
void ParseJournal(std::string_view text, std::span<int64_t> out) noexcept;

}  // namespace mailherd
