// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A regular file as memory: nothing is read until it is looked at, and processes that map the same
/// file share its pages.
///
/// For files that nobody changes any more. Where another process truncates a mapped file, looking
/// at what is gone ends this process by SIGBUS, which no catch clause sees; where it writes in
/// place, the bytes change under the reader. Replacing the file by a rename (atomic_file.hpp) is
/// harmless: the mapping keeps the old one. RegularFile has none of this and reads into memory of
/// its own.

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>

#include "anyssr/io/durability.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/regular_file.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A mapped regular file, read-only. It moves and does not copy; const calls may come from several
/// threads.
class MappedFile {
 public:
  /// @throws FileError    where the system refuses to open or map it
  /// @throws FormatError  where it is no regular file
  explicit MappedFile(std::filesystem::path path) : path_(std::move(path)) {
    const auto [file, size] = detail::open_regular(path_);
    if (size == 0) return;  // which no system maps
    if (!std::in_range<std::size_t>(size)) {
      detail::raise_file_error(path_, "cannot be mapped", EFBIG);
    }
    const auto length = static_cast<std::size_t>(size);
    void* const start = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file.number(), 0);
    if (start != MAP_FAILED) {
      bytes_ = {static_cast<std::byte*>(start), length};
      return;
    }
    if (errno != ENODEV && !detail::is_lacking(errno)) {
      detail::raise_file_error(path_, "cannot be mapped", errno);
    }
    read_whole(file, length);
  }
  MappedFile(MappedFile&& other) noexcept
      : path_(std::move(other.path_)),
        bytes_(std::exchange(other.bytes_, {})),
        copy_(std::move(other.copy_)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(bytes_, other.bytes_);
    std::swap(copy_, other.copy_);
    return *this;
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() {
    if (!bytes_.empty() && !copy_) ::munmap(bytes_.data(), bytes_.size());
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// Bytes, as they were when the file was mapped.
  [[nodiscard]] std::uint64_t size() const noexcept { return bytes_.size(); }

  /// The whole file. Valid until this object is gone or assigned to; a move takes it along.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  /// `count` bytes from position `offset` on, likewise.
  /// @throws FormatError  where the file ends before
  [[nodiscard]] std::span<const std::byte> bytes(std::uint64_t offset, std::uint64_t count) const {
    const std::uint64_t rest = size() - std::min(offset, size());
    detail::expect<FormatError>(offset <= size() && count <= rest, detail::path_text(path_),
                                ": wanted ", count, " bytes from byte ", offset, " on, got ", rest,
                                ": the file ends there");
    return bytes().subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(count));
  }

  /// Fills `out` from position `offset` on.
  /// @throws FormatError  where the file ends before
  void read(std::uint64_t offset, std::span<std::byte> out) const {
    std::ranges::copy(bytes(offset, out.size()), out.begin());
  }

 private:
  /// For file systems that map nothing.
  void read_whole(const detail::FileDescriptor& file, std::size_t length) {
    copy_.reset(new std::byte[length]);
    bytes_ = {copy_.get(), length};
    detail::read_at(file, path_, 0, bytes_);
  }

  std::filesystem::path path_;
  std::span<std::byte> bytes_;         // of pages that are read-only, or of the copy; empty: none
  std::unique_ptr<std::byte[]> copy_;  // null: the file is mapped
};

}  // namespace anyssr::inline ANYSSR_ABI
