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
#include "anyssr/core/code_points.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

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
    std::size_t end = 0;
    const char32_t c = length > 1 ? next_code_point(text, end) : first;
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
