// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Files that an application leaves behind: whole, or as they were.

#include <anyssr/core/error.hpp>
#include <anyssr/io/atomic_file.hpp>
#include <anyssr/io/guarded_json.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

namespace support {

/// Refuses an output file before the work instead of after it.
inline void expect_writable(const std::string& path) {
  if (path.empty()) return;
  if (path == "-") {
    throw anyssr::FormatError("-: is no name of a file, expected one; ./- is a file of that name");
  }
  // the new file takes the name of what is there: of a device, nothing would be left
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  const bool is_taken =
      std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
  if (is_taken || std::filesystem::path(path).parent_path() == "/dev") {
    throw anyssr::FormatError(path + ": is no regular file, expected one, or a new name");
  }
  try {
    const anyssr::AtomicFile probe{std::filesystem::path(path)};  // leaves nothing behind
  } catch (const anyssr::FileError&) {
    throw anyssr::FormatError(path +
                              ": cannot be written; does the folder exist, may you write there?");
  }
}

/// Refuses a folder that holds anything, but for the lock of a run that ended before its first
/// save: what a run saves there could replace a file of somebody else.
/// @param option    that names the folder
/// @param expected  "a new folder"
inline void expect_unused_folder(const std::string& option, const std::filesystem::path& folder,
                                 const std::string& expected) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name == "LOCK") continue;
    throw anyssr::ArgumentError(option + " is '" + folder.string() + "', which holds '" + name +
                                "' already, expected " + expected);
  }
}

/// @throws anyssr::FileError  where the system refuses
inline void write_file(const std::string& path, std::string_view text) {
  anyssr::AtomicFile file(path);
  file.write(text);
  file.commit();
}

inline void write_json(const std::string& path, const anyssr::Json& json) {
  write_file(path,
             json.dump(2, ' ', false, anyssr::Json::error_handler_t::replace) + "\n");  // any bytes
}

}  // namespace support
