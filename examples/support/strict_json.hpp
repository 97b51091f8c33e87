// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reading of data that users name: a file or a pipe, and JSON by the library's guarded parser.

#include <anyssr/core/error.hpp>
#include <anyssr/io/guarded_json.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace support {

using anyssr::Json;
using anyssr::parse_json;

/// The whole file.
/// @throws anyssr::FormatError  where it cannot be read
inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw anyssr::FormatError(path + ": cannot be opened; is the path right, may you read it?");
  if (std::filesystem::is_directory(path)) {
    throw anyssr::FormatError(path + ": is a folder, expected a file");
  }
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) throw anyssr::FormatError(path + ": reading failed; is it a regular file?");
  return text;
}

}  // namespace support
