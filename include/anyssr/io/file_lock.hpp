// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A file that one process locks at a time. The kernel lets go of the lock when its holder ends,
/// however it ends, so a lock that a dead process left is free. The text in the file is for
/// messages only.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/io/durability.hpp"
#include "anyssr/io/path_text.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Held as long as it lives, once it is taken. A child made by fork holds it too, until it ends or
/// calls exec.
class FileLock {
 public:
  /// Opens the file, or makes it.
  /// @throws FileError
  explicit FileLock(std::filesystem::path path)
      : path_(std::move(path)), file_(open_file(path_, O_RDWR | O_CREAT | O_NOFOLLOW, 0666)) {
    if (!file_.is_open()) raise_file_error(path_, "cannot be opened", errno);
  }

  /// Takes the lock without waiting.
  /// @return false where another holds it
  /// @throws FileError  the system refuses; not where the file system knows no locks (is_real)
  [[nodiscard]] bool take() {
    int result = 0;
    do {
      result = ::flock(file_.number(), LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && is_lacking(errno)) result = take_by_fcntl();
    if (result == 0) return true;
    if (errno == EWOULDBLOCK || errno == EACCES) return false;  // EACCES: fcntl may say that too
    is_real_ = !is_lacking(errno);
    if (is_real_) raise_file_error(path_, "cannot be locked", errno);
    return true;
  }

  /// False where the file system knows no locks: nothing keeps another writer away then.
  [[nodiscard]] bool is_real() const noexcept { return is_real_; }

  /// Whether the path still leads to the file that is locked.
  /// @throws FileError
  [[nodiscard]] bool is_in_place() const {
    struct stat held {};
    struct stat there {};
    if (::fstat(file_.number(), &held) != 0) raise_file_error(path_, "cannot be asked for", errno);
    return ::lstat(path_.c_str(), &there) == 0 && held.st_dev == there.st_dev &&
           held.st_ino == there.st_ino;
  }

  /// The first line of the file; empty where it cannot be read.
  [[nodiscard]] std::string text() const { return read_line().value_or(""); }

  /// Refuses a file of somebody else that has the name of the lock: write_text would spoil it.
  /// Zeros may be left by a loss of power.
  /// @param is_ours  whether holders write such a line
  /// @throws FileError
  template <class Predicate>
  void expect_no_other_text(const Predicate& is_ours) const {
    const std::optional<std::string> found = read_line();
    if (!found) raise_file_error(path_, "cannot be read", errno);
    if (found->empty() || found->starts_with('\0') || is_ours(*found)) return;
    raise<FileError>(path_text(path_), ": is no lock but a file of somebody else: move it away");
  }

  /// Says who holds it. A lock without its text is still a lock.
  void write_text(std::string_view text) const {
    (void)!::ftruncate(file_.number(), 0);
    (void)!::pwrite(file_.number(), text.data(), text.size(), 0);
  }

 private:
  [[nodiscard]] std::optional<std::string> read_line() const {
    std::array<char, 256> text{};
    const ssize_t got = ::pread(file_.number(), text.data(), text.size(), 0);
    if (got < 0) return std::nullopt;
    std::string line(text.data(), static_cast<std::size_t>(got));
    line.resize(std::min(line.find('\n'), line.size()));
    return line;
  }

  [[nodiscard]] int take_by_fcntl() const {
#ifdef F_OFD_SETLK
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    return ::fcntl(file_.number(), F_OFD_SETLK, &whole);
#else
    return -1;
#endif
  }

  std::filesystem::path path_;
  FileDescriptor file_;
  bool is_real_ = true;
};

/// What to tell where a lock is not real.
inline constexpr std::string_view no_lock_warning =
    "the file system knows no locks: see to it that nobody else writes there";

}  // namespace anyssr::inline ANYSSR_ABI::detail
