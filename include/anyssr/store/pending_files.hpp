// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a save has made so far: deleted again unless the save is committed. What was made last goes
/// first, so that a manifest that is there never misses a file, wherever a crash comes.

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

class PendingFiles {
 public:
  /// @param root  must outlive it
  explicit PendingFiles(const std::filesystem::path& root) : root_(root) {}
  PendingFiles(const PendingFiles&) = delete;
  PendingFiles& operator=(const PendingFiles&) = delete;
  ~PendingFiles() {
    std::error_code ignored;
    for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) {
      std::filesystem::remove_all(root_ / *path, ignored);
    }
  }
  /// @param path  relative to the root
  void add(std::string path) { paths_.push_back(std::move(path)); }
  void keep() noexcept { paths_.clear(); }

 private:
  const std::filesystem::path& root_;
  std::vector<std::string> paths_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
