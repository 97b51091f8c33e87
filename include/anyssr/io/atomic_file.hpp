// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Replaces a file as a whole: a reader, a crash or a full disk sees the old content or the new,
/// never a part. The steps: write `.tmp-<random>` beside the target, fsync it, rename it onto the
/// target, fsync the folder. What happens where a file system lacks a call: durability.hpp.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/io/durability.hpp"
#include "anyssr/io/path_text.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// ".tmp-" and 16 digits that nobody can foretell.
/// @throws FileError  where the system has no random numbers to give
[[nodiscard]] inline std::string temporary_name(const std::filesystem::path& folder) {
  try {
    std::random_device random;
    std::array<char, 32> name{};
    std::snprintf(name.data(), name.size(), ".tmp-%08x%08x", static_cast<std::uint32_t>(random()),
                  static_cast<std::uint32_t>(random()));
    return name.data();
  } catch (const std::exception& error) {
    raise<FileError>(path_text(folder), ": no temporary name can be made for it: ", error.what());
  }
}

}  // namespace detail

/// A file in the making. Until `commit` has returned, the target stays as it was; without it,
/// nothing of the new file is left behind.
///
///   AtomicFile file("notes.txt");
///   file.write(text);
///   file.commit();
///
/// After an error no call may follow but the destructor. Where the target is a link, the link is
/// replaced and not what it points to. A target that exists passes its permissions on.
class AtomicFile {
 public:
  /// @throws FileError  where no file can be made in the folder of `target`
  explicit AtomicFile(std::filesystem::path target) : target_(std::move(target)) {
    folder_ = target_.has_parent_path() ? target_.parent_path() : std::filesystem::path(".");
    open_temporary();
    struct stat old {};
    if (::stat(target_.c_str(), &old) == 0) {
      // at most as readable as before; where the system refuses, as readable as any new file
      (void)!::fchmod(file_.number(), old.st_mode & 07777U);
    }
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (!renamed_) ::unlink(temporary_.c_str());
  }

  /// Appends.
  /// @throws FileError  where the system refuses: no space, a quota, a limit of size
  void write(std::span<const std::byte> bytes) {
    constexpr std::size_t most = std::size_t{1} << 30;  // some systems refuse 2 GiB in one call
    while (!bytes.empty()) {
      const ssize_t sent =
          ::write(file_.number(), bytes.data(), bytes.size() < most ? bytes.size() : most);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) {  // 0 is no progress either
        detail::raise_file_error(target_, "cannot be written", sent < 0 ? errno : ENOSPC);
      }
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Puts the new file in the place of the old one, on the disk and not in a cache.
  /// @throws FileError  the old file is whole, but for one case: where the message says "was
  ///                    replaced", the new one is in place and may not outlast a loss of power
  void commit() {
    is_durable_ = detail::sync_open(file_, target_);
    if (const int reason = file_.close(); reason != 0) {
      detail::raise_file_error(target_, "cannot be closed", reason);
    }
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
      detail::raise_file_error(target_, "cannot be replaced", errno);
    }
    renamed_ = true;
    const detail::FileDescriptor folder = detail::open_file(folder_, O_RDONLY | O_DIRECTORY);
    if (!folder.is_open()) {
      detail::raise_file_error(target_, "was replaced, but its folder cannot be opened", errno);
    }
    is_durable_ &= detail::sync_open(folder, target_,
                                     "was replaced, but its folder cannot be written to the disk");
  }

  /// Whether the target is the new file: true after commit(), also after a commit() that threw once
  /// the new one was in place.
  [[nodiscard]] bool has_replaced() const noexcept { return renamed_; }

  /// After commit(): false where the file system knows no fsync, so that nobody can say when the
  /// new file is on the disk.
  [[nodiscard]] bool is_durable() const noexcept { return is_durable_; }

 private:
  void open_temporary() {
    for (int attempt = 0; attempt < 16; ++attempt) {
      temporary_ = folder_ / detail::temporary_name(folder_);
      file_ = detail::open_file(temporary_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
      if (file_.is_open()) return;
      if (errno != EEXIST) break;
    }
    detail::raise_file_error(target_, "cannot be written", errno);
  }

  std::filesystem::path target_;
  std::filesystem::path folder_;
  std::filesystem::path temporary_;
  detail::FileDescriptor file_;
  bool renamed_ = false;
  bool is_durable_ = false;
};

}  // namespace anyssr::inline ANYSSR_ABI
