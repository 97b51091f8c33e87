// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reading of data that users name: a file or a pipe, and JSON by the library's guarded parser.

#include <anyssr/core/error.hpp>
#include <anyssr/io/guarded_json.hpp>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace support {

using anyssr::Json;
using anyssr::parse_json;

/// The whole file.
/// @throws anyssr::FormatError  where it cannot be read
inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw anyssr::FormatError(path + ": cannot be opened; is the path right, may you read it?");
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw anyssr::FormatError(path + ": is a folder, expected a file");
  }
  std::string text;
  std::array<char, 1 << 16> piece;
  do {  // read() notes an error of the system in the stream; an iterator would let it escape
    file.read(piece.data(), piece.size());
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  } while (file);
  if (file.bad()) throw anyssr::FormatError(path + ": reading failed; is it a regular file?");
  return text;
}

}  // namespace support
