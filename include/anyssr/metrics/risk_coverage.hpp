// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What answering less buys: the error among the most confident answers, and the threshold that
/// keeps it below a limit. For n answers with confidence c_i, answered where c_i >= t:
///
///   coverage(t) = 1/n sum_i [c_i >= t]     risk(t) = sum_i [c_i >= t, wrong] / sum_i [c_i >= t]
///
/// Answers of equal confidence are accepted or deferred together, so nothing depends on the order
/// of the answers. Source: selective classification (El-Yaniv and Wiener, JMLR 11, 2010).

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/metrics/ranking.hpp"
#include "anyssr/metrics/tail_probability.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What holds if the answers of confidence `threshold` and above are accepted.
struct RiskPoint {
  double threshold = 0;
  Index accepted = 0;   ///< answers at or above it, at least 1
  Index errors = 0;     ///< wrong ones among them
  double coverage = 0;  ///< accepted over all answers, above 0 to 1
  double risk = 0;      ///< errors over accepted, 0 to 1
};

/// A threshold to work with.
struct RiskThreshold {
  RiskPoint point;
  double deferred = 0;                    ///< share of the answers below it, 0 to below 1
  std::optional<double> upper_risk = {};  ///< upper limit of the risk, where a level was given
};

/// Built by `risk_coverage`. Memory: one point a distinct confidence.
class RiskCoverage {
 public:
  /// One point a distinct confidence, thresholds falling, coverage rising to 1.
  [[nodiscard]] const std::vector<RiskPoint>& curve() const noexcept { return points_; }

  /// Answers in all.
  [[nodiscard]] Index count() const noexcept { return points_.back().accepted; }

  /// Error among the most confident answers: the fewest whole groups of equal confidence that hold
  /// at least that share of all answers.
  /// @param coverage  above 0, at most 1
  /// @throws ArgumentError  outside that range
  /// Cost: O(log points).
  [[nodiscard]] double risk_at(double coverage) const {
    detail::expect(coverage > 0 && detail::is_within(coverage, 0.0, 1.0), "coverage is ", coverage,
                   ", expected above 0 and at most 1");
    const auto wanted = static_cast<Index>(
        detail::smallest_count_with_share(coverage, static_cast<std::size_t>(count())));
    return std::lower_bound(points_.begin(), points_.end(), wanted,
                            [](const RiskPoint& p, Index n) { return p.accepted < n; })
        ->risk;
  }

  /// Area under risk over coverage: the mean over all answers of the risk at the answer's own
  /// confidence, 0 to 1; lower is better. A confidence that says nothing gives the error rate.
  [[nodiscard]] double area() const noexcept {
    double sum = 0;
    Index before = 0;
    for (const RiskPoint& point : points_) {
      sum += static_cast<double>(point.accepted - before) * point.risk;
      before = point.accepted;
    }
    return sum / static_cast<double>(count());
  }

  /// The smallest threshold whose accepted answers have an error of at most `max_risk`: the most
  /// answers that may be given. Empty where no threshold does: then everything is deferred.
  /// @param max_risk  0 to 1
  /// @param level     above 0 and below 1: asks that the exact binomial upper limit of the risk at
  ///                  this confidence (binomial_upper_bound) be at most max_risk, and not only the
  ///                  share seen. The limit is of each threshold by itself; many were tried, so
  ///                  check the chosen one on answers that did not choose it.
  /// @throws ArgumentError  outside those ranges
  /// Cost: O(points), and with a level an incomplete beta function each.
  [[nodiscard]] std::optional<RiskThreshold> threshold_for_risk(
      double max_risk, std::optional<double> level = {}) const {
    detail::expect(detail::is_within(max_risk, 0.0, 1.0), "max_risk is ", max_risk,
                   ", expected 0 to 1");
    detail::expect(!level || (detail::is_finite(*level) && *level > 0 && *level < 1), "level is ",
                   level.value_or(0), ", expected above 0 and below 1");
    for (auto point = points_.rbegin(); point != points_.rend(); ++point) {
      if (point->risk > max_risk) continue;
      if (!level) return RiskThreshold{*point, 1 - point->coverage};
      // The same question as whether the upper limit is at most max_risk, without looking for it.
      if (max_risk < 1 &&
          detail::binomial_at_most(point->errors, point->accepted, max_risk) > 1 - *level) {
        continue;
      }
      return RiskThreshold{*point, 1 - point->coverage,
                           binomial_upper_bound(point->errors, point->accepted, *level)};
    }
    return std::nullopt;
  }

 private:
  friend RiskCoverage risk_coverage(std::span<const double>, std::span<const std::uint8_t>);
  explicit RiskCoverage(std::vector<RiskPoint> points) noexcept : points_(std::move(points)) {}

  std::vector<RiskPoint> points_;  // at least one; threshold falls, accepted rises
};

/// @param confidences  n >= 1 finite numbers, higher is surer: confidences, margins, -novelty
/// @param correct      n flags: 1 where the answer was right, else 0
/// @throws ArgumentError   no answers, or another flag
/// @throws NonFiniteError  a confidence that is NaN or infinite
/// @throws ShapeError      where the lengths differ
/// Cost: O(n log n).
[[nodiscard]] inline RiskCoverage risk_coverage(std::span<const double> confidences,
                                                std::span<const std::uint8_t> correct) {
  const std::size_t n = confidences.size();
  detail::expect(n > 0, "confidences are empty, expected at least one");
  detail::expect_count("correct flags", correct.size(), static_cast<Index>(n));
  for (std::size_t i = 0; i < n; ++i) {
    detail::expect<NonFiniteError>(detail::is_finite(confidences[i]), "confidence ", i, " is ",
                                   confidences[i], ", expected a finite number");
    detail::expect(correct[i] <= 1, "correct flag ", i, " is ", int{correct[i]},
                   ", expected 0 (wrong) or 1 (right)");
  }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t left, std::size_t right) {
    return confidences[left] > confidences[right];
  });
  std::vector<RiskPoint> points;
  Index errors = 0;
  for (std::size_t i = 0; i < n; ++i) {
    errors += correct[order[i]] == 0 ? 1 : 0;
    const double confidence = confidences[order[i]];
    if (i + 1 < n && confidences[order[i + 1]] == confidence) continue;
    const auto accepted = static_cast<double>(i + 1);
    points.push_back({.threshold = confidence,
                      .accepted = static_cast<Index>(i + 1),
                      .errors = errors,
                      .coverage = accepted / static_cast<double>(n),
                      .risk = static_cast<double>(errors) / accepted});
  }
  return RiskCoverage(std::move(points));
}

}  // namespace anyssr::inline ANYSSR_ABI
