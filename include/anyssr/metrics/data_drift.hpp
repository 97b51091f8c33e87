// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Whether rows seen now are of the kind seen before. For coordinate j with mean m_j and variance
/// v_j over n rows before, m'_j and v'_j over n' rows now:
///
///   e_j^2 = v_j / n + v'_j / n'      t_j = (m'_j - m_j) / e_j       (Welch 1947)
///   degrees of freedom = e_j^4 / ( (v_j / n)^2 / (n - 1) + (v'_j / n')^2 / (n' - 1) )
///   p(features) = min(1, c min_j P(|T| >= |t_j|))       (Bonferroni over c coordinates)
///
/// Before may be a mixture of tasks in the shares w_t of now, so that features are compared as if
/// each task had been asked as often before: m = sum w_t m_t, v / n above is sum w_t^2 v_t / n_t.
/// Then v' holds the distance between the tasks too, and the p-value is too large, never too small.
/// For shares, a_t of n rows before and b_t of n' now:
///
///   chi^2 = sum_t (sqrt(n'/n) a_t - sqrt(n/n') b_t)^2 / (a_t + b_t)
///   degrees of freedom = cells - 1
///
/// where tasks of which fewer than 5 rows are expected in the smaller sample share a cell.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/metrics/data_sketch.hpp"
#include "anyssr/metrics/tail_probability.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct DriftOptions {
  double alarm_p = 0.001;  ///< above 0 and below 1: at most this share of comparisons without any
                           ///< drift alarms, where rows are independent
  double smallest_shift = 0.1;         ///< standard deviations, >= 0: less never alarms
  double smallest_share_shift = 0.05;  ///< of ShareDrift::distance, 0..1: less never alarms
  Index min_rows = 30;                 ///< on either side, at least 2: fewer are not compared
};

/// Of the features' means.
struct FeatureDrift {
  Index coordinate = -1;          ///< the one of largest |t|; -1 where nothing differs
  double shift = 0;               ///< its (m' - m) / sqrt((v + v') / 2): standard deviations
  double t = 0;                   ///< its t
  double degrees_of_freedom = 0;  ///< of t
  double mean_squared_t = 0;      ///< over all coordinates: about 1 without drift, and growing with
                                  ///< the rows with it; no p-value, since coordinates are dependent
  double p = 1;                   ///< Bonferroni
};

/// Of the tasks' shares.
struct ShareDrift {
  double distance = 0;           ///< 1/2 sum_t |share now - share before|, 0..1
  std::string task = {};         ///< whose share changed most; empty where none did
  double before = 0;             ///< its share before
  double now = 0;                ///< its share now
  double chi_square = 0;         ///< statistic
  Index degrees_of_freedom = 0;  ///< 0: a single cell, nothing to compare
  double p = 1;
};

/// A comparison of two samples of rows.
struct Drift {
  bool tested = false;  ///< false: fewer than min_rows rows on a side, all else is at its default
  Index rows_before = 0;
  Index rows_now = 0;
  FeatureDrift features = {};
  ShareDrift shares = {};
  double p = 1;        ///< of what may alarm: twice the smaller of two p-values, or the one
  bool alarm = false;  ///< p < alarm_p, and by a shift that is not too small to matter
};

namespace detail {

inline void expect_drift_options(const DriftOptions& options) {
  expect(is_finite(options.alarm_p) && options.alarm_p > 0 && options.alarm_p < 1, "alarm_p is ",
         options.alarm_p, ", expected above 0 and below 1");
  expect(is_finite(options.smallest_shift) && options.smallest_shift >= 0, "smallest_shift is ",
         options.smallest_shift, ", expected a finite number, at least 0");
  expect(is_within(options.smallest_share_shift, 0.0, 1.0), "smallest_share_shift is ",
         options.smallest_share_shift, ", expected 0 to 1");
  expect(options.min_rows >= 2, "min_rows is ", options.min_rows, ", expected at least 2");
}

/// Rows of a task, in a mixture of which they are the share `share`.
struct Stratum {
  const FeatureMoments* moments = nullptr;  // at least 2 rows
  double share = 1;
};

/// An estimated mean of a mixture, and how sure it is.
struct EstimatedMean {
  struct Part {
    Vector<double> squared_error;  // share^2 v_t / n_t, c
    double freedom = 1;            // n_t - 1
  };
  Vector<double> mean;      // c
  Vector<double> variance;  // c: of one row of the mixture
  std::vector<Part> parts;
};

/// @param strata  at least one; shares add up to 1
[[nodiscard]] inline EstimatedMean estimated_mean(const std::vector<Stratum>& strata) {
  const Index c = strata.front().moments->mean.size();
  EstimatedMean result{Vector<double>::Zero(c), Vector<double>::Zero(c), {}};
  for (const Stratum& s : strata) {
    for (Index j = 0; j < c; ++j) result.mean(j) += s.share * s.moments->mean(j);
  }
  for (const Stratum& s : strata) {
    const auto rows = static_cast<double>(s.moments->rows);
    EstimatedMean::Part part{s.moments->variance(), rows - 1};
    for (Index j = 0; j < c; ++j) {
      const double offset = s.moments->mean(j) - result.mean(j);
      result.variance(j) += s.share * (part.squared_error(j) + offset * offset);
      part.squared_error(j) *= s.share * s.share / rows;
    }
    result.parts.push_back(std::move(part));
  }
  return result;
}

/// t of one coordinate and what its distribution is.
struct WelchStatistic {
  double t = 0;
  double shift = 0;
  double degrees_of_freedom = 1;
};

/// @param rows  of both sides: no more degrees of freedom than that
[[nodiscard]] inline WelchStatistic welch_statistic(const EstimatedMean& before,
                                                    const EstimatedMean& now, Index j,
                                                    double rows) {
  // A feature that is constant but for its round-off (in float) is not to drift by round-off.
  constexpr double rounding = 1e-6;
  const double floor = rounding * (std::abs(before.mean(j)) + std::abs(now.mean(j)));
  double squared_error = floor * floor;
  for (const auto* side : {&before, &now}) {
    for (const auto& part : side->parts) squared_error += part.squared_error(j);
  }
  if (squared_error <= 0) return {};
  double inverse_freedom = 0;
  for (const auto* side : {&before, &now}) {
    for (const auto& part : side->parts) {
      const double share = part.squared_error(j) / squared_error;
      inverse_freedom += share * share / part.freedom;
    }
  }
  const double difference = now.mean(j) - before.mean(j);
  return {
      .t = difference / std::sqrt(squared_error),
      .shift = difference / std::sqrt(before.variance(j) / 2 + now.variance(j) / 2 + floor * floor),
      .degrees_of_freedom = 1 / std::max(inverse_freedom, 1 / rows)};
}

[[nodiscard]] inline FeatureDrift feature_drift(const EstimatedMean& before,
                                                const EstimatedMean& now, double rows) {
  FeatureDrift drift;
  const Index c = before.mean.size();
  double smallest_p = 1;
  for (Index j = 0; j < c; ++j) {
    const WelchStatistic welch = welch_statistic(before, now, j, rows);
    drift.mean_squared_t += welch.t * welch.t / static_cast<double>(c);
    smallest_p = std::min(smallest_p, student_two_sided(welch.t, welch.degrees_of_freedom));
    if (std::abs(welch.t) <= std::abs(drift.t)) continue;
    drift.coordinate = j;
    drift.t = welch.t;
    drift.shift = welch.shift;
    drift.degrees_of_freedom = welch.degrees_of_freedom;
  }
  drift.p = std::min(1.0, static_cast<double>(c) * smallest_p);
  return drift;
}

using TaskCounts = std::map<std::string, Index>;

/// Counts of one task, or of several that share a cell.
struct ShareCell {
  double before = 0;
  double now = 0;
};

/// Cells from the rarest task on, each with at least 5 rows to be expected in the smaller sample;
/// it looks at the two counts' sum alone, so the choice favours neither outcome.
[[nodiscard]] inline std::vector<ShareCell> share_cells(std::vector<ShareCell> tasks, double before,
                                                        double now) {
  const auto order = [](const ShareCell& a, const ShareCell& b) {
    return std::tuple(a.before + a.now, a.before) < std::tuple(b.before + b.now, b.before);
  };
  std::sort(tasks.begin(), tasks.end(), order);
  const double least = 5 * (before + now) / std::min(before, now);
  std::vector<ShareCell> cells;
  ShareCell open;
  for (const ShareCell& task : tasks) {
    open.before += task.before;
    open.now += task.now;
    if (open.before + open.now < least) continue;
    cells.push_back(open);
    open = {};
  }
  if (!cells.empty()) {
    cells.back().before += open.before;
    cells.back().now += open.now;
  }
  return cells;
}

[[nodiscard]] inline double total_count(const TaskCounts& counts) {
  double sum = 0;
  for (const auto& [task, count] : counts) sum += static_cast<double>(count);
  return sum;
}

[[nodiscard]] inline ShareDrift share_drift(const TaskCounts& before, const TaskCounts& now) {
  ShareDrift drift;
  const double n = total_count(before);
  const double m = total_count(now);
  if (n == 0 || m == 0) return drift;
  std::map<std::string, ShareCell> tasks;
  for (const auto& [task, count] : before) tasks[task].before = static_cast<double>(count);
  for (const auto& [task, count] : now) tasks[task].now = static_cast<double>(count);
  std::vector<ShareCell> counts;
  for (const auto& [task, cell] : tasks) {
    const double change = std::abs(cell.now / m - cell.before / n);
    drift.distance += change / 2;
    if (change > std::abs(drift.now - drift.before)) {
      drift.task = task;
      drift.before = cell.before / n;
      drift.now = cell.now / m;
    }
    counts.push_back(cell);
  }
  const std::vector<ShareCell> cells = share_cells(std::move(counts), n, m);
  if (cells.size() < 2) return drift;
  for (const ShareCell& cell : cells) {
    const double gap = std::sqrt(m / n) * cell.before - std::sqrt(n / m) * cell.now;
    drift.chi_square += gap * gap / (cell.before + cell.now);
  }
  drift.degrees_of_freedom = static_cast<Index>(cells.size()) - 1;
  drift.p = chi_square_tail(drift.chi_square, static_cast<double>(drift.degrees_of_freedom));
  return drift;
}

/// Draws the conclusion from both parts.
/// @param shares_count  whether a change of shares is drift too
inline void conclude_drift(Drift& drift, bool shares_count, const DriftOptions& options) {
  const double tests = shares_count ? 2 : 1;
  const bool features = tests * drift.features.p < options.alarm_p &&
                        std::abs(drift.features.shift) >= options.smallest_shift;
  const bool shares = shares_count && tests * drift.shares.p < options.alarm_p &&
                      drift.shares.distance >= options.smallest_share_shift;
  const double smaller =
      shares_count ? std::min(drift.features.p, drift.shares.p) : drift.features.p;
  drift.tested = true;
  drift.p = std::min(1.0, tests * smaller);
  drift.alarm = features || shares;
}

}  // namespace detail

/// Compares two samples by their sums.
/// @param before, now             moments in the same coordinates
/// @param tasks_before, tasks_now rows a task; a task that is missing has none
/// @throws ArgumentError, ShapeError
/// Cost: O(coordinates + tasks log tasks).
[[nodiscard]] inline Drift drift_between(const FeatureMoments& before,
                                         const std::map<std::string, Index>& tasks_before,
                                         const FeatureMoments& now,
                                         const std::map<std::string, Index>& tasks_now,
                                         const DriftOptions& options = {}) {
  detail::expect_drift_options(options);
  Drift drift{.rows_before = before.rows, .rows_now = now.rows};
  if (std::min(before.rows, now.rows) < options.min_rows) return drift;
  detail::expect<ShapeError>(before.mean.size() == now.mean.size(), "moments now have ",
                             now.mean.size(), " coordinates, expected ", before.mean.size(),
                             " as before");
  drift.features = detail::feature_drift(detail::estimated_mean({{&before, 1}}),
                                         detail::estimated_mean({{&now, 1}}),
                                         static_cast<double>(before.rows + now.rows));
  drift.shares = detail::share_drift(tasks_before, tasks_now);
  detail::conclude_drift(drift, true, options);
  return drift;
}

}  // namespace anyssr::inline ANYSSR_ABI
