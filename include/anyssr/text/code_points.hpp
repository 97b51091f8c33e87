// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Code points of well-formed UTF-8 and back, and text from bytes that may be none.

#include <cstddef>
#include <string>
#include <string_view>

#include "anyssr/core/printable.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// U+FFFD in UTF-8.
inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

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
