// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One writer a checkpoint: a file LOCK in its folder, locked by flock. The kernel lets go of the
/// lock when its holder ends, however it ends, so a lock that a dead process left is free. The text
/// in the file, pid and host, is for messages only.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string>

#include "anyssr/io/file_descriptor.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Held as long as it lives. A child made by fork holds it too, until it ends or calls exec.
class CheckpointLock {
 public:
  /// @throws FileError  where another holds it: named by pid and host; or the system refuses
  explicit CheckpointLock(const std::filesystem::path& folder) : path_(folder / "LOCK") {
    file_ = FileDescriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!file_.is_open()) raise_file_error(path_, "cannot be opened", errno);
    while (::flock(file_.number(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) raise_file_error(path_, "cannot be locked", errno);
      const std::string holder = read_holder();
      raise<FileError>(path_.string(), ": the checkpoint is being written by ",
                       holder.empty() ? "another process" : holder,
                       ", expected one writer at a time");
    }
    write_holder();
  }

  /// Refuses to go on where the file LOCK is not the one that is locked: it, or the whole folder,
  /// was deleted, and another writer can have locked a new one.
  /// @throws FileError
  void expect_held() const {
    struct stat held {};
    struct stat there {};
    if (::fstat(file_.number(), &held) != 0) raise_file_error(path_, "cannot be asked for", errno);
    const bool is_there = ::lstat(path_.c_str(), &there) == 0;
    expect<FileError>(is_there && held.st_dev == there.st_dev && held.st_ino == there.st_ino,
                      path_.string(), ": was ", is_there ? "replaced" : "deleted",
                      " since this writer took it, expected it to stay: make a new writer");
  }

 private:
  [[nodiscard]] std::string read_holder() const {
    std::array<char, 256> text{};
    const ssize_t got = ::pread(file_.number(), text.data(), text.size(), 0);
    std::string holder(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    holder.resize(std::min(holder.find('\n'), holder.size()));
    for (char& c : holder) c = c >= ' ' && c <= '~' ? c : '?';  // it goes into a message
    return holder;
  }

  void write_holder() const {
    std::array<char, 128> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    const std::string text =
        "process " + std::to_string(::getpid()) + " on host " + host.data() + "\n";
    // a lock without its text is still a lock
    (void)!::ftruncate(file_.number(), 0);
    (void)!::pwrite(file_.number(), text.data(), text.size(), 0);
  }

  std::filesystem::path path_;
  FileDescriptor file_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
