// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Text to token ids and back by the tokenizer of a model's folder, or the reason why there is none.
/// Token ids need none of it.

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <anyssr/core/warning.hpp>
#include <anyssr/text/tokenizer.hpp>
#include <charconv>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/shown.hpp"

namespace support {

using Tokens = std::vector<anyssr::TokenId>;

/// The tokenizer of a model's folder, or the reason why there is none. A value.
class TextTokens {
 public:
  explicit TextTokens(const std::filesystem::path& folder, const anyssr::WarningSink& warn = {}) {
    try {
      tokenizer_ = anyssr::Tokenizer::read(folder, warn);
    } catch (const anyssr::Error& error) {
      reason_ = error.what();
    }
  }

  [[nodiscard]] bool is_there() const noexcept { return tokenizer_.has_value(); }
  /// Why there is no tokenizer; empty where there is one.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

  /// The ids of a text, without BOS.
  /// @throws anyssr::ArgumentError  there is no tokenizer, or the text is not UTF-8
  [[nodiscard]] Tokens encode(std::string_view text) const {
    return tokenizer().encode(text, {.special = false});
  }

  /// The text with BOS before it, and EOS behind it, where the tokenizer has it so.
  /// @throws as encode; anyssr::ArgumentError for an empty text
  [[nodiscard]] Tokens encode_prompt(std::string_view text) const {
    if (text.empty()) throw anyssr::ArgumentError("the prompt is empty, expected a text");
    return tokenizer().encode(text);
  }

  /// The token before a text: the tokenizer's word counts, also where it says none; without a
  /// tokenizer the model's.
  [[nodiscard]] std::optional<anyssr::TokenId> bos(std::optional<anyssr::TokenId> of_model) const {
    return tokenizer_ ? tokenizer_->bos() : of_model;
  }

  /// The text of ids; nothing without a tokenizer, or where it does not know an id.
  [[nodiscard]] std::optional<std::string> decode(std::span<const anyssr::TokenId> ids) const {
    try {
      if (tokenizer_) return tokenizer_->decode(ids);
    } catch (const anyssr::ArgumentError&) {
      return std::nullopt;  // a model may have more rows than its tokenizer has tokens
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] const anyssr::Tokenizer& tokenizer() const {
    if (!tokenizer_) throw anyssr::ArgumentError(reason_);
    return *tokenizer_;
  }

  std::optional<anyssr::Tokenizer> tokenizer_;
  std::string reason_;  // why there is none
};

/// "1,45,77".
/// @throws anyssr::ArgumentError  naming `what` and the part that is no id
[[nodiscard]] inline Tokens parse_ids(std::string_view text, std::string_view what) {
  Tokens ids;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, end - begin);
    anyssr::TokenId id = -1;
    const auto [last, error] = std::from_chars(part.data(), part.data() + part.size(), id);
    if (error != std::errc{} || last != part.data() + part.size() || id < 0) {
      throw anyssr::ArgumentError(std::string(what) + " has '" + std::string(part) +
                                  "', expected token ids with commas: 1,45,77");
    }
    ids.push_back(id);
    begin = end + 1;
  }
  return ids;
}

/// "1,45,77".
[[nodiscard]] inline std::string ids_text(std::span<const anyssr::TokenId> ids) {
  std::string text;
  for (const anyssr::TokenId id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

/// The two characters \n become a line break, as in a shell's simple quotes.
[[nodiscard]] inline std::string with_line_breaks(std::string text) {
  for (std::size_t at = 0; (at = text.find("\\n", at)) != std::string::npos; ++at) {
    text.replace(at, 2, "\n");
  }
  return text;
}

/// Text for a terminal (shown.hpp), whose line breaks stay.
/// @param line_break  what stands for them
[[nodiscard]] inline std::string printable(std::string_view text,
                                           std::string_view line_break = "\n") {
  std::string result;
  for (std::size_t end = 0; (end = text.find('\n')) != std::string_view::npos;) {
    result += shown(text.substr(0, end));
    result += line_break;
    text.remove_prefix(end + 1);
  }
  return result + shown(text);
}

/// The same with line breaks as the two characters \n.
[[nodiscard]] inline std::string on_one_line(std::string_view text) {
  return printable(text, "\\n");
}

}  // namespace support
