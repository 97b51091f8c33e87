// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What `Replace` and `Split` of a tokenizer.json look for: {"String": ...} or {"Regex": ...}.

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "anyssr/io/json_fields.hpp"
#include "anyssr/text/pattern.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

class TextPattern {
 public:
  /// @throws FormatError  neither of the two, or an expression that is not understood
  explicit TextPattern(const JsonFields& fields) : pattern_(read(fields)) {}
  explicit TextPattern(Pattern pattern) : pattern_(std::move(pattern)) {}

  /// Calls f(begin, end) for each match that is not empty, from left to right.
  template <class F>
  void for_each_match(std::string_view text, const F& f) const {
    if (const Pattern* expression = std::get_if<Pattern>(&pattern_)) {
      return expression->for_each_match(text, f);
    }
    const auto& word = std::get<std::string>(pattern_);
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string_view::npos;) {
      f(at, at + word.size());
      at += word.size();
    }
  }

 private:
  [[nodiscard]] static std::variant<std::string, Pattern> read(const JsonFields& fields) {
    if (fields.has("Regex")) return Pattern(fields.text("Regex"), fields.place());
    const std::string& word = fields.text("String");
    if (word.empty()) fields.refuse("String", "at least one character");
    return word;
  }

  std::variant<std::string, Pattern> pattern_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
