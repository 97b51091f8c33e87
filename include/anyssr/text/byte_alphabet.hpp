// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The alphabet of byte-level tokenizers: each byte is a printable character, so that pieces are
/// text. Bytes 33..126, 161..172 and 174..255 are the code points of that number, the other 68 in
/// ascending order U+0100, U+0101, ... (space is U+0120).
/// Source: the encoder of GPT-2, Radford et al., 2019.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "anyssr/core/code_points.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

inline constexpr std::size_t byte_letters = 0x144;  // one more than the largest code point

/// The code point of each byte.
inline constexpr auto letters_of_bytes = [] {
  std::array<char32_t, 256> letters{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool is_printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173 && byte <= 255);
    letters[byte] = is_printable ? char32_t{byte} : next++;
  }
  return letters;
}();

/// The byte of each code point, -1 where it has none.
inline constexpr auto bytes_of_letters = [] {
  std::array<std::int16_t, byte_letters> bytes{};
  bytes.fill(-1);
  for (unsigned byte = 0; byte < 256; ++byte) {
    bytes[letters_of_bytes[byte]] = static_cast<std::int16_t>(byte);
  }
  return bytes;
}();

inline void append_byte_letters(std::string_view bytes, std::string& text) {
  for (const char byte : bytes) {
    append_code_point(text, letters_of_bytes[static_cast<unsigned char>(byte)]);
  }
}

/// The bytes that a text of the alphabet stands for; none where a character is not of it.
[[nodiscard]] inline std::optional<std::string> bytes_of(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c >= byte_letters || bytes_of_letters[c] < 0) return std::nullopt;
    bytes += static_cast<char>(bytes_of_letters[c]);
  }
  return bytes;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
