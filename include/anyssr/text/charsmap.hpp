// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The `precompiled_charsmap` of SentencePiece, in base64: the size of a trie in bytes (u32), the
/// trie (a double array of u32, little-endian), then replacements that end with NUL. It maps each
/// grapheme cluster of less than 6 bytes to the replacement of the shortest prefix of it that has
/// one, and the rest of the cluster is lost; longer clusters, and those without one, go code point
/// by code point. So the library tokenizers does it; SentencePiece itself looks for the longest
/// prefix of the text.
/// Source: Darts-clone, S. Yata, for the unit layout of the double array.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/io/utf8.hpp"
#include "anyssr/text/unicode.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// The bytes of a text in base64; none where it is no such text.
[[nodiscard]] inline std::optional<std::string> bytes_of_base64(std::string_view text) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<int, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    values[static_cast<unsigned char>(digits[i])] = static_cast<int>(i);
  }
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = values[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = ((bits << 6U) | static_cast<unsigned>(value)) & 0xFFFFU;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>((bits >> static_cast<unsigned>(count)) & 0xFFU);
  }
  return bytes;
}

class Charsmap {
 public:
  /// @throws FormatError  sizes that do not fit, or replacements that are no UTF-8
  Charsmap(std::string_view base64, std::string_view place) {
    const std::optional<std::string> bytes = bytes_of_base64(base64);
    expect<FormatError>(bytes && bytes->size() >= 4, place,
                        ": precompiled_charsmap is no base64 of at least 4 bytes");
    const std::size_t size = word_at(*bytes, 0);
    expect<FormatError>(size % 4 == 0 && size > 0 && size <= bytes->size() - 4, place,
                        ": precompiled_charsmap has a trie of ", size, " bytes and ",
                        bytes->size() - 4, " bytes for it");
    for (std::size_t at = 4; at < 4 + size; at += 4) trie_.push_back(word_at(*bytes, at));
    replacements_ = bytes->substr(4 + size);
    expect<FormatError>(find_invalid_utf8(replacements_) == std::string::npos &&
                            (replacements_.empty() || replacements_.back() == '\0'),
                        place,
                        ": precompiled_charsmap has replacements that are no UTF-8, each "
                        "with a NUL behind it");
  }

  [[nodiscard]] std::string apply(std::string_view text) const {
    constexpr std::size_t longest_cluster = 6;
    std::string result;
    result.reserve(text.size());
    for_each_grapheme(text, [&](std::size_t begin, std::size_t end) {
      const std::string_view cluster = text.substr(begin, end - begin);
      if (cluster.size() < longest_cluster) {
        if (const auto found = replacement_of(cluster)) {
          result += *found;
          return;
        }
      }
      for (std::size_t at = 0; at < cluster.size();) {
        const std::string_view one = cluster.substr(at, sequence_length(cluster[at]));
        result += replacement_of(one).value_or(one);
        at += one.size();
      }
    });
    return result;
  }

 private:
  [[nodiscard]] static std::uint32_t word_at(std::string_view bytes, std::size_t at) {
    std::uint32_t word = 0;
    for (unsigned i = 0; i < 4; ++i) {
      word |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    }
    return word;
  }
  /// How far from a unit its children are.
  [[nodiscard]] static std::size_t offset_of(std::uint32_t unit) noexcept {
    return std::size_t{unit >> 10U} << ((unit & (1U << 9U)) >> 6U);
  }

  /// The replacement of the shortest prefix that has one.
  [[nodiscard]] std::optional<std::string_view> replacement_of(std::string_view text) const {
    constexpr std::uint32_t leaf = 1U << 31U;
    std::size_t node = offset_of(trie_[0]);
    for (const char c : text) {
      const auto label = static_cast<unsigned char>(c);
      node ^= label;
      if (label == 0 || node >= trie_.size()) return std::nullopt;
      const std::uint32_t unit = trie_[node];
      if ((unit & (leaf | 0xFFU)) != label) return std::nullopt;
      node ^= offset_of(unit);
      if (((unit >> 8U) & 1U) == 0) continue;
      if (node >= trie_.size()) return std::nullopt;
      const std::size_t begin = trie_[node] & (leaf - 1);
      if (begin >= replacements_.size()) return std::nullopt;
      return std::string_view(replacements_.c_str() + begin);
    }
    return std::nullopt;
  }

  std::vector<std::uint32_t> trie_;  // never empty
  std::string replacements_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
