// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Held-out task scores of rows that the regression has learned, without learning it again:
///
///   loo_i = y_i - (y_i - h_i W) / (1 - s_i l_i),   l_i = h_i (S + lambda I)^-1 h_i^T
///
/// On them the temperature of the confidence is fitted and label weights are compared; the rows are
/// not kept. Source: the closed form of leave-one-out for ridge regression (Allen 1974, PRESS).

#include <algorithm>
#include <array>
#include <concepts>
#include <limits>
#include <span>
#include <vector>

#include "anyssr/core/rows.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/shared_product.hpp"
#include "anyssr/linalg/temperature.hpp"
#include "anyssr/rls/recursive_least_squares.hpp"
#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Label weights that leave-one-out compares.
inline constexpr std::array<double, 7> label_weight_grid{0, 0.25, 0.5, 0.75, 1, 1.5, 2};

/// What leave-one-out says of label weights: sums over the rows that tasks were learned with.
struct LabelWeightCounts {
  Index rows = 0;
  std::array<Index, label_weight_grid.size()> right{};  ///< rows routed right at each weight

  LabelWeightCounts& operator+=(const LabelWeightCounts& other) noexcept {
    rows += other.rows;
    for (std::size_t k = 0; k < right.size(); ++k) right[k] += other.right[k];
    return *this;
  }
};

/// The two parts of held-out task scores, one column a row of the batch.
struct HeldOutScores {
  Eigen::MatrixXd own;         ///< T x n: task columns
  Eigen::MatrixXd best_label;  ///< T x n: the best label column of each task, its own without any
  Eigen::VectorXd own_label;   ///< n: the column of the row's own label, its task's without any

  [[nodiscard]] Eigen::MatrixXd at(double label_weight) const {
    return own + label_weight * best_label;
  }
  /// @param truth  task of each row
  [[nodiscard]] LabelWeightCounts count(std::span<const Index> truth) const {
    LabelWeightCounts counts{.rows = own.cols()};
    for (std::size_t k = 0; k < label_weight_grid.size(); ++k) {
      for (Index i = 0; i < own.cols(); ++i) {
        Index chosen = 0;
        (own.col(i) + label_weight_grid[k] * best_label.col(i)).maxCoeff(&chosen);
        counts.right[k] += chosen == truth[static_cast<std::size_t>(i)] ? 1 : 0;
      }
    }
    return counts;
  }
};

/// @param rows     n x d, learned by the regression
/// @param targets  n x T, as they were learned
/// @param task_of_row  one a row
/// @param weights  s_i, one a row; empty: all 1
/// Cost: n d^2 + 2 n d T flops.
template <RealScalar S, FeatureMatrix<S> H>
[[nodiscard]] HeldOutScores held_out_scores(const RecursiveLeastSquares<S>& regression,
                                            const std::vector<RoutedTask>& tasks, const H& rows,
                                            const SparseRows<S>& targets,
                                            std::span<const Index> task_of_row,
                                            std::span<const double> weights) {
  const Vector<S> leverage = regression.leverage(rows);
  RowMajorMatrix<S> raw;
  detail::set_shared_product(raw, rows, regression.weights(), regression.options().threads);
  const auto count = static_cast<Index>(tasks.size());
  HeldOutScores scores{.own = Eigen::MatrixXd(count, rows.rows()),
                       .best_label = Eigen::MatrixXd(count, rows.rows()),
                       .own_label = Eigen::VectorXd(rows.rows())};
  for (Index i = 0; i < rows.rows(); ++i) {
    const S weight = weights.empty() ? S(1) : static_cast<S>(weights[static_cast<std::size_t>(i)]);
    // 1 - s l > 0 in exact arithmetic (ridge > 0); the floor guards against round-off alone.
    const S left_out = std::max(S(1) - weight * leverage(i), S(1e-4));
    raw.row(i) /= left_out;
    for (typename SparseRows<S>::InnerIterator it(targets, i); it; ++it) {
      raw(i, it.index()) += (S(1) - S(1) / left_out) * it.value();
    }
    task_score_parts(tasks, raw.row(i), scores.own.col(i), scores.best_label.col(i));
    const RoutedTask& task =
        tasks[static_cast<std::size_t>(task_of_row[static_cast<std::size_t>(i)])];
    scores.own_label(i) = static_cast<double>(raw(i, task.column));
    for (typename SparseRows<S>::InnerIterator it(targets, i); it; ++it) {
      if (it.index() != task.column) {
        scores.own_label(i) = static_cast<double>(raw(i, it.index()));
      }
    }
  }
  return scores;
}

/// What the rows of a batch say of confidence, coverage and label weights.
struct Calibration {
  /// One a task; of those without a row in the batch with 0 rows. Without their mean scores.
  std::vector<TaskCalibration> tasks;
  LabelWeightCounts counts;  ///< where a task has label columns
};

namespace detail {

/// d^2 L / d(log b)^2 of the log loss at its minimum b, summed over the rows: how much they say.
/// @param scores  T x n
template <std::same_as<double> R>
[[nodiscard]] double temperature_information(Matrix<R> scores, double b) {
  scores.rowwise() -= scores.colwise().maxCoeff().eval();
  return static_cast<double>(scores.cols()) * b * b * log_loss_slope(scores, 0, b).curvature;
}

template <std::same_as<double> R = double>
[[nodiscard]] std::vector<TaskCalibration> calibrations_of(const HeldOutScores& scores,
                                                           std::span<const Index> task_of_row,
                                                           double label_weight) {
  const Index tasks = scores.own.rows();
  const Index rows = scores.own.cols();
  std::vector<TaskCalibration> result(static_cast<std::size_t>(tasks));
  std::vector<std::vector<double>> residuals(result.size());
  for (Index i = 0; i < rows; ++i) {
    const Index task = task_of_row[static_cast<std::size_t>(i)];
    const double score = scores.own(task, i) + label_weight * scores.own_label(i);
    residuals[static_cast<std::size_t>(task)].push_back(1 + label_weight - score);
  }
  double temperature = 1;
  double information = 0;
  if (tasks > 1) {
    const Matrix<R> totals = scores.at(label_weight);
    temperature = fit_temperature(totals.transpose(), task_of_row);
    information = temperature_information(totals, temperature);
  }
  for (std::size_t t = 0; t < result.size(); ++t) {
    const auto count = static_cast<double>(residuals[t].size());
    result[t] = {.rows = static_cast<Index>(residuals[t].size()),
                 .temperature = temperature,
                 .temperature_weight = information * count / static_cast<double>(rows),
                 .mean_score = 0,
                 .residuals = sketch_residuals(std::move(residuals[t]))};
  }
  return result;
}

/// Without the tasks that compete for no query: archived ones, but for those that own a row.
/// @param task_of_row  one a row; becomes the place among the tasks that are left
/// @return where each of those stands in `tasks`
[[nodiscard]] inline std::vector<Index> keep_rivals(const std::vector<RoutedTask>& tasks,
                                                    HeldOutScores& scores,
                                                    std::vector<Index>& task_of_row) {
  std::vector<bool> kept;
  for (const RoutedTask& task : tasks) kept.push_back(task.active);
  for (const Index task : task_of_row) kept[static_cast<std::size_t>(task)] = true;
  std::vector<Index> rivals;
  std::vector<Index> place(tasks.size());
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    place[t] = static_cast<Index>(rivals.size());
    if (kept[t]) rivals.push_back(static_cast<Index>(t));
  }
  scores.own = select_rows(scores.own, rivals);
  scores.best_label = select_rows(scores.best_label, rivals);
  for (Index& task : task_of_row) task = place[static_cast<std::size_t>(task)];
  return rivals;
}

}  // namespace detail

/// Calibrates on at most `most` rows of a batch, evenly spread over it.
/// @param rows         the batch, learned by the regression;  targets, row_weights: its own
/// @param task_of_row  one a row
template <RealScalar S, FeatureMatrix<S> H>
[[nodiscard]] Calibration calibrate(const RecursiveLeastSquares<S>& regression,
                                    const std::vector<RoutedTask>& tasks, const H& rows,
                                    const SparseRows<S>& targets,
                                    std::span<const Index> task_of_row,
                                    std::span<const double> row_weights, double label_weight,
                                    Index most) {
  if (rows.rows() > most) {
    std::vector<Index> chosen;
    std::vector<Index> chosen_tasks;
    std::vector<double> chosen_weights;
    for (Index i = 0; i < most; ++i) {
      chosen.push_back(i * rows.rows() / most);
      const auto row = static_cast<std::size_t>(chosen.back());
      chosen_tasks.push_back(task_of_row[row]);
      if (!row_weights.empty()) chosen_weights.push_back(row_weights[row]);
    }
    return calibrate(regression, tasks, select_rows(rows, std::span<const Index>(chosen)),
                     select_rows(targets, std::span<const Index>(chosen)), chosen_tasks,
                     chosen_weights, label_weight, most);
  }
  HeldOutScores scores =
      held_out_scores(regression, tasks, rows, targets, task_of_row, row_weights);
  std::vector<Index> truth(task_of_row.begin(), task_of_row.end());
  const std::vector<Index> rivals = detail::keep_rivals(tasks, scores, truth);
  const std::vector<TaskCalibration> measured =
      detail::calibrations_of(scores, truth, label_weight);
  Calibration result{.tasks = std::vector<TaskCalibration>(tasks.size()), .counts = {}};
  bool labelled = false;
  for (std::size_t k = 0; k < rivals.size(); ++k) {
    const auto task = static_cast<std::size_t>(rivals[k]);
    result.tasks[task] = measured[k];
    labelled = labelled || !tasks[task].label_columns.empty();
  }
  if (labelled && rivals.size() > 1) result.counts = scores.count(truth);
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI
