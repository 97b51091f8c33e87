// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a router has learned: its tasks, its sums and its calibration. Its options and the
/// features' width name the rest.

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "anyssr/rls/regression_state.hpp"
#include "anyssr/router/leave_one_out.hpp"
#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline v0 {

template <RealScalar S>
struct RouterState {
  std::vector<RoutedTask> tasks;
  RegressionState<S> regression;
  double temperature = 10;  ///< of the confidence, > 0
  LabelWeightCounts label_weight_counts;
};

namespace detail {

/// Refuses tasks that do not share the columns 0..columns-1 out among them.
/// @throws TaskError  a name empty or twice;  ArgumentError
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
  expect_possible_tasks(state.tasks, state.regression.cross_correlation.cols(),
                        state.regression.rows);
  expect_positive("temperature", state.temperature);
  const LabelWeightCounts& counts = state.label_weight_counts;
  expect(counts.rows >= 0, "label weight counts have ", counts.rows, " rows, expected 0 or more");
  for (const Index right : counts.right) {
    expect(right >= 0 && right <= counts.rows, "label weight counts hold ", right, ", expected 0..",
           counts.rows);
  }
}

}  // namespace detail
}  // namespace anyssr::inline v0
