// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Scores of free text against a reference, 0 to 1, for summaries and replies that are more or less
/// right. For a candidate of m words, a reference of n and their longest common subsequence, of
/// length L:
///
///   exact match   1 where both are the same, else 0
///   ROUGE-L       precision = L / m      recall = L / n      f1 = 2 L / (m + n)
///
/// f1 is (1 + beta^2) R P / (R + beta^2 P) at beta = 1, of C.-Y. Lin, "ROUGE: a package for
/// automatic evaluation of summaries", 2004, section 3.1. Words are what the package rouge_score
/// takes without its stemmer: runs of [a-z0-9] after ASCII letters are lowered, so that text in
/// other scripts has no words: score its token ids.

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct RougeScore {
  double precision = 0;  ///< share of the candidate that stands in the reference, in its order
  double recall = 0;     ///< share of the reference that the candidate has
  double f1 = 0;         ///< their harmonic mean; 0 where both are 0
};

namespace detail {

/// The text without ASCII white space at its ends.
[[nodiscard]] inline std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view white = " \t\n\v\f\r";
  const std::size_t begin = text.find_first_not_of(white);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(white) + 1 - begin);
}

[[nodiscard]] inline std::string ascii_lowered(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lowered;
}

/// The runs of [a-z0-9] in order; views of `text`.
[[nodiscard]] inline std::vector<std::string_view> ascii_words(std::string_view text) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::vector<std::string_view> words;
  for (std::size_t begin = text.find_first_of(letters); begin != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_not_of(letters, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_of(letters, end);
  }
  return words;
}

/// Length of the longest common subsequence, one row of the table at a time:
///   l[i][j] = l[i-1][j-1] + 1 where a_i = b_j, else max(l[i-1][j], l[i][j-1])
template <class T>
[[nodiscard]] std::size_t common_subsequence(std::span<const T> a, std::span<const T> b) {
  if (a.size() < b.size()) std::swap(a, b);
  std::vector<std::size_t> row(b.size() + 1, 0);
  for (const T& entry : a) {
    std::size_t before = 0;  // l[i-1][j-1]
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = entry == b[j - 1] ? before + 1 : std::max(above, row[j - 1]);
      before = above;
    }
  }
  return row.back();
}

}  // namespace detail

/// Whether two texts are the same but for white space (ASCII) at their ends; the rest counts to the
/// letter, case too. Two empty texts are the same.
[[nodiscard]] inline bool exact_match(std::string_view candidate,
                                      std::string_view reference) noexcept {
  return detail::trimmed(candidate) == detail::trimmed(reference);
}

/// Whether two lists of token ids (or of words) are the same.
template <class T, class U>
requires std::is_same_v<std::remove_const_t<T>, std::remove_const_t<U>>
[[nodiscard]] bool exact_match(std::span<T> candidate, std::span<U> reference) {
  return std::ranges::equal(candidate, reference);
}

/// ROUGE-L of two lists of token ids (or of words). An empty list scores 0, also against another
/// one, as in rouge_score.
/// Cost: O(m n) time, min(m, n) numbers of memory.
template <class T, class U>
requires std::is_same_v<std::remove_const_t<T>, std::remove_const_t<U>>
[[nodiscard]] RougeScore rouge_l(std::span<T> candidate, std::span<U> reference) {
  if (candidate.empty() || reference.empty()) return {};
  using Entry = std::remove_const_t<T>;
  const auto common = static_cast<double>(detail::common_subsequence<Entry>(candidate, reference));
  const auto m = static_cast<double>(candidate.size());
  const auto n = static_cast<double>(reference.size());
  return {.precision = common / m, .recall = common / n, .f1 = 2 * common / (m + n)};
}

/// ROUGE-L of two texts by their words. A text without a word scores 0.
/// Cost: O(m n) comparisons of words, a copy of both texts.
[[nodiscard]] inline RougeScore rouge_l(std::string_view candidate, std::string_view reference) {
  const std::string candidate_text = detail::ascii_lowered(candidate);
  const std::string reference_text = detail::ascii_lowered(reference);
  const std::vector<std::string_view> candidate_words = detail::ascii_words(candidate_text);
  const std::vector<std::string_view> reference_words = detail::ascii_words(reference_text);
  return rouge_l(std::span(candidate_words), std::span(reference_words));
}

}  // namespace anyssr::inline ANYSSR_ABI
