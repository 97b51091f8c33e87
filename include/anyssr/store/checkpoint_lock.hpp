// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One writer per checkpoint: a locked file LOCK in its folder, with pid and host for messages.

#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>

#include "anyssr/io/file_lock.hpp"
#include "anyssr/io/path_text.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Held as long as it lives.
class CheckpointLock {
 public:
  /// @throws FileError  where another holds it: named by pid and host; the file is no lock; or the
  ///                    system refuses
  explicit CheckpointLock(const std::filesystem::path& folder)
      : path_(folder / "LOCK"), lock_(path_) {
    if (!lock_.take()) {
      std::string holder = lock_.text();
      for (char& c : holder) c = c >= ' ' && c <= '~' ? c : '?';  // it goes into a message
      raise<FileError>(path_text(path_), ": the checkpoint is being written by ",
                       holder.empty() ? "another process" : holder,
                       ", expected one writer at a time");
    }
    lock_.expect_no_other_text(
        [](const std::string& text) { return text.starts_with("process "); });
    std::array<char, 128> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    lock_.write_text("process " + std::to_string(::getpid()) + " on host " + host.data() + "\n");
  }

  /// FileLock::is_real.
  [[nodiscard]] bool is_real() const noexcept { return lock_.is_real(); }

  /// Refuses to go on where the file LOCK is not the one that is locked: it, or the whole folder,
  /// was deleted, and another writer can have locked a new one.
  /// @throws FileError
  void expect_held() const {
    if (lock_.is_in_place()) return;
    std::error_code ignored;
    const bool is_there = std::filesystem::exists(std::filesystem::symlink_status(path_, ignored));
    raise<FileError>(path_text(path_), ": was ", is_there ? "replaced" : "deleted",
                     " since this writer took it, expected it to stay: make a new writer");
  }

 private:
  std::filesystem::path path_;
  FileLock lock_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
