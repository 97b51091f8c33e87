// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How text hashing reads text: bytes to code points, code points to words in lower case.
///
/// A word is a longest run of letters and digits. The text is UTF-8; a byte that is not valid there
/// counts as the code point of its value, so Latin-1 text works too. ASCII letters and digits are
/// what they are; of the rest everything is a letter but
///
///   U+0080-00BF save the letters U+00AA, 00B5, 00BA; U+00D7, U+00F7      controls, Latin-1 marks
///   U+2000-206F, U+3000-303F, U+FEFF                                     general and CJK marks
///   U+FF01-FF0F, U+FF1A-FF20, U+FF3B-FF40, U+FF5B-FF65                   marks of full width
///
/// There is no Unicode normalisation: compose accents (NFC) before. The mapping is part of the
/// formats, as the hash over it is: another mapping needs another fingerprint.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/abi.hpp"
#include "anyssr/core/code_points.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

struct CodePoint {
  char32_t value;
  std::size_t bytes;  // 1 to 4
};

/// The code point at byte `at` < text.size(). What is not UTF-8 (stray and missing continuations,
/// overlong forms, surrogates, above U+10FFFF) gives one byte as it is; nothing beyond is read.
[[nodiscard]] inline CodePoint decode_utf8(std::string_view text, std::size_t at) noexcept {
  const std::size_t bytes = utf8_length(text.substr(at));
  if (bytes < 2) return {static_cast<unsigned char>(text[at]), 1};
  return {next_code_point(text, at), bytes};
}

[[nodiscard]] constexpr bool is_within(char32_t c, char32_t first, char32_t last) noexcept {
  return c >= first && c <= last;
}

/// Letters and digits, as this file defines them.
[[nodiscard]] constexpr bool is_word_character(char32_t c) noexcept {
  if (c < 0x80) {
    return is_within(c, U'a', U'z') || is_within(c, U'A', U'Z') || is_within(c, U'0', U'9');
  }
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  const bool full_width_mark = is_within(c, 0xFF01, 0xFF0F) || is_within(c, 0xFF1A, 0xFF20) ||
                               is_within(c, 0xFF3B, 0xFF40) || is_within(c, 0xFF5B, 0xFF65);
  return c != 0xD7 && c != 0xF7 && c != 0xFEFF && !is_within(c, 0x2000, 0x206F) &&
         !is_within(c, 0x3000, 0x303F) && !full_width_mark;
}

/// Lower case, one code point for one, by arithmetic on the blocks: ASCII, Latin-1, Latin
/// Extended-A (dotted capital I becomes i), modern Greek (final sigma becomes sigma, so that case
/// makes no difference), Cyrillic with its extensions. All else stays as it is.
[[nodiscard]] constexpr char32_t lower_case(char32_t c) noexcept {
  const bool even = c % 2 == 0;
  if (c < 0x80) return is_within(c, U'A', U'Z') ? c + 32 : c;
  if (c < 0x100) return is_within(c, 0xC0, 0xDE) && c != 0xD7 ? c + 32 : c;
  if (c < 0x180) {
    if (c == 0x130) return U'i';
    if (c == 0x178) return 0xFF;
    if (c == 0x138) return c;
    const bool odd_capitals = is_within(c, 0x139, 0x148) || is_within(c, 0x179, 0x17E);
    return even != odd_capitals ? c + 1 : c;
  }
  if (is_within(c, 0x386, 0x3CE)) {
    if (c == 0x386) return 0x3AC;
    if (is_within(c, 0x388, 0x38A)) return c + 37;
    if (c == 0x38C) return 0x3CC;
    if (is_within(c, 0x38E, 0x38F)) return c + 63;
    if (c == 0x3C2) return 0x3C3;
    return is_within(c, 0x391, 0x3AB) ? c + 32 : c;
  }
  if (is_within(c, 0x400, 0x52F)) {
    if (c < 0x410) return c + 80;
    if (c < 0x430) return c + 32;
    if (c == 0x4C0) return 0x4CF;
    if (is_within(c, 0x4C1, 0x4CE)) return even ? c : c + 1;
    const bool pairs = is_within(c, 0x460, 0x481) || c >= 0x48A;
    return pairs && even ? c + 1 : c;
  }
  return c;
}

/// One text cut into words; buffers serve one text after another.
class WordSplitter {
 public:
  /// Cuts `text`; what the last call found is gone.
  void split(std::string_view text) {
    bytes_.clear();
    words_.clear();
    for (std::size_t at = 0; at < text.size();) {
      const CodePoint point = decode_utf8(text, at);
      at += point.bytes;
      if (!is_word_character(point.value)) {
        end_word();
        continue;
      }
      if (!inside_) begin_word();
      append_code_point(bytes_, lower_case(point.value));
    }
    end_word();
  }

  [[nodiscard]] std::size_t size() const noexcept { return words_.size(); }

  /// Word i, without marks.
  [[nodiscard]] std::string_view word(std::size_t i) const {
    return std::string_view(bytes_).substr(words_[i].first, words_[i].second);
  }

  /// One byte for the caller's use and "<word>" of word i.
  [[nodiscard]] std::span<char> marked(std::size_t i) {
    return {bytes_.data() + words_[i].first - 2, words_[i].second + 3};
  }

 private:
  void begin_word() {
    bytes_ += " <";
    words_.emplace_back(bytes_.size(), 0);
    inside_ = true;
  }

  void end_word() {
    if (!inside_) return;
    words_.back().second = bytes_.size() - words_.back().first;
    bytes_ += '>';
    inside_ = false;
  }

  std::string bytes_;                                       // " <word>" for each word
  std::vector<std::pair<std::size_t, std::size_t>> words_;  // first byte and length in bytes_
  bool inside_ = false;
};

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
