// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Pieces for single bytes, "<0x00>" to "<0xFF>", which stand in for characters that have no piece.

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/text/piece_tables.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// The byte that a piece names; none where it is another piece. Digits may be in either case.
[[nodiscard]] inline std::optional<char> byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  unsigned value = 0;
  for (const char c : piece.substr(3, 2)) {
    const bool is_digit = c >= '0' && c <= '9';
    const bool is_upper = c >= 'A' && c <= 'F';
    if (!is_digit && !is_upper && !(c >= 'a' && c <= 'f')) return std::nullopt;
    value = 16 * value +
            static_cast<unsigned>(is_digit ? c - '0' : (is_upper ? c - 'A' : c - 'a') + 10);
  }
  return static_cast<char>(value);
}

class BytePieces {
 public:
  BytePieces() { ids_.fill(-1); }
  explicit BytePieces(const Vocabulary& pieces) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::array<char, 6> piece{'<', '0', 'x', digits[byte >> 4U], digits[byte & 15U], '>'};
      ids_[byte] = pieces.find(std::string_view(piece.data(), piece.size())).value_or(-1);
    }
  }

  /// Appends the ids of all bytes of a text, or none where one of them has no piece.
  /// @return whether they were appended
  bool append(std::string_view text, std::vector<TokenId>& ids) const {
    const std::size_t before = ids.size();
    for (const char c : text) {
      const TokenId id = ids_[static_cast<unsigned char>(c)];
      if (id < 0) {
        ids.resize(before);
        return false;
      }
      ids.push_back(id);
    }
    return true;
  }

 private:
  std::array<TokenId, 256> ids_{};
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
