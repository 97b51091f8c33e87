// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Unigram: the pieces of a word whose scores (log probabilities) have the largest sum, found by
/// the Viterbi algorithm over its characters. A character without a piece costs 10 more than the
/// worst piece.
/// Source: Kudo, arXiv 1804.10959; ties and unknown characters as the library tokenizers has them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/code_points.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/printable.hpp"
#include "anyssr/text/byte_pieces.hpp"
#include "anyssr/text/piece_tables.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

class UnigramModel {
 public:
  /// @param scores  by id
  UnigramModel(const Vocabulary& pieces, std::vector<double> scores, std::optional<TokenId> unknown,
               bool falls_back_to_bytes)
      : scores_(std::move(scores)),
        unknown_(unknown),
        unknown_score_(*std::min_element(scores_.begin(), scores_.end()) - 10) {
    if (falls_back_to_bytes) bytes_ = BytePieces(pieces);
    for (TokenId id = 0; id < pieces.end(); ++id) {
      const auto piece = pieces.piece(id);
      if (piece && pieces.find(*piece) == id) trie_.add(*piece, static_cast<std::uint32_t>(id));
    }
  }

  /// Appends the ids of a word.
  /// @param refused  ids that no text becomes
  /// @throws ArgumentError  a character has no piece, and there is no unknown token
  /// Cost: O(n l) time for n bytes and pieces of at most l bytes; 16 n bytes of memory.
  void encode(std::string_view word, const Vocabulary& pieces, const TokenSet& refused,
              std::vector<TokenId>& ids) const {
    const std::vector<Step> best = best_steps(word, refused);
    std::vector<Stretch> stretches;  // from the end; neighbours without a piece become one
    for (std::size_t end = word.size(); end > 0; end = best[end].begin) {
      const Step& step = best[end];
      if (step.id == no_piece && !stretches.empty() && stretches.back().id == no_piece) {
        stretches.back().begin = step.begin;
      } else {
        stretches.push_back({step.begin, end, step.id});
      }
    }
    for (auto it = stretches.rbegin(); it != stretches.rend(); ++it) {
      if (it->id != no_piece) {
        ids.push_back(it->id);
      } else {
        add_unknown(word.substr(it->begin, it->end - it->begin), pieces, refused, ids);
      }
    }
  }

 private:
  static constexpr TokenId no_piece = -1;

  /// How the best cover of a word up to some byte ends.
  struct Step {
    double score = -std::numeric_limits<double>::infinity();
    std::uint32_t begin = 0;  // of the last piece
    TokenId id = no_piece;
  };
  struct Stretch {
    std::size_t begin;
    std::size_t end;
    TokenId id;
  };

  /// Ties keep the step that begins earlier, so only a better one replaces.
  [[nodiscard]] std::vector<Step> best_steps(std::string_view word, const TokenSet& refused) const {
    std::vector<Step> best(word.size() + 1);
    best[0].score = 0;
    std::size_t next = 0;
    for (std::size_t at = 0; at < word.size(); at = next) {
      next = at + sequence_length(word[at]);
      const double here = best[at].score;
      bool has_single = false;
      const auto offer = [&](std::size_t end, double score, TokenId id) {
        if (score > best[end].score) best[end] = {score, static_cast<std::uint32_t>(at), id};
      };
      trie_.for_each_prefix(word, at, [&](std::size_t end, std::uint32_t value) {
        const auto id = static_cast<TokenId>(value);
        if (refused.has(id) && id != unknown_) return;
        offer(end, scores_[value] + here, id == unknown_ ? no_piece : id);
        has_single |= end == next;
      });
      if (!has_single) offer(next, unknown_score_ + here, no_piece);
    }
    return best;
  }

  void add_unknown(std::string_view text, const Vocabulary& pieces, const TokenSet& refused,
                   std::vector<TokenId>& ids) const {
    const std::optional<TokenId> whole = pieces.find(text);
    if (whole && !refused.has(*whole)) {
      ids.push_back(*whole);
    } else if (!bytes_.append(text, ids)) {
      expect(unknown_.has_value(), "text has \"",
             printable(text.substr(0, sequence_length(text[0]))),
             "\", for which the tokenizer has neither a piece nor an unknown token");
      ids.push_back(*unknown_);
    }
  }

  PieceTrie trie_;
  std::vector<double> scores_;  // by id
  std::optional<TokenId> unknown_;
  double unknown_score_;
  BytePieces bytes_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
