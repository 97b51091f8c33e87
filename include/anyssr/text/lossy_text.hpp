// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Text from bytes that may be no UTF-8, as the tokens of a text are.

#include <cstddef>
#include <string>
#include <string_view>

#include "anyssr/core/code_points.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// U+FFFD in UTF-8.
inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

/// Bytes at the start of `bytes` that begin a character and could be continued to a well-formed
/// one: the maximal part that one U+FFFD stands for (Unicode 15, table 3-8); 0 where the first byte
/// begins none.
[[nodiscard]] inline std::size_t unfinished_length(std::string_view bytes) noexcept {
  // what completes it, tried on the spot: the narrowest second bytes are 90..9F and A0
  std::string_view best;
  for (const std::string_view tail : {"\x80\x80\x80", "\x90\x80\x80", "\xA0\x80\x80"}) {
    for (std::size_t taken = 1; taken <= 3 && taken <= bytes.size(); ++taken) {
      std::string tried(bytes.substr(0, taken));
      tried += tail.substr(taken == 1 ? 0 : 1);
      if (utf8_length(tried) > taken && taken > best.size()) best = bytes.substr(0, taken);
    }
  }
  return best.size();
}

/// Appends bytes as text, with one U+FFFD for each maximal part that is ill-formed.
/// @param is_last  false: what could be continued at the end stays behind
/// @return the bytes that were taken
inline std::size_t append_lossy(std::string_view bytes, bool is_last, std::string& text) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::string_view rest = bytes.substr(at);
    if (const std::size_t length = utf8_length(rest)) {
      text += rest.substr(0, length);
      at += length;
      continue;
    }
    const std::size_t part = unfinished_length(rest);
    if (!is_last && part == rest.size()) break;
    text += replacement_character;
    at += part == 0 ? 1 : part;
  }
  return at;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
