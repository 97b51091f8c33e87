// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How tasks and labels become columns of the regression: a row's target is 1 in the column of its
/// task and, with label columns, 1 in the column of its label.
/// Source: Any-SSR, arXiv 2503.13575, for the columns of tasks; those of labels are ours.

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Largest label of a task: a label takes a column of d numbers, so a wild one is a mistake.
inline constexpr Index most_labels = 1000000;

/// Refuses labels that are not one a row, each in 0..most_labels-1.
inline void expect_router_labels(std::span<const Index> labels, std::size_t rows) {
  if (labels.empty()) return;
  expect_count("labels", labels.size(), static_cast<Index>(rows));
  for (const Index label : labels) {
    expect(label >= 0 && label < most_labels, "labels hold ", label, ", expected 0..",
           most_labels - 1);
  }
}

/// Refuses tasks that are not an index into names for each row, or a name without a row.
inline void expect_task_of_row(std::span<const std::string> names, Index rows,
                               std::span<const Index> task_of_row) {
  expect(!names.empty(), "names are empty, expected at least one task");
  expect_count("task_of_row", task_of_row.size(), rows);
  std::vector<bool> seen(names.size(), false);
  for (const Index task : task_of_row) {
    expect(task >= 0 && task < static_cast<Index>(names.size()), "task_of_row holds ", task,
           ", expected 0..", names.size() - 1);
    seen[static_cast<std::size_t>(task)] = true;
  }
  for (std::size_t t = 0; t < names.size(); ++t) {
    expect<ShapeError>(seen[t], "task '", names[t], "' has no rows, expected at least 1");
  }
}

/// A batch as a router sees it.
struct TaskRows {
  std::vector<RoutedTask> tasks;   ///< of the router after the change, new ones at the end
  std::vector<Index> task_of_row;  ///< index into tasks, one a row
};

/// Gives the tasks of rows the columns that they lack.
/// @param next   first free column; @return the first free one afterwards
/// @param labels empty: no label columns
inline Index assign_columns(std::vector<RoutedTask>& tasks, std::span<const Index> task_of_row,
                            std::span<const Index> labels, Index next) {
  for (std::size_t i = 0; i < task_of_row.size(); ++i) {
    RoutedTask& task = tasks[static_cast<std::size_t>(task_of_row[i])];
    if (task.column < 0) task.column = next++;
    while (!labels.empty() && static_cast<Index>(task.label_columns.size()) <= labels[i]) {
      task.label_columns.push_back(next++);
    }
  }
  return next;
}

/// Targets of rows whose tasks have their columns: n x columns, one or two ones a row.
template <RealScalar S>
[[nodiscard]] SparseRows<S> router_targets(const std::vector<RoutedTask>& tasks,
                                           std::span<const Index> task_of_row,
                                           std::span<const Index> labels, Index columns) {
  const auto rows = static_cast<Index>(task_of_row.size());
  SparseRows<S> targets(rows, columns);
  targets.reserve(2 * rows);
  for (Index i = 0; i < rows; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const RoutedTask& task = tasks[static_cast<std::size_t>(task_of_row[at])];
    targets.startVec(i);
    Index first = task.column;
    Index second = labels.empty() ? -1 : task.label_columns[static_cast<std::size_t>(labels[at])];
    if (second >= 0 && second < first) std::swap(first, second);
    targets.insertBackByOuterInner(i, first) = S(1);
    if (second >= 0) targets.insertBackByOuterInner(i, second) = S(1);
  }
  targets.finalize();
  return targets;
}

/// Adds the tasks of another router.
/// @param tasks  those of this router: grows by what it does not know
/// @param next   first free column
/// @return column here of each of the other's `columns` columns
inline std::vector<Index> absorb_tasks(std::vector<RoutedTask>& tasks,
                                       const std::vector<RoutedTask>& others, Index columns,
                                       Index next) {
  std::vector<Index> place(static_cast<std::size_t>(columns), -1);
  for (const RoutedTask& other : others) {
    auto mine = std::find_if(tasks.begin(), tasks.end(),
                             [&](const RoutedTask& task) { return task.name == other.name; });
    const bool is_new = mine == tasks.end();
    if (is_new) {
      tasks.push_back({.name = other.name,
                       .row_weight = other.row_weight,
                       .column = next++,
                       .active = other.active});
      mine = tasks.end() - 1;
    }
    expect<TaskError>(mine->row_weight == other.row_weight, "task '", other.name,
                      "' counts each row ", other.row_weight, " in the router to merge, expected ",
                      mine->row_weight, ": declare the same number of rows in both");
    expect<TaskError>(mine->rows == 0 || mine->label_columns.empty() == other.label_columns.empty(),
                      "task '", other.name,
                      "' has label columns in one of the routers and none in the other");
    expect<TaskError>(!mine->frozen && mine->parts.empty() && other.parts.empty(), "task '",
                      other.name, "' is frozen or waits for a merge: no rows can join it");
    if (is_new) mine->frozen = other.frozen;
    mine->rows += other.rows;
    mine->calibration = pooled_calibration(mine->calibration, other.calibration);
    place[static_cast<std::size_t>(other.column)] = mine->column;
    for (std::size_t label = 0; label < other.label_columns.size(); ++label) {
      if (mine->label_columns.size() <= label) mine->label_columns.push_back(next++);
      place[static_cast<std::size_t>(other.label_columns[label])] = mine->label_columns[label];
    }
  }
  return place;
}

/// Columns move left over those that are gone.
/// @param gone  columns that no task owns any more
/// @param to    where each old column goes, below 0: nowhere; becomes where it goes in the end
/// @return number of columns left
inline Index close_gaps(std::vector<RoutedTask>& tasks, const std::vector<Index>& gone,
                        std::vector<Index>& to) {
  std::vector<Index> place(to.size(), 0);
  for (const Index column : gone) place[static_cast<std::size_t>(column)] = -1;
  Index count = 0;
  for (Index& column : place) column = column < 0 ? -1 : count++;
  for (Index& column : to) column = column < 0 ? -1 : place[static_cast<std::size_t>(column)];
  const auto move = [&](RoutedTask& task) {
    task.column = place[static_cast<std::size_t>(task.column)];
    for (Index& column : task.label_columns) column = place[static_cast<std::size_t>(column)];
    for (Index& column : task.further_columns) column = place[static_cast<std::size_t>(column)];
  };
  for (RoutedTask& task : tasks) {
    move(task);
    for (RoutedTask& part : task.parts) move(part);
  }
  return count;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
