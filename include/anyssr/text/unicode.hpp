// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What Unicode says of characters, by the library utf8proc: categories, lower case, the four
/// normal forms, grapheme clusters. This header needs that library (ANYSSR_WITH_TOKENIZERS in
/// CMake).
///
/// Its Unicode version decides about letters that are newer than it: they are unassigned there.

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/code_points.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Unicode normal forms (UAX 15).
enum class NormalForm : std::uint8_t { nfc, nfd, nfkc, nfkd };

namespace detail {
template <>
inline constexpr NormalForm last_enumerator<NormalForm> = NormalForm::nfkd;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(NormalForm form) {
  switch (form) {
    case NormalForm::nfc:
      return "NFC";
    case NormalForm::nfd:
      return "NFD";
    case NormalForm::nfkc:
      return "NFKC";
    case NormalForm::nfkd:
      return "NFKD";
  }
  detail::raise_no_enumerator("normal form", form);
}

namespace detail {

[[nodiscard]] inline utf8proc_category_t category_of(char32_t c) noexcept {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

[[nodiscard]] inline bool is_letter(char32_t c) noexcept {
  const utf8proc_category_t category = category_of(c);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
[[nodiscard]] inline bool is_mark(char32_t c) noexcept {
  const utf8proc_category_t category = category_of(c);
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}
[[nodiscard]] inline bool is_number(char32_t c) noexcept {
  if (c < 0x80) return c >= '0' && c <= '9';
  const utf8proc_category_t category = category_of(c);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}
/// P of Unicode, and what else of ASCII is no letter, digit, space or control.
[[nodiscard]] inline bool is_punctuation(char32_t c) noexcept {
  if (c < 0x80) {
    return (c > 0x20 && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') ||
           (c > 'z' && c < 0x7F);
  }
  const utf8proc_category_t category = category_of(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}
/// \w of regular expressions: letters, marks, digits, letter numbers, connectors and joiners.
[[nodiscard]] inline bool is_word_part(char32_t c) noexcept {
  const utf8proc_category_t category = category_of(c);
  return is_letter(c) || is_mark(c) || category == UTF8PROC_CATEGORY_ND ||
         category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_PC || c == 0x200C ||
         c == 0x200D;
}

/// A text with f(code point, text to append to) called for each code point.
template <class F>
[[nodiscard]] std::string map_code_points(std::string_view text, const F& f) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    f(c, result);
  }
  return result;
}

/// Each code point alone: no rule for a final sigma.
inline void append_lower_case(char32_t c, std::string& text) {
  if (c == 0x130) {  // the one letter that becomes two without a language
    text += "i\xCC\x87";
  } else {
    append_code_point(text,
                      static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
}

[[nodiscard]] inline bool is_ascii(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Whether a text is in a form as it stands, by its bytes alone: below U+0300 nothing is composed
/// further, below U+0080 nothing changes.
[[nodiscard]] inline bool is_plainly_in(std::string_view text, NormalForm form) noexcept {
  if (form != NormalForm::nfc) return is_ascii(text);
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0xCC; });
}

/// Decomposed code points, runs of marks in canonical order. utf8proc would sort a run by swaps of
/// neighbours, which takes the square of its length.
[[nodiscard]] inline std::vector<utf8proc_int32_t> decomposed(std::string_view text,
                                                              bool compatibly) {
  constexpr std::size_t longest = 18;  // U+FDFA
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE |
                                                      (compatibly ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> result;
  result.reserve(text.size());
  std::array<utf8proc_int32_t, 2 * longest> parts{};
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(),
                                static_cast<utf8proc_ssize_t>(parts.size()), options, nullptr);
    expect(count >= 0 && count <= static_cast<utf8proc_ssize_t>(parts.size()),
           "utf8proc does not decompose U+", static_cast<std::uint32_t>(c), " (in decimal)");
    result.insert(result.end(), parts.begin(), parts.begin() + count);
  }
  const auto order = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (auto run = result.begin(); run != result.end();) {
    run = std::find_if(run, result.end(), [&](utf8proc_int32_t c) { return order(c) != 0; });
    const auto end = std::find_if(run, result.end(), [&](auto c) { return order(c) == 0; });
    std::stable_sort(run, end, [&](auto a, auto b) { return order(a) < order(b); });
    run = end;
  }
  return result;
}

}  // namespace detail

/// A text in a normal form.
/// @param text  well-formed UTF-8
/// Cost: O(n log n) time, 4 n bytes of memory beside the result; O(n) where nothing changes.
[[nodiscard]] inline std::string normal_form(std::string_view text, NormalForm form) {
  if (detail::is_plainly_in(text, form)) return std::string(text);
  const bool compatibly = form == NormalForm::nfkc || form == NormalForm::nfkd;
  std::vector<utf8proc_int32_t> codes = detail::decomposed(text, compatibly);
  if (form == NormalForm::nfc || form == NormalForm::nfkc) {
    const utf8proc_ssize_t count = utf8proc_normalize_utf32(
        codes.data(), static_cast<utf8proc_ssize_t>(codes.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    detail::expect(count >= 0, "utf8proc does not compose: ", utf8proc_errmsg(count));
    codes.resize(static_cast<std::size_t>(count));
  }
  std::string result;
  result.reserve(text.size());
  for (const utf8proc_int32_t c : codes) {
    detail::append_code_point(result, static_cast<char32_t>(c));
  }
  return result;
}

namespace detail {

/// Calls f(begin, end) for each extended grapheme cluster (UAX 29).
template <class F>
void for_each_grapheme(std::string_view text, const F& f) {
  std::size_t begin = 0;
  utf8proc_int32_t before = -1;
  utf8proc_int32_t state = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t here = at;
    const auto c = static_cast<utf8proc_int32_t>(next_code_point(text, at));
    if (before >= 0 && utf8proc_grapheme_break_stateful(before, c, &state)) {
      f(begin, here);
      begin = here;
    }
    before = c;
  }
  if (begin < text.size()) f(begin, text.size());
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
