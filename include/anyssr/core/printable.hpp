// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Text from anywhere, made fit for a message: names and paths may hold what a terminal obeys or
/// what changes how the text around them reads.
///
///   "\x1b" -> \x1B    U+009B -> \u{9B}    U+202E (right to left) -> \u{202E}    byte FF -> \xFF

#include <array>
#include <cstddef>
#include <cstdio>
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

/// Whether a terminal obeys a character, or it turns the direction of the text or ends the line.
[[nodiscard]] constexpr bool is_control(char32_t c) noexcept {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
         (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

/// The text with controls and bytes that are no UTF-8 written out. Line ends stay, since a message
/// may list several faults. Printable text comes back as it is, so a second call changes nothing.
[[nodiscard]] inline std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  const auto write_out = [&](const char* form, unsigned value) {
    std::array<char, 16> escaped{};
    std::snprintf(escaped.data(), escaped.size(), form, value);
    result += escaped.data();
  };
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const unsigned first = static_cast<unsigned char>(text[0]);
    char32_t c = first;
    if (length > 1) c = first & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
      c = (c << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
    }
    if (length == 0 || (length == 1 && first != '\n' && is_control(c))) {
      write_out("\\x%02X", first);
    } else if (length > 1 && is_control(c)) {
      write_out("\\u{%02X}", static_cast<unsigned>(c));
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
