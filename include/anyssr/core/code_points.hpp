// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Code points of UTF-8 and back.

#include <cstddef>
#include <string>
#include <string_view>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Bytes of the well-formed UTF-8 sequence at the start of `text`, which is not empty; 0 where
/// there is none (Unicode 15, table 3-7: see io/utf8.hpp).
[[nodiscard]] inline std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  const unsigned lowest = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned highest = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < lowest || byte(1) > highest) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  return length;
}

/// Bytes of the sequence that a byte begins; the text is well-formed.
[[nodiscard]] constexpr std::size_t sequence_length(char first) noexcept {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// The code point at byte `at`, which moves behind it; the text is well-formed.
[[nodiscard]] constexpr char32_t next_code_point(std::string_view text, std::size_t& at) noexcept {
  const std::size_t length = sequence_length(text[at]);
  char32_t c = static_cast<unsigned char>(text[at]);
  if (length > 1) c &= 0x7FU >> length;
  for (std::size_t i = 1; i < length; ++i) {
    c = (c << 6U) | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
  }
  at += length;
  return c;
}

/// The code point that ends at byte `at`, which is above 0 and moves to its start; the text is
/// well-formed.
[[nodiscard]] constexpr char32_t code_point_before(std::string_view text,
                                                   std::size_t& at) noexcept {
  --at;
  while ((static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
  std::size_t end = at;
  return next_code_point(text, end);
}

inline void append_code_point(std::string& text, char32_t c) {
  const auto add = [&](char32_t byte) { text += static_cast<char>(byte); };
  if (c < 0x80) return add(c);
  if (c < 0x800) {
    add(0xC0 | (c >> 6U));
  } else if (c < 0x10000) {
    add(0xE0 | (c >> 12U));
    add(0x80 | ((c >> 6U) & 0x3FU));
  } else {
    add(0xF0 | (c >> 18U));
    add(0x80 | ((c >> 12U) & 0x3FU));
    add(0x80 | ((c >> 6U) & 0x3FU));
  }
  add(0x80 | (c & 0x3FU));
}

/// White_Space of Unicode. U+180E and U+200B are none.
[[nodiscard]] constexpr bool is_white_space(char32_t c) noexcept {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
