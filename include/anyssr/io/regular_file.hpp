// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A regular file, read by position. Folders, pipes and devices are refused before anything could
/// block on them, and a read that comes back short is an error that says so.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

#include "anyssr/io/file_descriptor.hpp"
#include "anyssr/io/path_text.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// Whether nothing is there. What cannot be asked for passes: opening it gives the reason.
[[nodiscard]] inline bool is_missing(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::status(path, ignored).type() == std::filesystem::file_type::not_found;
}

/// Refuses what is there and no regular file. A path that leads nowhere passes: opening it gives
/// the reason.
inline void expect_regular(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) return;
  raise<FormatError>(
      path_text(path), ": is ",
      std::filesystem::is_directory(status) ? "a folder" : "a pipe, a socket or a device",
      ", expected a regular file");
}

/// Opens a regular file to read it, and gives its size in bytes.
/// @throws FileError, FormatError  as RegularFile
[[nodiscard]] inline std::pair<FileDescriptor, std::uint64_t> open_regular(
    const std::filesystem::path& path) {
  expect_regular(path);
  // not to block where a pipe has taken the path since the check
  FileDescriptor file = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!file.is_open()) raise_file_error(path, "cannot be opened", errno);
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) {
    raise_file_error(path, "cannot be asked for its size", errno);
  }
  expect<FormatError>(S_ISREG(status.st_mode), path_text(path),
                      ": is no regular file, expected one");
  return {std::move(file), static_cast<std::uint64_t>(status.st_size)};
}

/// Fills `bytes` from position `offset` of a file on.
/// @throws FileError    where the system refuses
/// @throws FormatError  where the file ends before
inline void read_at(const FileDescriptor& file, const std::filesystem::path& path,
                    std::uint64_t offset, std::span<std::byte> bytes) {
  constexpr std::size_t most = std::size_t{1} << 30;  // some systems refuse 2 GiB in one call
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got =
        ::pread(file.number(), bytes.data() + done, std::min(bytes.size() - done, most),
                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) raise_file_error(path, "cannot be read", errno);
    expect<FormatError>(got > 0, path_text(path), ": wanted ", bytes.size(), " bytes from byte ",
                        offset, " on, got ", done, ": the file was cut while it was read");
    done += static_cast<std::size_t>(got);
  }
}

}  // namespace detail

/// An open regular file. It moves and does not copy; const calls may come from several threads.
class RegularFile {
 public:
  /// @throws FileError    where the system refuses to open it
  /// @throws FormatError  where it is no regular file
  explicit RegularFile(std::filesystem::path path) : path_(std::move(path)) {
    std::tie(file_, size_) = detail::open_regular(path_);
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// Bytes, as they were when the file was opened.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

  /// Fills `bytes` from position `offset` on.
  /// @throws FileError    where the system refuses
  /// @throws FormatError  where the file ends before
  void read(std::uint64_t offset, std::span<std::byte> bytes) const {
    detail::read_at(file_, path_, offset, bytes);
  }

  /// The whole file.
  /// @throws FormatError  where it has more than `max_bytes`, before any memory is taken
  [[nodiscard]] std::string read_text(std::uint64_t max_bytes) const {
    detail::expect<FormatError>(size_ <= max_bytes, detail::path_text(path_), ": has ", size_,
                                " bytes, expected at most ", max_bytes);
    std::string text(static_cast<std::size_t>(size_), '\0');
    read(0, std::as_writable_bytes(std::span(text)));
    return text;
  }

 private:
  std::filesystem::path path_;
  detail::FileDescriptor file_;
  std::uint64_t size_ = 0;
};

}  // namespace anyssr::inline ANYSSR_ABI
