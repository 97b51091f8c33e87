// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above
/// U+10FFFF.
///
///   00..7F | C2..DF c | E0 A0..BF c | E1..EC c c | ED 80..9F c | EE..EF c c
///   | F0 90..BF c c | F1..F3 c c c | F4 80..8F c c        c = 80..BF

#include <cstddef>
#include <string_view>

#include "anyssr/core/printable.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// Where the first sequence begins that is not well-formed; npos where all are.
/// Cost: O(text.size()) time.
[[nodiscard]] inline std::size_t find_invalid_utf8(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

/// The start of a text, at most `most` bytes; a sequence that would be cut is left out.
[[nodiscard]] inline std::string_view utf8_prefix(std::string_view text,
                                                  std::size_t most) noexcept {
  if (text.size() <= most) return text;
  const auto is_inside = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
  };
  std::size_t end = most;
  while (end > 0 && most - end < 3 && is_inside(end)) --end;
  return text.substr(0, is_inside(end) ? most : end);  // else it is no UTF-8
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
