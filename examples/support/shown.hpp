// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Text that came from a file or a command line, on its way to a terminal, a message or a table.
/// Escape sequences, line breaks and marks that turn the direction of writing around would let it
/// pose as something else.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace support {

/// One code point of a text, or one byte that is no UTF-8.
struct Character {
  std::uint32_t point = 0;  ///< the byte where it is not valid
  std::size_t bytes = 1;
  bool is_valid = false;
};

/// The character that begins at byte `at`, below text.size().
[[nodiscard]] inline Character character_at(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const std::uint32_t first = byte(at);
  const Character broken{first, 1, false};
  if (first < 0x80) return {first, 1, true};
  if (first < 0xC2 || first > 0xF4) return broken;
  const std::size_t bytes = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  std::uint32_t point = first & (0xFFU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) return broken;
    point = point << 6U | (byte(at + i) & 0x3FU);
  }
  const bool is_overlong = point < (bytes == 2 ? 0x80U : bytes == 3 ? 0x800U : 0x10000U);
  const bool is_surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (is_overlong || is_surrogate || point > 0x10FFFF) return broken;
  return {point, bytes, true};
}

/// Calls f(character, its bytes) for each character of a text.
template <class F>
void for_each_character(std::string_view text, const F& f) {
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    f(character, text.substr(at, character.bytes));
    at += character.bytes;
  }
}

/// Controls (C0, DEL, C1), line and paragraph separators, and marks of the direction of writing.
[[nodiscard]] inline bool is_unprintable(std::uint32_t point) noexcept {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x61C || point == 0x200E ||
         point == 0x200F || (point >= 0x2028 && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069) || point == 0xFEFF;
}

/// The text with what must not reach a terminal escaped: \x1B for control bytes and for bytes that
/// are no UTF-8, \u{202E} for characters.
[[nodiscard]] inline std::string shown(std::string_view text) {
  const auto hexadecimal = [](std::uint32_t value) {
    std::string digits;
    for (; value > 0 || digits.size() < 2; value >>= 4U) {
      digits.insert(digits.begin(), "0123456789ABCDEF"[value & 0xFU]);
    }
    return digits;
  };
  std::string result;
  for_each_character(text, [&](const Character& character, std::string_view bytes) {
    if (!character.is_valid || (character.point < 0x80 && is_unprintable(character.point))) {
      result += "\\x" + hexadecimal(character.point);
    } else if (is_unprintable(character.point)) {
      result += "\\u{" + hexadecimal(character.point) + "}";
    } else {
      result += bytes;
    }
  });
  return result;
}

/// Columns that a character takes on a terminal: 0 for marks that combine, 2 for wide ones.
[[nodiscard]] inline std::size_t columns_of(std::uint32_t point) noexcept {
  struct Range {
    std::uint32_t first, last;
  };
  constexpr Range combining[] = {{0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},
                                 {0x64B, 0x65F},   {0x93C, 0x93C},   {0x94D, 0x94D},
                                 {0x200B, 0x200D}, {0x20D0, 0x20F0}, {0xFE00, 0xFE0F}};
  constexpr Range wide[] = {{0x1100, 0x115F}, {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},
                            {0xF900, 0xFAFF}, {0xFE30, 0xFE4F},   {0xFF00, 0xFF60},
                            {0xFFE0, 0xFFE6}, {0x1F300, 0x1FAFF}, {0x20000, 0x3FFFD}};
  for (const Range& range : combining) {
    if (point >= range.first && point <= range.last) return 0;
  }
  for (const Range& range : wide) {
    if (point >= range.first && point <= range.last) return 2;
  }
  return 1;
}

/// The start of a text that fits into so many columns, cut between characters.
[[nodiscard]] inline std::string cut(std::string_view text, std::size_t columns) {
  std::size_t used = 0;
  std::size_t end = 0;
  bool is_full = false;
  for_each_character(text, [&](const Character& character, std::string_view bytes) {
    used += columns_of(character.point);
    is_full = is_full || used > columns;
    if (!is_full) end += bytes.size();
  });
  return std::string(text.substr(0, end));
}

/// A text for a table: shown, cut, and filled with blanks up to so many columns.
/// @param is_right  the blanks come first
[[nodiscard]] inline std::string in_columns(std::string_view text, std::size_t columns,
                                            bool is_right = false) {
  std::string result = cut(shown(text), columns);
  std::size_t used = 0;
  for_each_character(result, [&](const Character& character, std::string_view /*bytes*/) {
    used += columns_of(character.point);
  });
  result.insert(is_right ? 0 : result.size(), columns - used, ' ');
  return result;
}

/// A text inside a message: shown, in quotes, with an ellipsis where it is long.
[[nodiscard]] inline std::string quoted(std::string_view text) {
  constexpr std::size_t most = 80;
  const std::string all = shown(text);
  const std::string start = cut(all, most);
  return "\"" + start + (start.size() < all.size() ? "..." : "") + "\"";
}

}  // namespace support
