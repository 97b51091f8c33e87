// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How well a score tells positives from negatives, whatever threshold is chosen later. For P
/// positive scores p and N negative scores q, higher meaning more positive:
///
///   AUROC      = 1/(P N) sum_{p, q} ( [p > q] + 1/2 [p = q] )       (Mann-Whitney U)
///   FPR at TPR = 1/N sum_q [q >= t],  t = the highest threshold with 1/P sum_p [p >= t] >= TPR
///
/// For novelty: positives are queries that the system knows and the score says how well it knows
/// them, or positives are novel and the score is the novelty.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

inline void expect_scores(std::string_view name, std::span<const double> scores) {
  expect(!scores.empty(), name, " are empty, expected at least one");
  for (std::size_t i = 0; i < scores.size(); ++i) {
    expect<NonFiniteError>(!is_nan(scores[i]), name, " hold NaN at entry ", i,
                           ", expected numbers that can be ordered");
  }
}

/// The smallest k with k / count >= share. Rounding of share * count must not move it.
[[nodiscard]] inline std::size_t smallest_count_with_share(double share, std::size_t count) {
  const auto total = static_cast<double>(count);
  double k = std::ceil(share * total);
  if ((k - 1) / total >= share) k -= 1;
  if (k / total < share) k += 1;
  return static_cast<std::size_t>(k);
}

}  // namespace detail

/// Area under the receiver operating characteristic: the probability that a positive scores above
/// a negative, ties counted half. 1 separates perfectly, 0.5 is chance.
/// @param scores_positive  at least one score; may be infinite
/// @param scores_negative  likewise
/// @throws ArgumentError   where either is empty
/// @throws NonFiniteError  where a score is NaN
/// Cost: O((P + N) log N) time, N numbers of memory.
[[nodiscard]] inline double auroc(std::span<const double> scores_positive,
                                  std::span<const double> scores_negative) {
  detail::expect_scores("positive scores", scores_positive);
  detail::expect_scores("negative scores", scores_negative);
  std::vector<double> negative(scores_negative.begin(), scores_negative.end());
  std::sort(negative.begin(), negative.end());
  std::uint64_t half_wins = 0;  // below counts twice, equal once: an exact sum
  for (const double score : scores_positive) {
    const auto [first, last] = std::equal_range(negative.begin(), negative.end(), score);
    half_wins += static_cast<std::uint64_t>(first - negative.begin());
    half_wins += static_cast<std::uint64_t>(last - negative.begin());
  }
  return static_cast<double>(half_wins) / 2 / static_cast<double>(scores_positive.size()) /
         static_cast<double>(scores_negative.size());
}

/// Share of negatives at or above the highest threshold that still takes in at least `tpr` of the
/// positives: lower is better.
/// @param scores_positive  at least one score; may be infinite
/// @param scores_negative  likewise
/// @param tpr              true positive rate, above 0, at most 1
/// @throws ArgumentError   where either is empty, or tpr is outside its range
/// @throws NonFiniteError  where a score is NaN
/// Cost: O(P + N) time, P numbers of memory.
[[nodiscard]] inline double false_positive_rate_at(std::span<const double> scores_positive,
                                                   std::span<const double> scores_negative,
                                                   double tpr = 0.95) {
  detail::expect(tpr > 0 && detail::is_within(tpr, 0.0, 1.0), "tpr is ", tpr,
                 ", expected above 0 and at most 1");
  detail::expect_scores("positive scores", scores_positive);
  detail::expect_scores("negative scores", scores_negative);
  std::vector<double> positive(scores_positive.begin(), scores_positive.end());
  const std::size_t kept = detail::smallest_count_with_share(tpr, positive.size());
  const auto threshold = positive.begin() + static_cast<std::ptrdiff_t>(kept - 1);
  std::nth_element(positive.begin(), threshold, positive.end(), std::greater<>{});
  const auto above = std::count_if(scores_negative.begin(), scores_negative.end(),
                                   [&](double score) { return score >= *threshold; });
  return static_cast<double>(above) / static_cast<double>(scores_negative.size());
}

}  // namespace anyssr::inline ANYSSR_ABI
