// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How the sums of a router and its tasks become the table that readers see, and how calibrations
/// of different times become comparable: by the mean task score of a task's rows, which the sums
/// tell without a row,
///
///   m_t = C_t . W_t / n_t
///
/// Source: ours.

#include <memory>
#include <utility>
#include <vector>

#include "anyssr/rls/recursive_least_squares.hpp"
#include "anyssr/router/leave_one_out.hpp"
#include "anyssr/router/router_options.hpp"
#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Until two tasks allow a fit: what leave-one-out gives for hashed text.
inline constexpr double default_temperature = 10;

/// m_t; 0 for a task without rows.
template <RealScalar S>
[[nodiscard]] double mean_score(const RecursiveLeastSquares<S>& sums, const RoutedTask& task,
                                double label_weight) {
  const double rows = task.row_weight * static_cast<double>(task.rows);
  if (rows <= 0) return 0;
  const Matrix<S>& c = sums.cross_correlation();
  const Matrix<S>& w = sums.weights();
  std::vector<Index> own_columns = task.further_columns;
  own_columns.push_back(task.column);
  double own = 0;
  for (const Index i : own_columns) {
    for (const Index j : own_columns) own += static_cast<double>(c.col(i).dot(w.col(j)));
  }
  double labels = task.label_columns.empty() ? own : 0;
  for (const Index j : task.label_columns) labels += static_cast<double>(c.col(j).dot(w.col(j)));
  return (own + label_weight * labels) / rows;
}

/// A calibration of the task, carried over to the mean score of today.
template <RealScalar S>
[[nodiscard]] TaskCalibration calibration_of_today(const RecursiveLeastSquares<S>& sums,
                                                   const RoutedTask& task,
                                                   const TaskCalibration& calibration,
                                                   double label_weight) {
  return carried_calibration(calibration, mean_score(sums, task, label_weight), label_weight);
}

/// What a batch says of its tasks joins what earlier rows of them said.
/// @param fresh  one a task, as calibrate gives it
template <RealScalar S>
void pool_calibrations(const RecursiveLeastSquares<S>& sums,
                       const std::vector<TaskCalibration>& fresh, double label_weight,
                       std::vector<RoutedTask>& tasks) {
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    if (fresh[t].rows == 0) continue;
    TaskCalibration own = fresh[t];
    own.mean_score = mean_score(sums, tasks[t], label_weight);
    tasks[t].calibration = pooled_calibration(
        carried_calibration(tasks[t].calibration, own.mean_score, label_weight), own);
  }
}

/// The calibration of the union of two tasks.
/// @param joined  the union, with the rows and columns of both
template <RealScalar S>
[[nodiscard]] TaskCalibration joined_calibration(const RecursiveLeastSquares<S>& sums,
                                                 const RoutedTask& a, const RoutedTask& b,
                                                 const RoutedTask& joined, double label_weight) {
  return calibration_of_today(
      sums, joined,
      pooled_calibration(calibration_of_today(sums, a, a.calibration, label_weight),
                         calibration_of_today(sums, b, b.calibration, label_weight)),
      label_weight);
}

/// What measures novelty by these sums.
template <RealScalar S>
[[nodiscard]] NoveltyMeter<S> make_meter(const RecursiveLeastSquares<S>& sums,
                                         const NoveltyOptions& options) {
  Vector<S> diagonal;
  std::shared_ptr<const GramFactor<S>> factor;
  if (options.mode == NoveltyMode::diagonal) {
    diagonal = sums.lower_second_moment().diagonal();
    diagonal.array() += static_cast<S>(sums.ridge());
  } else if (options.mode == NoveltyMode::leverage) {
    factor = std::make_shared<const GramFactor<S>>(sums.gram_factor());
  }
  return NoveltyMeter<S>(options, sums.ridge(), diagonal, std::move(factor));
}

/// @param temperature  where the calibrations of the tasks tell none
/// @throws NumericalError  where the Gram matrix cannot be factored
template <RealScalar S>
[[nodiscard]] std::shared_ptr<const RoutingTable<S>> make_table(
    std::shared_ptr<const AnyExpansion<S>> expansion, const RecursiveLeastSquares<S>& sums,
    std::vector<RoutedTask> tasks, const RouterOptions& options, double temperature) {
  std::vector<TaskCalibration> calibrations;
  std::vector<double> mean_scores;
  std::vector<double> rows;
  for (const RoutedTask& task : tasks) {
    calibrations.push_back(task.calibration);
    mean_scores.push_back(mean_score(sums, task, options.label_weight));
    rows.push_back(static_cast<double>(task.rows));
  }
  const RoutingParameters parameters{
      .label_weight = options.label_weight,
      .temperature =
          pooled_temperature(calibrations, tasks.empty() ? default_temperature : temperature),
      .residuals = ResidualQuantiles(calibrations, mean_scores, options.label_weight, rows),
      .threads = sums.options().threads};
  return std::make_shared<const RoutingTable<S>>(std::move(expansion), sums.weights(),
                                                 std::move(tasks), parameters,
                                                 make_meter(sums, options.novelty));
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
