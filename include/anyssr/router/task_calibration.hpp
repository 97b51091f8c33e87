// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a task's held-out scores say of confidence and coverage, as a few numbers a task:
///
///   b_t                temperature fitted on the task's leave-one-out scores, and its weight
///   r_i = (1 + w) - (task score of row i, its own label's column for the best one)   residual
///   Q_t(u)             quantiles of r at u = 1 - 2^(-k/4), k = 0..48, dense towards 1, and at 1
///   m_t                mean score of the task's rows at that time, by the sums alone
///
/// Confidence: log b = sum_t k_t log b_t / sum_t k_t, k_t = d^2 L / d(log b)^2 at b_t.
///
/// Coverage: candidates of a query are the tasks with r <= q, q the conformal quantile of all
/// tasks' residuals (split conformal prediction with held-out scores, arXiv 2107.07511). A task
/// that came early was measured when it had few rivals, and its scores fell since. By how much on
/// average is known exactly and without a row, since the mean score of a task's rows is
/// C_t . W_t / n_t: the residuals are carried over by odds,
///
///   r' = top g r / ((top - r) + g r)        0 < r < top = 1.25 (1 + w)
///   r' = g r                                r <= 0, and r' = r from top on
///
/// with the least g that raises their mean by the fall of m_t, or all by that fall where none does:
/// where they lie about 0. (Measured on ten tasks in sequence: quantiles of 90, 95, 99 % then cover
/// 0.90, 0.95, 0.99 of other rows; not carried over, 0.81, 0.90, 0.98.)

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Levels u of a residual sketch. The last is 1: the largest residual.
inline constexpr std::size_t residual_levels = 50;
[[nodiscard]] inline double residual_level(std::size_t k) noexcept {
  return k + 1 < residual_levels ? 1 - std::exp2(-static_cast<double>(k) / 4) : 1;
}

/// What leave-one-out said of a task when rows of it were learned. Without rows it says nothing.
struct TaskCalibration {
  Index rows = 0;                 ///< rows that it was fitted on
  double temperature = 1;         ///< b_t
  double temperature_weight = 0;  ///< k_t: rows times the curvature of their log loss in log b
  double mean_score = 0;          ///< m_t
  std::array<double, residual_levels> residuals{};  ///< Q_t at residual_level(k), rising
};

namespace detail {

/// Quantiles of residuals at the levels of a sketch.
[[nodiscard]] inline std::array<double, residual_levels> sketch_residuals(
    std::vector<double> residuals) {
  std::array<double, residual_levels> sketch{};
  if (residuals.empty()) return sketch;
  std::sort(residuals.begin(), residuals.end());
  const auto last = static_cast<double>(residuals.size() - 1);
  for (std::size_t k = 0; k < residual_levels; ++k) {
    const double place = residual_level(k) * last;
    const auto low = static_cast<std::size_t>(place);
    const std::size_t high = std::min(low + 1, residuals.size() - 1);
    const double part = place - static_cast<double>(low);
    const double between = residuals[low] + part * (residuals[high] - residuals[low]);
    sketch[k] = std::min(between, residuals[high]);  // rounding must not let it fall
  }
  return sketch;
}

/// Mean of the distribution that a sketch stands for.
[[nodiscard]] inline double sketch_mean(std::span<const double, residual_levels> sketch) {
  double mean = 0;
  for (std::size_t k = 1; k < residual_levels; ++k) {
    mean += (residual_level(k) - residual_level(k - 1)) * (sketch[k] + sketch[k - 1]) / 2;
  }
  return mean;
}

/// r' of a residual and its slope in g.
struct CarriedResidual {
  double value = 0;
  double slope = 0;

  CarriedResidual(double r, double g, double top) noexcept {
    const double odds = (top - r) + g * r;  // of what is between 0 and top
    if (r <= 0 || r >= top) {
      slope = r <= 0 ? r : 0;
      value = r <= 0 ? g * r : r;
    } else {
      slope = top * r * (top - r) / (odds * odds);
      value = top * g * r / odds;
    }
  }
};

/// The sketch of a task whose rows' mean score fell by `fall` since.
[[nodiscard]] inline std::array<double, residual_levels> carry_residuals(
    std::array<double, residual_levels> sketch, double fall, double top) {
  if (!(fall > 0)) return sketch;
  const double goal = sketch_mean(sketch) + fall;
  // The mean is concave in g: Newton's steps from 1 on come to its least root from below.
  for (double g = 1; g < 1e6;) {
    std::array<double, residual_levels> moved{};
    std::array<double, residual_levels> slopes{};
    for (std::size_t k = 0; k < residual_levels; ++k) {
      const CarriedResidual carried(sketch[k], g, top);
      moved[k] = k == 0 ? carried.value : std::max(moved[k - 1], carried.value);  // by rounding
      slopes[k] = carried.slope;
    }
    const double missing = goal - sketch_mean(moved);
    if (missing <= 1e-12 * top) return moved;
    const double slope = sketch_mean(slopes);
    if (!(slope > 0)) break;
    g += missing / slope;
  }
  for (double& r : sketch) r += fall;
  return sketch;
}

/// P(r <= x) of a sketch, linear between its levels.
[[nodiscard]] inline double share_below(std::span<const double, residual_levels> sketch, double x) {
  if (x < sketch.front()) return 0;
  if (x >= sketch.back()) return 1;
  const auto above = std::upper_bound(sketch.begin(), sketch.end(), x);
  const auto k = static_cast<std::size_t>(above - sketch.begin());
  const double part = (x - sketch[k - 1]) / (sketch[k] - sketch[k - 1]);
  return residual_level(k - 1) + part * (residual_level(k) - residual_level(k - 1));
}

/// The quantile at `level` of several sketches together, by weight.
[[nodiscard]] inline double pooled_quantile(
    std::span<const std::array<double, residual_levels>> sketches, std::span<const double> weights,
    double level) {
  double low = std::numeric_limits<double>::max();
  double high = -low;
  double total = 0;
  for (std::size_t t = 0; t < sketches.size(); ++t) {
    low = std::min(low, sketches[t].front());
    high = std::max(high, sketches[t].back());
    total += weights[t];
  }
  for (int step = 0; step < 50 && low < high; ++step) {
    const double middle = (low + high) / 2;
    double share = 0;
    for (std::size_t t = 0; t < sketches.size(); ++t) {
      share += weights[t] * share_below(sketches[t], middle);
    }
    (share < level * total ? low : high) = middle;
  }
  return high;
}

[[nodiscard]] inline std::array<double, residual_levels> pooled_sketch(
    std::span<const std::array<double, residual_levels>> sketches,
    std::span<const double> weights) {
  std::array<double, residual_levels> pooled{};
  for (std::size_t k = 0; k < residual_levels; ++k) {
    pooled[k] = pooled_quantile(sketches, weights, residual_level(k));
  }
  return pooled;
}

/// Above the residuals that adding tasks still moves.
[[nodiscard]] inline double residual_top(double label_weight) noexcept {
  return 1.25 * (1 + label_weight);
}

/// What a task's rows said, as of today's mean score of them.
[[nodiscard]] inline TaskCalibration carried_calibration(TaskCalibration calibration,
                                                         double mean_score, double label_weight) {
  calibration.residuals = carry_residuals(
      calibration.residuals, calibration.mean_score - mean_score, residual_top(label_weight));
  calibration.mean_score = mean_score;
  return calibration;
}

/// What the rows of both say together.
[[nodiscard]] inline TaskCalibration pooled_calibration(const TaskCalibration& a,
                                                        const TaskCalibration& b) {
  if (a.rows == 0) return b;
  if (b.rows == 0) return a;
  const std::array sketches{a.residuals, b.residuals};
  const std::array weights{static_cast<double>(a.rows), static_cast<double>(b.rows)};
  const double information = a.temperature_weight + b.temperature_weight;
  TaskCalibration pooled{.rows = a.rows + b.rows,
                         .temperature = b.temperature,
                         .temperature_weight = information,
                         .mean_score = (weights[0] * a.mean_score + weights[1] * b.mean_score) /
                                       (weights[0] + weights[1]),
                         .residuals = pooled_sketch(sketches, weights)};
  if (information > 0) {
    pooled.temperature = std::exp((a.temperature_weight * std::log(a.temperature) +
                                   b.temperature_weight * std::log(b.temperature)) /
                                  information);
  }
  return pooled;
}

}  // namespace detail

/// Residuals of all tasks together, weighted by the tasks' rows, as they would be today. The order
/// of the tasks changes no bit.
class ResidualQuantiles {
 public:
  ResidualQuantiles() = default;

  /// @param calibrations  one a task; those without rows are left out
  /// @param mean_scores   m_t of today, one a task
  /// @param label_weight  w
  /// @param task_rows     rows that each task learned, of which some were calibrated on: what it
  ///                      counts; none: as many as were
  ResidualQuantiles(std::span<const TaskCalibration> calibrations,
                    std::span<const double> mean_scores, double label_weight,
                    std::span<const double> task_rows = {}) {
    const double top = detail::residual_top(label_weight);
    std::vector<std::pair<std::array<double, residual_levels>, double>> parts;  // with weights
    for (std::size_t t = 0; t < calibrations.size(); ++t) {
      const TaskCalibration& task = calibrations[t];
      if (task.rows == 0) continue;
      const auto rows = static_cast<double>(task.rows);
      parts.emplace_back(
          detail::carry_residuals(task.residuals, task.mean_score - mean_scores[t], top),
          task_rows.empty() ? rows : std::max(rows, task_rows[t]));
      rows_ += rows;
    }
    std::ranges::sort(parts);
    std::vector<std::array<double, residual_levels>> sketches;
    std::vector<double> weights;
    for (const auto& [sketch, weight] : parts) {
      sketches.push_back(sketch);
      weights.push_back(weight);
    }
    if (rows_ > 0) pooled_ = detail::pooled_sketch(sketches, weights);
  }

  /// Whether any rows were measured.
  [[nodiscard]] bool empty() const noexcept { return rows_ == 0; }

  /// q: the residual that a share `coverage` of right tasks stays at or below, raised for the
  /// number of rows as conformal prediction asks, ceil((n + 1) coverage) / n; nothing where there
  /// are too few rows for it.
  [[nodiscard]] std::optional<double> at(double coverage) const {
    const double level = std::ceil((rows_ + 1) * coverage) / std::max(rows_, 1.0);
    if (rows_ == 0 || level > 1) return std::nullopt;
    std::size_t k = 1;
    while (k + 1 < residual_levels && residual_level(k) < level) ++k;
    const double low = residual_level(k - 1);
    const double part = std::min(1.0, (level - low) / (residual_level(k) - low));
    return pooled_[k - 1] + part * (pooled_[k] - pooled_[k - 1]);
  }

 private:
  std::array<double, residual_levels> pooled_{};
  double rows_ = 0;
};

/// b of all tasks together. Their order changes no bit.
/// @param otherwise  where none was measured
[[nodiscard]] inline double pooled_temperature(std::span<const TaskCalibration> calibrations,
                                               double otherwise) {
  std::vector<std::pair<double, double>> parts;  // weights and weighted logarithms
  for (const TaskCalibration& task : calibrations) {
    parts.emplace_back(task.temperature_weight,
                       task.temperature_weight * std::log(task.temperature));
  }
  std::ranges::sort(parts);
  double weight = 0;
  double sum = 0;
  for (const auto& [of_task, logarithm] : parts) {
    weight += of_task;
    sum += logarithm;
  }
  return weight > 0 ? std::exp(sum / weight) : otherwise;
}

}  // namespace anyssr::inline ANYSSR_ABI
