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
#include <string_view>
#include <system_error>

namespace support {

using anyssr::Json;
using anyssr::parse_json;

/// What files of text hold at most: a device that never ends is then found out before memory is.
inline constexpr std::size_t most_file_bytes = std::size_t{4} << 30;
inline constexpr std::size_t most_line_bytes = std::size_t{256} << 20;

/// The whole file.
/// @throws anyssr::FormatError  where it cannot be read or holds more than a file of text
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
  std::size_t line = 0;  // where the last one begins
  do {  // read() notes an error of the system in the stream; an iterator would let it escape
    file.read(piece.data(), piece.size());
    const std::string_view fresh(piece.data(), static_cast<std::size_t>(file.gcount()));
    const std::size_t end = fresh.rfind('\n');
    if (end != fresh.npos) line = text.size() + end + 1;
    text += fresh;
    if (text.size() - line > most_line_bytes) {
      throw anyssr::FormatError(path + ": a line is longer than 256 MiB, expected lines of text");
    }
    if (text.size() > most_file_bytes) {
      throw anyssr::FormatError(path + ": holds more than 4 GiB, expected at most that");
    }
  } while (file);
  if (file.bad()) throw anyssr::FormatError(path + ": reading failed; is it a regular file?");
  return text;
}

}  // namespace support
