// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A folder for the time of a run.

#include <unistd.h>

#include <anyssr/core/error.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace support {

/// Gone with all that is in it when the object goes.
class TemporaryFolder {
 public:
  /// @param advice  what else to do where none can be made
  /// @throws anyssr::FileError  then
  explicit TemporaryFolder(const std::string& advice = {}) {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    std::string name = (parent / "anyssr-XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) {
      throw anyssr::FileError("no temporary folder can be made in '" + parent.string() + "'" +
                              advice);
    }
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace support
