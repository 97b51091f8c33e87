// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the readers and writers of files share: a POSIX file descriptor that closes itself, the way
/// to open one, and the error that carries the system's reason.

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "anyssr/core/error.hpp"
#include "anyssr/io/path_text.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// "weights.safetensors: cannot be opened: Permission denied"
/// @param reason  an errno, read before anything else could change it
[[noreturn]] inline void raise_file_error(const std::filesystem::path& path, std::string_view what,
                                          int reason) {
  raise<FileError>(path_text(path), ": ", what, ": ", std::generic_category().message(reason));
}

/// Owns an open file: it moves and does not copy.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) noexcept : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (is_open()) ::close(number_);
  }

  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }

  /// Closes now: 0, or the errno of a failure. An interrupted close has closed all the same.
  [[nodiscard]] int close() noexcept {
    const int result = ::close(std::exchange(number_, -1));
    return result == 0 || errno == EINTR ? 0 : errno;
  }

 private:
  int number_ = -1;  // -1: none
};

/// Opens a file, but never as descriptor 0, 1 or 2. Where a program runs with one of these closed,
/// the system would give that number to our file, and whatever the program prints would go into it.
/// @return none where the system refuses, with errno set
[[nodiscard]] inline FileDescriptor open_file(const std::filesystem::path& path, int flags,
                                              mode_t mode = 0) {
  int number = -1;
  do {
    number = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (number < 0 && errno == EINTR);
  if (number < 0 || number > STDERR_FILENO) return FileDescriptor(number);
  const int moved = ::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int reason = errno;
  ::close(number);
  errno = reason;
  return FileDescriptor(moved);
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
