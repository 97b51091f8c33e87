// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The temperature that turns scores into probabilities softmax(b * scores), fitted on held-out
/// scores by minimising the mean log loss (temperature scaling, arXiv 1706.04599):
///
///   L(b) = mean_i ( log sum_j exp(b s_ij) - b sum_j t_ij s_ij )
///   t_i  = (n onehot(label_i) + prior / c) / (n + prior)
///
/// The prior is `prior` rows of unknown label: on scores that separate every row it keeps b finite,
/// and its influence fades as 1 / n. L is convex in b, so its slope is solved by Newton steps kept
/// inside a bracket on log b.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <span>
#include <type_traits>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// Refuses a list of labels that is not one a row, each in 0..classes-1.
inline void expect_labels(std::span<const Index> labels, Index rows, Index classes) {
  expect_count("labels", labels.size(), rows);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    expect(labels[i] >= 0 && labels[i] < classes, "labels hold ", labels[i], " at row ", i,
           ", expected 0 to ", classes - 1);
  }
}

/// L'(b) and L''(b).
struct LogLossSlope {
  double slope = 0;
  double curvature = 0;
};

/// @param shifted  c x n: one column a row of scores, its largest 0
template <std::same_as<double> R>
[[nodiscard]] LogLossSlope log_loss_slope(const Matrix<R>& shifted, double target_mean, double b) {
  Eigen::Array<R, Eigen::Dynamic, 1> odds(shifted.rows());
  LogLossSlope sum;
  for (Index i = 0; i < shifted.cols(); ++i) {
    const auto score = shifted.col(i).array();
    odds = (b * score).exp();
    const double total = odds.sum();
    const double mean = (odds * score).sum() / total;
    sum.slope += mean;
    sum.curvature += (odds * score.square()).sum() / total - mean * mean;
  }
  const auto rows = static_cast<double>(shifted.cols());
  return {sum.slope / rows - target_mean, sum.curvature / rows};
}

}  // namespace detail

/// The b in [1e-3, 1e4] that minimises L(b); 1 where it makes no difference (all scores of each row
/// alike, to round-off).
/// @param scores  n x c, n and c at least 1, in double, held out: leave-one-out or of other rows
/// @param labels  n, each in 0..c-1
/// @param prior   at least 0: rows of unknown label that are added in effect
/// @throws ShapeError, NonFiniteError, ArgumentError
/// Cost: about ten passes of n c exponentials.
template <class D>
[[nodiscard]] double fit_temperature(const Eigen::MatrixBase<D>& scores,
                                     std::span<const Index> labels, double prior = 1) {
  static_assert(std::is_same_v<typename D::Scalar, double>, "scores are double");
  constexpr double lowest = 1e-3;
  constexpr double highest = 1e4;
  const Index n = scores.rows();
  const Index classes = scores.cols();
  detail::expect<ShapeError>(n >= 1 && classes >= 1, "scores are ", n, " x ", classes,
                             ", expected at least one row and one column");
  detail::expect_labels(labels, n, classes);
  detail::expect_finite("scores", scores);
  detail::expect(detail::is_finite(prior) && prior >= 0, "prior is ", prior,
                 ", expected a finite number of at least 0");
  Eigen::MatrixXd shifted = scores.transpose();
  shifted.rowwise() -= shifted.colwise().maxCoeff().eval();
  // Alike to round-off is alike: what is left of it would send b to an end of its range.
  const double scale = std::max(1.0, scores.cwiseAbs().maxCoeff());
  if (-shifted.minCoeff() <= 1e-14 * scale) return 1;
  double of_labels = 0;
  for (Index i = 0; i < n; ++i) of_labels += shifted(labels[static_cast<std::size_t>(i)], i);
  const auto rows = static_cast<double>(n);
  const double target_mean = (of_labels + prior * shifted.mean()) / (rows + prior);

  double low = lowest;
  double high = highest;
  if (detail::log_loss_slope(shifted, target_mean, low).slope >= 0) return low;
  if (detail::log_loss_slope(shifted, target_mean, high).slope <= 0) return high;
  double b = std::clamp(-1 / shifted.mean(), low, high);
  for (int step = 0; step < 100 && high / low > 1 + 1e-12; ++step) {
    const detail::LogLossSlope at = detail::log_loss_slope(shifted, target_mean, b);
    (at.slope < 0 ? low : high) = b;
    const double newton = b - at.slope / at.curvature;
    const double next = newton > low && newton < high ? newton : std::sqrt(low * high);
    if (std::abs(next - b) <= 1e-10 * b) return next;
    b = next;
  }
  return b;
}

}  // namespace anyssr::inline ANYSSR_ABI
