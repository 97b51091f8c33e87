// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Keeps the files of a generation in place while somebody reads them. A reader holds a shared lock
/// on the manifest; a save that would delete the generation tries an exclusive one, and where it
/// does not get it leaves that generation to the next save. Neither waits for the other.
///
/// It is a help and no promise: where locks are lacking, or a reader comes too late, files are gone
/// and the reader looks again (generations.hpp).

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "anyssr/io/file_descriptor.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Held as long as it lives.
class GenerationPin {
 public:
  /// Where there is no such manifest, or a save is deleting it, nothing is held.
  /// @param access  O_RDWR to call is_read_elsewhere: NFS gives exclusive locks to writers only
  explicit GenerationPin(const std::filesystem::path& manifest, int access = O_RDONLY)
      : file_(open_file(manifest, access | O_NOFOLLOW | O_NONBLOCK)) {
    if (file_.is_open()) (void)lock(LOCK_SH);
  }

  /// Whether a reader holds the manifest, or may hold it: EBADF says that this file system wants
  /// another access. Where none does, later ones cannot hold it as long as this object lives.
  [[nodiscard]] bool is_read_elsewhere() const {
    return file_.is_open() && lock(LOCK_EX) != 0 && (errno == EWOULDBLOCK || errno == EBADF);
  }

 private:
  [[nodiscard]] int lock(int kind) const { return ::flock(file_.number(), kind | LOCK_NB); }

  FileDescriptor file_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
