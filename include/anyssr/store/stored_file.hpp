// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Files of a checkpoint and their checks: CRC-32C for the large router, SHA-256 for all else. Both
/// find damage; neither is a signature.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "anyssr/io/atomic_file.hpp"
#include "anyssr/io/crc32c.hpp"
#include "anyssr/io/durability.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"
#include "anyssr/store/manifest.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Refuses a link, or what is no file, at any step of a path below the root: a checkpoint's own
/// files are neither. (The root itself may be a link: that is its owner's choice.)
/// @param path  is_stored_path
/// @return root / path
/// @throws FileError  where it cannot be asked for (missing);  FormatError
[[nodiscard]] inline std::filesystem::path resolve_stored(const std::filesystem::path& root,
                                                          const std::filesystem::path& path) {
  std::filesystem::path at = root;
  for (auto part = path.begin(); part != path.end(); ++part) {
    at /= *part;
    struct stat status {};
    if (::lstat(at.c_str(), &status) != 0) raise_file_error(at, "cannot be read", errno);
    const bool is_last = std::next(part) == path.end();
    expect<FormatError>(is_last ? S_ISREG(status.st_mode) : S_ISDIR(status.st_mode), path_text(at),
                        ": is ", S_ISLNK(status.st_mode) ? "a link" : "of another kind",
                        ", expected a ", is_last ? "regular file" : "folder",
                        " that the checkpoint wrote");
  }
  return at;
}

/// The entries of files in a folder of a checkpoint.
[[nodiscard]] inline std::vector<StoredFile> files_below(const Manifest& manifest,
                                                         const std::string& folder) {
  std::vector<StoredFile> files;
  for (const StoredFile& file : manifest.files) {
    if (file.path.starts_with(folder + "/")) files.push_back(file);
  }
  return files;
}

/// Reads a file once, in pieces, into a check.
template <class Check>
void read_into(const RegularFile& file, Check& check) {
  std::vector<std::byte> piece(
      static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), std::uint64_t{1} << 20)));
  for (std::uint64_t at = 0; at < file.size();) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), file.size() - at));
    file.read(at, std::span(piece).first(size));
    check.update(std::span<const std::byte>(piece).first(size));
    at += size;
  }
}

[[nodiscard]] inline std::string check_text(const Sha256& sum) {
  return "sha256:" + to_hex(sum.digest());
}
[[nodiscard]] inline std::string check_text(const Crc32c& sum) { return "crc32c:" + sum.hex(); }

/// The entry of a file that is there.
[[nodiscard]] inline StoredFile stored_file(const std::filesystem::path& root,
                                            const std::string& path) {
  const RegularFile file(root / path);
  Sha256 sum;
  read_into(file, sum);
  return {.path = path, .bytes = file.size(), .check = check_text(sum)};
}

/// A stored file, opened, if it has the size that was written.
/// @throws FileError  where it is missing or cannot be read;  FormatError  where it is damaged
[[nodiscard]] inline RegularFile open_stored(const std::filesystem::path& root,
                                             const StoredFile& stored) {
  RegularFile file(resolve_stored(root, stored.path));
  expect<FormatError>(file.size() == stored.bytes, path_text(file.path()), ": is damaged: it has ",
                      file.size(), " bytes, expected ", stored.bytes);
  return file;
}

/// Refuses a file that is not the one that was written.
/// @throws as open_stored
inline void expect_intact(const std::filesystem::path& root, const StoredFile& stored) {
  const RegularFile file = open_stored(root, stored);
  std::string found;
  if (stored.check.starts_with("crc32c:")) {
    Crc32c sum;
    read_into(file, sum);
    found = check_text(sum);
  } else {
    Sha256 sum;
    read_into(file, sum);
    found = check_text(sum);
  }
  expect<FormatError>(found == stored.check, path_text(file.path()), ": is damaged: its check is ",
                      found, ", expected ", stored.check);
}

/// The files, if all are there in their sizes; none where one is missing or damaged, and all are to
/// be written again.
/// @param verify  read them through too
[[nodiscard]] inline std::vector<StoredFile> reusable_files(const std::filesystem::path& root,
                                                            std::vector<StoredFile> files,
                                                            bool verify) {
  try {
    for (const StoredFile& file : files) {
      if (verify) {
        expect_intact(root, file);
      } else {
        (void)open_stored(root, file);
      }
    }
    return files;
  } catch (const Error&) {
    return {};
  }
}

/// A path that stays the same folder when the process goes to another.
/// @throws FileError  where the system cannot say where the process is
[[nodiscard]] inline std::filesystem::path absolute_path(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) raise_file_error(path, "cannot be made an absolute path", error.value());
  return absolute;
}

/// Makes a folder where there is none, durably.
/// @throws FileError
inline void make_folder(const std::filesystem::path& path) {
  const bool is_new = ::mkdir(path.c_str(), 0777) == 0;
  if (!is_new) {
    const int reason = errno;
    struct stat status {};
    const bool is_there =
        reason == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    if (!is_there) raise_file_error(path, "cannot be made", reason);
  }
  std::filesystem::path parent = path.parent_path();
  if (parent.empty()) parent = ".";
  // Also where it was there: who made it may have crashed before it was on the disk. A parent that
  // may not be read is somebody else's, and so is that folder's name.
  if (is_new || ::access(parent.c_str(), R_OK) == 0) sync_folder(parent);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
