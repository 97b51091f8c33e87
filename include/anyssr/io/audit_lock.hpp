// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One writer an audit log: a file `audit.lock` in its folder, locked by flock. The kernel lets go
/// of the lock when its holder ends, however it ends. The text in the file, the number of the
/// process, is for messages only.

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <string>

#include "anyssr/io/file_descriptor.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Held as long as it lives. A child made by fork holds it too, until it ends or calls exec.
class AuditLock {
 public:
  /// @throws FileError  naming the folder: another writer holds it, or the system refuses
  explicit AuditLock(const std::filesystem::path& folder) {
    const std::filesystem::path path = folder / "audit.lock";
    file_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!file_.is_open()) raise_file_error(path, "cannot be opened", errno);
    while (::flock(file_.number(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) raise_file_error(path, "cannot be locked", errno);
      raise<FileError>(folder.string(), ": the audit log is being written by ", holder(),
                       ", expected one writer at a time");
    }
    const std::string text = std::to_string(::getpid()) + "\n";
    // a lock without its text is still a lock
    (void)!::ftruncate(file_.number(), 0);
    (void)!::pwrite(file_.number(), text.data(), text.size(), 0);
  }

 private:
  [[nodiscard]] std::string holder() const {
    std::array<char, 16> text{};
    const ssize_t got = ::pread(file_.number(), text.data(), text.size(), 0);
    const std::string read(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    const std::size_t end = read.find('\n');
    const bool is_number = end != std::string::npos && end > 0 &&
                           read.find_first_not_of("0123456789") == end;  // it goes into a message
    return is_number ? "process " + read.substr(0, end) : "another process";
  }

  FileDescriptor file_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
