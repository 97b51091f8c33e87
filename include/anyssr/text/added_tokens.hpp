// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Tokens that stand in a text by their name ("<|eot_id|>", "<think>") and are cut out of it before
/// anything else: at each place the longest one that begins there.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/token_id.hpp"
#include "anyssr/text/piece_tables.hpp"
#include "anyssr/text/unicode.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

struct AddedToken {
  TokenId id;
  std::string content;
  bool is_special;      ///< control, which text that is not trusted never becomes
  bool is_normalized;   ///< found in the normalised text
  bool takes_left;      ///< swallows white space before it
  bool takes_right;     ///< ... and behind it
  bool is_single_word;  ///< none where a letter or digit touches it
};

/// The tokens that are looked for in one pass.
class AddedTokens {
 public:
  /// @param content  as it stands in the text of the pass
  void add(AddedToken token, std::string_view content) {
    if (content.empty()) return;
    if (trie_.add(content, static_cast<std::uint32_t>(tokens_.size()))) {
      begins_[static_cast<unsigned char>(content.front())] = true;
    }
    tokens_.push_back(std::move(token));
  }

  /// Calls on_text(part) and on_token(id) in the order of the text; parts are not empty.
  template <class OnText, class OnToken>
  void cut(std::string_view text, const OnText& on_text, const OnToken& on_token) const {
    std::size_t begin = 0;  // of what has not been given out
    for (std::size_t at = 0; at < text.size();) {
      if (!begins_[static_cast<unsigned char>(text[at])]) {
        ++at;
        continue;
      }
      std::size_t end = at;
      const AddedToken* token = nullptr;
      trie_.for_each_prefix(text, at, [&](std::size_t piece_end, std::uint32_t value) {
        end = piece_end;
        token = &tokens_[value];
      });
      if (token == nullptr) {
        ++at;
        continue;
      }
      const std::size_t found = at;
      at = end;
      if (token->is_single_word && is_touched(text, found, end)) continue;
      const std::size_t first = token->takes_left ? before_spaces(text, begin, found) : found;
      if (begin < first) on_text(text.substr(begin, first - begin));
      on_token(token->id);
      begin = std::max(begin, token->takes_right ? behind_spaces(text, end) : end);
    }
    if (begin < text.size()) on_text(text.substr(begin));
  }

 private:
  [[nodiscard]] static bool is_touched(std::string_view text, std::size_t begin, std::size_t end) {
    if (begin > 0) {
      std::size_t at = begin;
      if (is_word_part(code_point_before(text, at))) return true;
    }
    return end < text.size() && is_word_part(next_code_point(text, end));
  }
  [[nodiscard]] static std::size_t before_spaces(std::string_view text, std::size_t least,
                                                 std::size_t at) {
    while (at > least) {
      std::size_t begin = at;
      if (!is_white_space(code_point_before(text, begin))) break;
      at = begin;
    }
    return at < least ? least : at;
  }
  [[nodiscard]] static std::size_t behind_spaces(std::string_view text, std::size_t at) {
    while (at < text.size()) {
      std::size_t end = at;
      if (!is_white_space(next_code_point(text, end))) break;
      at = end;
    }
    return at;
  }

  std::vector<AddedToken> tokens_;
  PieceTrie trie_;
  std::vector<bool> begins_ = std::vector<bool>(256);  // bytes that begin a token
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
