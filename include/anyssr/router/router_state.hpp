// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a router has learned: its tasks, its sums and its calibration. Its options and the
/// features' width name the rest.

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <vector>

#include "anyssr/rls/regression_state.hpp"
#include "anyssr/router/leave_one_out.hpp"
#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
struct RouterState {
  std::vector<RoutedTask> tasks;
  RegressionState<S> regression;
  double temperature = 10;  ///< of the confidence, > 0
  Index removed_rows = 0;   ///< of removed tasks, which the sums still hold
  LabelWeightCounts label_weight_counts = {};
};

namespace detail {

/// @throws ArgumentError  for numbers that no rows lead to
inline void expect_possible_calibration(const RoutedTask& task) {
  const TaskCalibration& c = task.calibration;
  const bool finite =
      is_finite(c.temperature) && is_finite(c.temperature_weight) && is_finite(c.mean_score) &&
      std::all_of(c.residuals.begin(), c.residuals.end(), [](double r) { return is_finite(r); });
  expect(finite && c.rows >= 0 && c.temperature > 0 && c.temperature_weight >= 0 &&
             std::is_sorted(c.residuals.begin(), c.residuals.end()),
         "the calibration of task '", task.name,
         "' holds numbers that no rows lead to, expected finite ones, rows and weights of at least "
         "0, a temperature above 0, residuals that rise");
}

/// Refuses a task that waits for a merge and is not the join of its two parts.
inline void expect_possible_parts(const RoutedTask& task) {
  expect(task.parts.size() == 2, "task '", task.name, "' waits to join ", task.parts.size(),
         " tasks, expected 2");
  const RoutedTask& a = task.parts[0];
  const RoutedTask& b = task.parts[1];
  std::vector<Index> labels = a.label_columns;
  labels.insert(labels.end(), b.label_columns.begin(), b.label_columns.end());
  expect(task.column == a.column && task.further_columns == std::vector<Index>{b.column} &&
             task.label_columns == labels && a.rows >= 0 && b.rows >= 0 &&
             task.rows == a.rows + b.rows && task.row_weight == a.row_weight &&
             task.row_weight == b.row_weight && a.parts.empty() && b.parts.empty() &&
             a.further_columns.empty() && b.further_columns.empty(),
         "task '", task.name, "' is not the join of '", a.name, "' and '", b.name, "'");
  for (const RoutedTask& part : task.parts) {
    expect_possible_calibration(part);
    expect<TaskError>(!part.name.empty(), "a part of task '", task.name,
                      "' has an empty name, expected a name");
  }
  // Another task may have learned under the name of a part: then it is the undoing that waits.
  expect<TaskError>(a.name != b.name, "task '", a.name,
                    "' stands there twice, expected each name once");
}

/// Refuses tasks that do not share the columns 0..columns-1 out among them.
/// @throws TaskError  a name empty or twice;  ArgumentError
/// @param rows  of the regression, without those of removed tasks
inline void expect_possible_tasks(const std::vector<RoutedTask>& tasks, Index columns, Index rows) {
  std::set<std::string_view> names;
  std::vector<Index> owned;
  Index sum = 0;
  for (const RoutedTask& task : tasks) {
    expect<TaskError>(!task.name.empty(), "a task name is empty, expected a name");
    expect<TaskError>(names.insert(task.name).second, "task '", task.name,
                      "' stands there twice, expected each name once");
    expect(task.rows >= 0 && task.rows <= rows - sum, "task '", task.name, "' has ", task.rows,
           " rows, expected 0..", rows - sum, " of the ", rows, " that the regression holds");
    sum += task.rows;
    expect_positive("the row weight of task '" + task.name + "'", task.row_weight);
    owned.push_back(task.column);
    owned.insert(owned.end(), task.label_columns.begin(), task.label_columns.end());
    owned.insert(owned.end(), task.further_columns.begin(), task.further_columns.end());
    expect_possible_calibration(task);
    expect(!task.parts.empty() || task.further_columns.empty(), "task '", task.name,
           "' has task columns of others and waits for no merge");
    if (!task.parts.empty()) expect_possible_parts(task);
  }
  expect(sum == rows, "the tasks have ", sum, " rows, expected ", rows,
         ", as many as the regression holds");
  std::sort(owned.begin(), owned.end());
  expect(static_cast<Index>(owned.size()) == columns, "the tasks own ", owned.size(),
         " columns, expected ", columns);
  for (std::size_t c = 0; c < owned.size(); ++c) {
    expect(owned[c] == static_cast<Index>(c), "the tasks' columns hold ", owned[c], ", expected ",
           c, ": each column once");
  }
}

/// @throws what the two parts do; ArgumentError for numbers out of range
template <RealScalar S>
void expect_possible_router(const RouterState<S>& state) {
  expect_possible_state(state.regression);
  expect(state.removed_rows >= 0 && state.removed_rows <= state.regression.rows,
         "the rows of removed tasks are ", state.removed_rows, ", expected 0..",
         state.regression.rows);
  expect_possible_tasks(state.tasks, state.regression.cross_correlation.cols(),
                        state.regression.rows - state.removed_rows);
  expect_positive("temperature", state.temperature);
  const LabelWeightCounts& counts = state.label_weight_counts;
  constexpr Index most = Index{1} << 53;
  expect(counts.rows >= 0 && counts.rows <= most, "label weight counts have ", counts.rows,
         " rows, expected 0..", most);
  for (const Index right : counts.right) {
    expect(right >= 0 && right <= counts.rows, "label weight counts hold ", right, ", expected 0..",
           counts.rows);
  }
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
