// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// WordPiece: the longest piece that begins the word, then the longest with the prefix of
/// continuations ("##"), and so on; a word that cannot be covered so is one unknown token.
/// Source: Devlin et al., arXiv 1810.04805, and the code that came with it.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/code_points.hpp"
#include "anyssr/text/piece_tables.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

class WordPieceModel {
 public:
  /// @param prefix        of pieces that continue a word
  /// @param most_letters  a longer word, in code points, is unknown
  WordPieceModel(const Vocabulary& pieces, std::string_view prefix, TokenId unknown,
                 std::size_t most_letters)
      : unknown_(unknown), most_letters_(most_letters) {
    for (TokenId id = 0; id < pieces.end(); ++id) {
      const auto piece = pieces.piece(id);
      if (piece) trie_.add(*piece, static_cast<std::uint32_t>(id));
    }
    continuation_ = trie_.walk(prefix);
  }

  /// Appends the ids of a word.
  /// @param refused  ids that no text becomes
  void encode(std::string_view word, const Vocabulary& /*pieces*/, const TokenSet& refused,
              std::vector<TokenId>& ids) const {
    const std::size_t before = ids.size();
    if (letters_in(word) <= most_letters_ && cover(word, refused, ids)) return;
    ids.resize(before);
    ids.push_back(unknown_);
  }

 private:
  bool cover(std::string_view word, const TokenSet& refused, std::vector<TokenId>& ids) const {
    for (std::size_t at = 0; at < word.size();) {
      if (at > 0 && !continuation_) return false;
      std::size_t end = at;
      TokenId longest = -1;
      trie_.for_each_prefix(
          word, at,
          [&](std::size_t piece_end, std::uint32_t value) {
            const auto id = static_cast<TokenId>(value);
            if (refused.has(id)) return;
            end = piece_end;
            longest = id;
          },
          at == 0 ? PieceTrie::root : *continuation_);
      if (longest < 0) return false;
      ids.push_back(longest);
      at = end;
    }
    return true;
  }
  [[nodiscard]] static std::size_t letters_in(std::string_view word) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < word.size(); ++count) at += sequence_length(word[at]);
    return count;
  }

  PieceTrie trie_;
  std::optional<std::uint32_t> continuation_;  // where the prefix leads
  TokenId unknown_;
  std::size_t most_letters_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
