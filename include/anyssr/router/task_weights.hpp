// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How much a task's rows weigh, and what that makes of the ridge. In a balanced router every task
/// counts the same: a row of a task of n_t declared rows weighs 1 / n_t, and an absolute ridge is
/// scaled by (sum of weights) / rows, so that it means the same as without weights.
/// Source: ours.

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/rls/rls_options.hpp"
#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// The weight of each row; empty where all are 1.
/// @param task_of_row  index into tasks
[[nodiscard]] inline std::vector<double> row_weights(const std::vector<RoutedTask>& tasks,
                                                     std::span<const Index> task_of_row,
                                                     bool balanced) {
  std::vector<double> weights;
  if (!balanced) return weights;
  weights.reserve(task_of_row.size());
  for (const Index task : task_of_row) {
    weights.push_back(tasks[static_cast<std::size_t>(task)].row_weight);
  }
  return weights;
}

/// The ridge of the options for weights that sum to less than the rows: lambda T / n where every
/// task has its declared rows. A relative ridge follows the sums by itself.
[[nodiscard]] inline double scaled_ridge(const std::vector<RoutedTask>& tasks,
                                         const RlsOptions& options, bool balanced) noexcept {
  if (options.ridge_scale == RidgeScale::relative || !balanced) return options.ridge;
  double weight = 0;
  double rows = 0;
  for (const RoutedTask& task : tasks) {
    weight += task.row_weight * static_cast<double>(task.rows);
    rows += static_cast<double>(task.rows);
  }
  return rows == 0 ? options.ridge : options.ridge * weight / rows;
}

/// The tasks with new ones at the end, without rows and columns yet.
/// @param declared  n_t of each new task
/// @throws TaskError  a name that is empty, known or given twice
[[nodiscard]] inline std::vector<RoutedTask> with_new_tasks(std::vector<RoutedTask> tasks,
                                                            std::span<const std::string> names,
                                                            std::span<const Index> declared,
                                                            bool balanced) {
  for (std::size_t t = 0; t < names.size(); ++t) {
    const std::string& name = names[t];
    expect<TaskError>(!name.empty(), "a task name is empty, expected a name");
    const bool known = std::any_of(tasks.begin(), tasks.end(),
                                   [&](const RoutedTask& task) { return task.name == name; });
    expect<TaskError>(!known, "task '", name, "' is known already: extend it, or use another name");
    const double weight = balanced ? 1 / static_cast<double>(declared[t]) : 1;
    tasks.push_back({.name = name, .row_weight = weight, .column = -1});
  }
  return tasks;
}

/// Refuses a task of a balanced router with more rows than it was declared with.
inline void expect_declared_rows(const std::vector<RoutedTask>& tasks) {
  for (const RoutedTask& task : tasks) {
    expect<TaskError>(task.row_weight * static_cast<double>(task.rows) < 1 + 1e-9, "task '",
                      task.name, "' would have ", task.rows, " rows, expected at most the ",
                      std::lround(1 / task.row_weight),
                      " it was declared with: a balanced router weighs each by that number");
  }
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
