// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Can these features be told apart by this regression? Read from its sums, without another pass:
///
///   m = sum_i s_i x_i        sum of the columns of C of which each row has a 1 in exactly one
///   n                        sum of their energies
///   v_j = S_jj - m_j^2 / n   energy of column j around its mean
///
///   w_j = S_jj - sum_t m_tj^2 / n_t   energy of column j around the means of the tasks
///
/// Five things go wrong without an error: rows that are all zero or all the same; a mean so far
/// from zero that float keeps no digit of what varies; a ridge, relative to tr(S) / d, that suits
/// the mean or the largest columns and hides what varies, or hides what varies within tasks where
/// their means do not tell them apart; columns that explain each other to round-off.
/// Source: ours.

#include <algorithm>
#include <cmath>
#include <span>
#include <sstream>
#include <string>

#include "anyssr/rls/information_form.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct FeatureCondition {
  Index columns = 0;           ///< d
  Index constant_columns = 0;  ///< v_j is round-off: the column is zero, constant, or lost
  Index hidden_columns = 0;    ///< varies, but v_j is below a thousandth of lambda: hardly counts
  Index hidden_within = 0;     ///< w_j is below a thousandth of lambda, or round-off
  double unexplained = 0;      ///< share of the tasks' targets that the fit leaves over, 0..1
  double offset_share = 0;     ///< |m|^2 / (n tr(S)), 0..1: share of the mean in the energy
  double trace = 0;            ///< tr(S)
  double ridge = 0;            ///< lambda
  double smallest_pivot = 1;   ///< RecursiveLeastSquares::smallest_pivot
  double pivot_limit = 0;      ///< where round-off begins in this scalar
  bool in_float = false;

  /// Whether the mean is more than 100 times as large as what varies around it. A ridge relative to
  /// tr(S) / d is then 10,000 times what it is for the same features around zero, and float has
  /// half of its digits left for what varies.
  [[nodiscard]] bool is_far_from_zero() const noexcept { return offset_share > 1 - 1e-4; }
  /// Whether a router can rely on these features.
  [[nodiscard]] bool is_sound() const { return warning().empty(); }

  /// What is wrong and what to do, in one sentence; empty where nothing is.
  [[nodiscard]] std::string warning() const {
    std::ostringstream text = detail::text_stream();
    if (columns == 0) return {};
    if (trace <= 0) {
      return "all features are zero: every query scores the same and goes to the first task";
    }
    if (is_far_from_zero()) {
      const double varying = std::max(1 - offset_share, pivot_limit);
      text << "the features hardly vary from row to row: their mean is "
           << (varying > pivot_limit ? "" : "at least ") << std::sqrt(1 / varying)
           << " times as large as what varies around it. If they are not constant, subtract the "
              "mean from all of them (FeatureShift) and choose the ridge anew"
           << (in_float ? ", or use double" : "");
    } else if (2 * hidden_columns > columns - constant_columns) {
      text << "the ridge, " << ridge << ", hides " << hidden_columns << " of " << columns
           << " feature columns, which are much smaller than the others: choose it by "
              "select_ridge(), or scale the columns alike";
    } else if (2 * hidden_within > columns - constant_columns && unexplained > 0.1) {
      text << "the ridge, " << ridge << ", hides what varies within tasks in " << hidden_within
           << " of " << columns
           << " feature columns, which is tiny beside what lies between tasks, "
           << "and the fit leaves " << std::round(100 * unexplained)
           << " % of the targets unexplained: bring the tasks to one offset and scale, or choose "
              "the "
              "ridge by select_ridge()"
           << (in_float ? " in double" : "");
    } else if (smallest_pivot < pivot_limit) {
      text << "feature columns explain each other but for " << smallest_pivot
           << " of their energy, "
           << "which is round-off in " << (in_float ? "float" : "double") << ": raise the ridge"
           << (in_float ? " or use double" : "");
    }
    return text.str();
  }
};

namespace detail {

/// 1 - R^2 of the columns `ones` of the targets, from the sums; 0 where they do not vary.
/// @param count  sum of their energies
template <RealScalar S>
[[nodiscard]] double unexplained_share(const RecursiveLeastSquares<S>& regression,
                                       std::span<const Index> ones, double count) {
  double left = 0;
  double varying = 0;
  for (const Index column : ones) {
    const double energy = regression.target_energy()(column);
    const auto explained = regression.weights().col(column).template cast<double>().dot(
        regression.cross_correlation().col(column).template cast<double>());
    left += energy - explained;
    varying += energy - energy * energy / count;
  }
  return varying <= 0 ? 0 : std::clamp(left / varying, 0.0, 1.0);
}

}  // namespace detail

/// @param ones  columns of the targets of which every row has a 1 in exactly one, others 0: the
///              tasks' own. Where rows belong to none, offsets look smaller than they are.
/// @throws ArgumentError  a column out of range;  NumericalError  as factor()
/// Cost: O(d T), and what factor() and weights() cost where the solve has not been done.
template <RealScalar S>
[[nodiscard]] FeatureCondition feature_condition(const RecursiveLeastSquares<S>& regression,
                                                 std::span<const Index> ones) {
  const Matrix<S>& moments = regression.lower_second_moment();
  const Matrix<S>& cross = regression.cross_correlation();
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(regression.dim());
  Eigen::VectorXd of_tasks = sum;  // energy of the tasks' means
  double count = 0;
  for (const Index column : ones) {
    detail::expect(column >= 0 && column < cross.cols(), "columns hold ", column, ", expected 0..",
                   cross.cols() - 1);
    const double rows = regression.target_energy()(column);
    count += rows;
    for (Index j = 0; j < regression.dim(); ++j) {
      const auto of_task = static_cast<double>(cross(j, column));
      sum(j) += of_task;
      if (rows > 0) of_tasks(j) += of_task * of_task / rows;
    }
  }
  FeatureCondition result{.columns = regression.dim(),
                          .ridge = regression.ridge(),
                          .smallest_pivot = regression.smallest_pivot(),
                          .pivot_limit = pivot_limit<S>,
                          .in_float = sizeof(S) == 4};
  double offset = 0;
  for (Index j = 0; j < regression.dim(); ++j) {
    const auto energy = static_cast<double>(moments(j, j));
    const double of_mean = count > 0 ? std::min(energy, sum(j) * sum(j) / count) : 0;
    result.trace += energy;
    offset += of_mean;
    if (energy - of_mean <= pivot_limit<S> * energy) {
      ++result.constant_columns;
    } else if (energy - of_mean < 1e-3 * result.ridge) {
      ++result.hidden_columns;
    } else if (energy - of_tasks(j) < std::max(1e-3 * result.ridge, pivot_limit<S> * energy)) {
      ++result.hidden_within;
    }
  }
  if (result.trace > 0) result.offset_share = offset / result.trace;
  if (result.trace > 0 && count > 0) {
    result.unexplained = detail::unexplained_share(regression, ones, count);
  }
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI
