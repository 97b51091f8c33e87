// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Tables that tokenizers look pieces up in: flat hash tables of numbers, the vocabulary (piece to
/// id and back) and a trie of pieces. All are filled once and then only read.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/core/token_id.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// A hash table from 64-bit keys below 2^63 to 32-bit values: open addressing in one block.
class NumberTable {
 public:
  explicit NumberTable(std::size_t expected = 0) { reserve(expected); }

  /// The last value of a key counts.
  void insert(std::uint64_t key, std::uint32_t value) {
    if (2 * (count_ + 1) > slots_.size()) reserve(2 * count_ + 8);
    Slot& slot = slots_[position(key)];
    if (slot.key != key) ++count_;
    slot = {key, value};
  }
  /// The value of a key, or null.
  [[nodiscard]] const std::uint32_t* find(std::uint64_t key) const noexcept {
    const Slot& slot = slots_[position(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

 private:
  static constexpr std::uint64_t empty = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = empty;
    std::uint32_t value = 0;
  };

  void reserve(std::size_t expected) {
    std::vector<Slot> old(std::bit_ceil(std::max<std::size_t>(2 * expected, 8)));
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != empty) slots_[position(slot.key)] = slot;
    }
  }
  [[nodiscard]] std::size_t position(std::uint64_t key) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = static_cast<std::size_t>(mix_bits(key)) & mask;
    while (slots_[at].key != key && slots_[at].key != empty) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

/// The pieces of a model by id and by text.
class Vocabulary {
 public:
  /// More than any vocabulary has: a lie is found here.
  static constexpr TokenId max_id = 1 << 21;

  Vocabulary() : slots_(8, none) {}

  /// Adds a piece, or gives a known piece another id: the last one counts.
  /// @return whether the piece is new and so is its id
  bool add(std::string_view piece, TokenId id) {
    const auto index = static_cast<std::size_t>(id);
    if (index >= spans_.size()) spans_.resize(index + 1);
    const bool is_new_id = !spans_[index].is_there;
    spans_[index] = {letters_.size(), static_cast<std::uint32_t>(piece.size()), true};
    letters_ += piece;
    if (2 * (count_ + 1) > slots_.size()) grow();
    TokenId& slot = slots_[position(piece)];
    const bool is_new_piece = slot == none;
    slot = id;
    if (is_new_piece) ++count_;
    return is_new_id && is_new_piece;
  }

  [[nodiscard]] std::optional<TokenId> find(std::string_view piece) const noexcept {
    const TokenId id = slots_[position(piece)];
    return id == none ? std::nullopt : std::optional(id);
  }
  /// The piece of an id; none where no piece has it.
  [[nodiscard]] std::optional<std::string_view> piece(TokenId id) const noexcept {
    if (id < 0 || id >= end()) return std::nullopt;
    const Span& span = spans_[static_cast<std::size_t>(id)];
    if (!span.is_there) return std::nullopt;
    return std::string_view(letters_).substr(span.begin, span.size);
  }
  /// One more than the largest id.
  [[nodiscard]] TokenId end() const noexcept { return static_cast<TokenId>(spans_.size()); }
  void reserve(std::size_t pieces, std::size_t letters) {
    spans_.reserve(pieces);
    letters_.reserve(letters);
    slots_.assign(std::bit_ceil(std::max<std::size_t>(2 * pieces + 2, 8)), none);
  }

 private:
  static constexpr TokenId none = -1;
  struct Span {
    std::size_t begin = 0;
    std::uint32_t size = 0;
    bool is_there = false;
  };

  void grow() {
    std::vector<TokenId> old(2 * slots_.size(), none);
    old.swap(slots_);
    for (const TokenId id : old) {
      if (id != none) slots_[position(*piece(id))] = id;
    }
  }
  [[nodiscard]] std::size_t position(std::string_view piece_text) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = static_cast<std::size_t>(hash_bytes(piece_text)) & mask;
    while (slots_[at] != none && *piece(slots_[at]) != piece_text) at = (at + 1) & mask;
    return at;
  }

  std::string letters_;         // the pieces, one after another
  std::vector<Span> spans_;     // by id
  std::vector<TokenId> slots_;  // by hash: the id of a piece
  std::size_t count_ = 0;
};

/// A trie over bytes, for what begins at a place of a text.
class PieceTrie {
 public:
  static constexpr std::uint32_t root = 0;

  /// @return false where the piece is there already, whose value stays
  bool add(std::string_view piece, std::uint32_t value) {
    std::uint32_t node = root;
    for (const char c : piece) {
      const std::uint64_t edge = edge_of(node, c);
      const std::uint32_t* child = edges_.find(edge);
      if (child == nullptr) {
        const auto made = static_cast<std::uint32_t>(values_.size());
        values_.push_back(none);
        edges_.insert(edge, made);
        node = made;
      } else {
        node = *child;
      }
    }
    if (values_[node] != none) return false;
    values_[node] = value;
    return true;
  }

  /// Calls f(end, value) for each piece that begins at `begin`, shorter ones first.
  /// @param node  where to start: the root, or what `walk` gave
  template <class F>
  void for_each_prefix(std::string_view text, std::size_t begin, const F& f,
                       std::uint32_t node = root) const {
    for (std::size_t at = begin; at < text.size(); ++at) {
      const std::uint32_t* child = edges_.find(edge_of(node, text[at]));
      if (child == nullptr) return;
      node = *child;
      if (values_[node] != none) f(at + 1, values_[node]);
    }
  }
  /// The node that a text leads to from the root; none where no piece begins so.
  [[nodiscard]] std::optional<std::uint32_t> walk(std::string_view text) const {
    std::uint32_t node = root;
    for (const char c : text) {
      const std::uint32_t* child = edges_.find(edge_of(node, c));
      if (child == nullptr) return std::nullopt;
      node = *child;
    }
    return node;
  }

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  [[nodiscard]] static std::uint64_t edge_of(std::uint32_t node, char c) noexcept {
    return std::uint64_t{node} << 8U | static_cast<unsigned char>(c);
  }

  std::vector<std::uint32_t> values_{none};  // by node
  NumberTable edges_;
};

/// Which ids a text that is not trusted must never become.
class TokenSet {
 public:
  void insert(TokenId id) {
    const auto index = static_cast<std::size_t>(id);
    if (index >= members_.size()) members_.resize(index + 1);
    members_[index] = true;
  }
  [[nodiscard]] bool has(TokenId id) const noexcept {
    const auto index = static_cast<std::size_t>(id);
    return index < members_.size() && members_[index];
  }

 private:
  std::vector<bool> members_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
