// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Regular expressions over UTF-8, by the library PCRE2. This header needs that library
/// (ANYSSR_WITH_TOKENIZERS in CMake).
///
/// `\s` means Unicode's White_Space. PCRE2's own counts U+180E too, which tokenizers do not.

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "anyssr/core/code_points.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// The message of a PCRE2 error code.
[[nodiscard]] inline std::string pattern_error(int code) {
  std::array<PCRE2_UCHAR8, 256> text{};
  pcre2_get_error_message_8(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

/// A compiled expression. A value: copies share it, and const calls may come from several threads.
class Pattern {
 public:
  /// @param place  for messages
  /// @throws FormatError  PCRE2 does not know the expression
  Pattern(std::string_view expression, std::string_view place) {
    const std::string spelt = with_white_space(expression, place);
    int error = 0;
    std::size_t position = 0;
    code_.reset(pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(spelt.data()), spelt.size(),
                                PCRE2_UTF | PCRE2_UCP, &error, &position, nullptr),
                pcre2_code_free_8);
    if (!code_) {
      raise<FormatError>(place, ": the expression ", shown_start(expression),
                         " is not understood: ", pattern_error(error));
    }
    pcre2_jit_compile_8(code_.get(), PCRE2_JIT_COMPLETE);  // without it matching is slower
  }

  /// Calls f(begin, end) for each match that is not empty, from left to right.
  /// @param text  well-formed UTF-8
  /// @throws ArgumentError  matching took more steps or memory than PCRE2 allows
  template <class F>
  void for_each_match(std::string_view text, const F& f) const {
    const Match match(code_.get(), text.size());
    for (std::size_t at = 0; at < text.size();) {
      if (!match.find(code_.get(), text, at)) break;
      const auto [begin, end] = match.range();
      if (begin == end) {
        at = end + (end < text.size() ? sequence_length(text[end]) : 1);
        continue;
      }
      f(begin, end);
      at = end;
    }
  }

 private:
  /// What one matching needs: buffers, and limits that grow with the text.
  class Match {
   public:
    Match(const pcre2_code_8* code, std::size_t size)
        : data_(pcre2_match_data_create_from_pattern_8(code, nullptr), pcre2_match_data_free_8),
          context_(pcre2_match_context_create_8(nullptr), pcre2_match_context_free_8) {
      if (!data_ || !context_) throw std::bad_alloc();
      constexpr std::size_t base = 10'000'000;  // PCRE2's own; a run of n spaces takes about n
      const std::size_t limit = base + 64 * size;
      pcre2_set_match_limit_8(context_.get(),
                              static_cast<std::uint32_t>(std::min<std::size_t>(limit, 1U << 31U)));
    }

    [[nodiscard]] bool find(const pcre2_code_8* code, std::string_view text, std::size_t at) const {
      const auto run = [&](std::uint32_t options) {
        return pcre2_match_8(code, reinterpret_cast<PCRE2_SPTR8>(text.data()), text.size(), at,
                             options | PCRE2_NO_UTF_CHECK, data_.get(), context_.get());
      };
      int result = run(0);
      if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = run(PCRE2_NO_JIT);
      if (result == PCRE2_ERROR_NOMATCH) return false;
      expect(result >= 0, "text cannot be split by the tokenizer's expression: ",
             result < 0 ? pattern_error(result) : std::string());
      return true;
    }

    struct Range {
      std::size_t begin;
      std::size_t end;
    };
    [[nodiscard]] Range range() const {
      const std::size_t* const ends = pcre2_get_ovector_pointer_8(data_.get());
      return {ends[0], ends[1]};
    }

   private:
    std::unique_ptr<pcre2_match_data_8, decltype(&pcre2_match_data_free_8)> data_;
    std::unique_ptr<pcre2_match_context_8, decltype(&pcre2_match_context_free_8)> context_;
  };

  [[nodiscard]] static std::string shown_start(std::string_view expression) {
    return '"' + printable(expression.substr(0, 80)) + '"';
  }

  /// The expression with \s and \S written as the class that they mean.
  [[nodiscard]] static std::string with_white_space(std::string_view expression,
                                                    std::string_view place) {
    static constexpr std::string_view spaces =
        R"(\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
    std::string result;
    bool is_inside = false;  // a class
    for (std::size_t i = 0; i < expression.size(); ++i) {
      const char c = expression[i];
      if (c != '\\' || i + 1 == expression.size()) {
        if (c == '[' && !is_inside)
          is_inside = true;
        else if (c == ']')
          is_inside = false;
        result += c;
        continue;
      }
      const char next = expression[++i];
      if (next == 's') {
        result += is_inside ? std::string(spaces) : concat("[", spaces, "]");
      } else if (next == 'S') {
        expect<FormatError>(!is_inside, place, ": the expression ", shown_start(expression),
                            " has \\S within a class, expected it outside");
        result += concat("[^", spaces, "]");
      } else {
        result += {c, next};
      }
    }
    return result;
  }

  std::shared_ptr<pcre2_code_8> code_;  // never null once constructed
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
