// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a file must have to be written safely, and what happens on file systems that lack it
/// (network, FUSE, encrypted ones). "Lacks" means that the call answers EINVAL, ENOSYS, ENOTSUP or
/// EOPNOTSUPP; every other error is one.
///
///   call                       where it is lacking
///   open O_CREAT O_EXCL        essential: refused. A new file must be ours alone
///   write, pread, readdir      essential: refused
///   rename                     essential: refused. It is what makes a replacement whole
///   mkdir                      essential: refused
///   fsync of a file            goes on; the last saves may be lost with the power (a warning)
///   fsync of a folder          goes on, likewise
///   flock                      an open file description lock (fcntl) in its place; where that is
///                              lacking too, goes on, and the caller keeps second writers away (a
///                              warning). ENOLCK is an error: there are locks, and their service
///                              does not answer, so another machine may be writing
///   fchmod                     goes on: the new file is as readable as any new file
///   ftruncate, pwrite of LOCK  goes on: the text is for messages only
///   flock of a manifest        goes on: readers look again where a save has swept their files
///   unlink                     goes on: what stays is deleted by a later save (a warning)
///   mmap                       the file is read into memory
///
/// Not used: O_TMPFILE, link, fallocate, utimensat, extended attributes.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>

#include "anyssr/io/file_descriptor.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Whether an errno says that a file system does not have the call at all.
[[nodiscard]] constexpr bool is_lacking(int reason) noexcept {
  return reason == EINVAL || reason == ENOSYS || reason == ENOTSUP || reason == EOPNOTSUPP;
}

/// What to tell where fsync is lacking.
inline constexpr std::string_view no_sync_warning =
    "the file system does not say when a file is on the disk (it knows no fsync): after a loss of "
    "power, what was written last may be missing";

/// Writes an open file, or a folder's names, to the disk.
/// @param what  the message where the system refuses
/// @return false where the file system has no such call
/// @throws FileError
inline bool sync_open(const FileDescriptor& file, const std::filesystem::path& path,
                      std::string_view what = "cannot be written to the disk") {
  // a failed fsync is never repeated: the system may have dropped the pages it could not write
  if (::fsync(file.number()) == 0) return true;
  if (!is_lacking(errno)) raise_file_error(path, what, errno);
  return false;
}

/// Writes a folder's names to the disk.
/// @return false where the file system has no such call
/// @throws FileError
inline bool sync_folder(const std::filesystem::path& path) {
  const FileDescriptor folder = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!folder.is_open()) raise_file_error(path, "cannot be opened", errno);
  return sync_open(folder, path);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
