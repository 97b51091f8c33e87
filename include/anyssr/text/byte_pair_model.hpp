// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Byte-pair encoding: a word is one symbol per character at first; the neighbours whose merge has
/// the lowest rank become one, the leftmost of equals, until no neighbours have a merge.
/// Source: Sennrich, Haddow and Birch, arXiv 1508.07909; the details are those of the library
/// tokenizers.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/text/byte_alphabet.hpp"
#include "anyssr/text/byte_pieces.hpp"
#include "anyssr/text/piece_tables.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Pairs of ids that become one.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank;
    TokenId merged;
  };

  void reserve(std::size_t merges) {
    ranks_ = NumberTable(merges);
    merged_.reserve(merges);
  }
  /// Adds the merge of the next rank; of a pair that has one already the new one counts.
  void add(TokenId left, TokenId right, TokenId merged) {
    ranks_.insert(key_of(left, right), static_cast<std::uint32_t>(merged_.size()));
    merged_.push_back(merged);
  }
  [[nodiscard]] std::optional<Merge> find(TokenId left, TokenId right) const noexcept {
    const std::uint32_t* rank = ranks_.find(key_of(left, right));
    if (rank == nullptr) return std::nullopt;
    return Merge{*rank, merged_[*rank]};
  }

 private:
  [[nodiscard]] static std::uint64_t key_of(TokenId left, TokenId right) noexcept {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32U |
           static_cast<std::uint32_t>(right);
  }

  NumberTable ranks_;
  std::vector<TokenId> merged_;  // by rank
};

struct BytePairOptions {
  bool ignores_merges = false;  ///< a word that is a piece is that piece, before any merge
  bool falls_back_to_bytes = false;
  bool fuses_unknown = false;  ///< a run of unknown characters is one unknown token
  std::optional<TokenId> unknown = std::nullopt;  ///< none: unknown characters are dropped
};

class BytePairModel {
 public:
  BytePairModel(const Vocabulary& pieces, MergeTable merges, const BytePairOptions& options)
      : merges_(std::move(merges)), options_(options), bytes_(pieces) {
    letters_.fill(-1);
    for (char32_t c = 0; c < letters_.size(); ++c) {
      std::string letter;
      append_code_point(letter, c);
      letters_[c] = pieces.find(letter).value_or(-1);
    }
  }

  /// Appends the ids of a word.
  /// @param refused  ids that no text becomes
  /// Cost: O(n log n) time in the characters of the word.
  void encode(std::string_view word, const Vocabulary& pieces, const TokenSet& refused,
              std::vector<TokenId>& ids) const {
    if (options_.ignores_merges) {
      const std::optional<TokenId> whole = pieces.find(word);
      if (whole && !refused.has(*whole)) {
        ids.push_back(*whole);
        return;
      }
    }
    const std::size_t begin = ids.size();
    add_symbols(word, pieces, refused, ids);
    constexpr std::size_t short_word = 24;  // where looking through all pairs beats a heap
    if (ids.size() - begin <= short_word) {
      merge_by_looking(begin, refused, ids);
    } else {
      merge_by_heap(begin, refused, ids);
    }
  }

 private:
  void add_symbols(std::string_view word, const Vocabulary& pieces, const TokenSet& refused,
                   std::vector<TokenId>& ids) const {
    bool follows_unknown = false;
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t begin = at;
      const char32_t c = next_code_point(word, at);
      const std::string_view character = word.substr(begin, at - begin);
      const TokenId id = c < letters_.size() ? letters_[c] : pieces.find(character).value_or(-1);
      const bool has_piece = id >= 0 && !refused.has(id);
      if (has_piece) ids.push_back(id);
      if (has_piece || (options_.falls_back_to_bytes && bytes_.append(character, ids))) {
        follows_unknown = false;
        continue;
      }
      if (options_.unknown && !(follows_unknown && options_.fuses_unknown)) {
        ids.push_back(*options_.unknown);
      }
      follows_unknown = true;
    }
  }

  [[nodiscard]] std::optional<MergeTable::Merge> find(TokenId left, TokenId right,
                                                      const TokenSet& refused) const {
    const auto found = merges_.find(left, right);
    if (found && refused.has(found->merged)) return std::nullopt;
    return found;
  }

  /// Of a few symbols, those from `begin` on: n^2 comparisons of ranks.
  void merge_by_looking(std::size_t begin, const TokenSet& refused,
                        std::vector<TokenId>& ids) const {
    constexpr std::uint32_t never = std::numeric_limits<std::uint32_t>::max();
    std::array<MergeTable::Merge, 32> pairs{};  // pairs[i]: of symbol i and the one behind it
    const std::size_t count = ids.size() - begin;
    TokenId* const symbols = ids.data() + begin;
    const auto look_up = [&](std::size_t i) {
      pairs[i] = find(symbols[i], symbols[i + 1], refused).value_or(MergeTable::Merge{never, -1});
    };
    std::size_t left = count;
    for (std::size_t i = 0; i + 1 < left; ++i) look_up(i);
    while (left > 1) {
      std::size_t best = 0;
      for (std::size_t i = 1; i + 1 < left; ++i) {
        if (pairs[i].rank < pairs[best].rank) best = i;
      }
      if (pairs[best].rank == never) break;
      symbols[best] = pairs[best].merged;
      std::copy(symbols + best + 2, symbols + left, symbols + best + 1);
      std::copy(pairs.begin() + static_cast<std::ptrdiff_t>(best) + 1,
                pairs.begin() + static_cast<std::ptrdiff_t>(left) - 1,
                pairs.begin() + static_cast<std::ptrdiff_t>(best));
      --left;
      if (best > 0) look_up(best - 1);
      if (best + 1 < left) look_up(best);
    }
    ids.resize(begin + left);
  }

  /// A pair of neighbours that waits to be merged.
  struct Candidate {
    std::uint32_t rank;
    std::uint32_t at;
    TokenId left;
    TokenId right;
    TokenId merged;
    /// Lower ranks come first, then places further left.
    [[nodiscard]] friend bool operator<(const Candidate& a, const Candidate& b) noexcept {
      return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
    }
  };
  struct Links {
    std::uint32_t before;
    std::uint32_t next;
  };

  /// Of many symbols: candidates in a heap, symbols in a linked list. What a merge has overtaken is
  /// known by its ids.
  void merge_by_heap(std::size_t begin, const TokenSet& refused, std::vector<TokenId>& ids) const {
    constexpr TokenId gone = -1;
    const std::size_t count = ids.size() - begin;
    const auto end = static_cast<std::uint32_t>(count);
    TokenId* const symbols = ids.data() + begin;
    std::vector<Links> links(count);
    for (std::uint32_t i = 0; i < end; ++i) links[i] = {i - 1, i + 1};
    std::vector<Candidate> heap;
    const auto push = [&](std::uint32_t at) {
      const std::uint32_t next = links[at].next;
      if (next >= end) return;
      const auto found = find(symbols[at], symbols[next], refused);
      if (!found) return;
      heap.push_back({found->rank, at, symbols[at], symbols[next], found->merged});
      std::push_heap(heap.begin(), heap.end());
    };
    for (std::uint32_t i = 0; i < end; ++i) push(i);
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end());
      const Candidate best = heap.back();
      heap.pop_back();
      const std::uint32_t next = links[best.at].next;
      if (symbols[best.at] != best.left || next >= end || symbols[next] != best.right) continue;
      symbols[best.at] = best.merged;
      symbols[next] = gone;
      links[best.at].next = links[next].next;
      if (links[next].next < end) links[links[next].next].before = best.at;
      push(best.at);
      if (best.at > 0) push(links[best.at].before);
    }
    ids.erase(std::remove(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.end(), gone),
              ids.end());
  }

  MergeTable merges_;
  BytePairOptions options_;
  BytePieces bytes_;
  std::array<TokenId, byte_letters> letters_{};  // pieces of one character below U+0144
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
