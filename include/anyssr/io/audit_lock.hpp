// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One writer per audit log: a locked file `audit.lock` in its folder, with the number of the
/// process for messages.

#include <unistd.h>

#include <filesystem>
#include <string>

#include "anyssr/io/file_lock.hpp"
#include "anyssr/io/path_text.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Held as long as it lives.
class AuditLock {
 public:
  /// @throws FileError  naming the folder: another writer holds it, the file is no lock, or the
  /// system
  ///                    refuses
  explicit AuditLock(const std::filesystem::path& folder) : lock_(folder / "audit.lock") {
    expect<FileError>(lock_.take(), path_text(folder), ": the audit log is being written by ",
                      holder(), ", expected one writer at a time");
    lock_.expect_no_other_text(is_number);
    lock_.write_text(std::to_string(::getpid()) + "\n");
  }

  /// FileLock::is_real.
  [[nodiscard]] bool is_real() const noexcept { return lock_.is_real(); }

 private:
  [[nodiscard]] std::string holder() const {
    const std::string text = lock_.text();
    return is_number(text) ? "process " + text : "another process";
  }
  [[nodiscard]] static bool is_number(const std::string& text) {
    return !text.empty() && text.size() < 16 &&
           text.find_first_not_of("0123456789") == std::string::npos;
  }

  FileLock lock_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
