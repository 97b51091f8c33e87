// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The life of tasks that an AnalyticRouter knows: archived and restored, frozen, renamed, removed.

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/router/analytic_router.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
std::optional<Index> AnalyticRouter<S>::find(std::string_view name) const noexcept {
  const auto found = std::find_if(tasks().begin(), tasks().end(),
                                  [&](const RoutedTask& task) { return task.name == name; });
  if (found == tasks().end()) return std::nullopt;
  return static_cast<Index>(found - tasks().begin());
}

template <RealScalar S>
std::size_t AnalyticRouter<S>::index(std::string_view name) const {
  const std::optional<Index> task = find(name);
  detail::expect<TaskError>(task.has_value(), "task '", name, "' is unknown: learn it first");
  return static_cast<std::size_t>(*task);
}

/// A task that may change what it learned.
template <RealScalar S>
const RoutedTask& AnalyticRouter<S>::expect_changeable(std::string_view name) const {
  const RoutedTask& task = tasks()[index(name)];
  detail::expect<TaskError>(!task.frozen, "task '", name, "' is frozen: unfreeze it first");
  detail::expect<TaskError>(task.parts.empty(), "task '", name,
                            "' waits for a merge to be committed or undone");
  return task;
}

/// @param but  may have the name
template <RealScalar S>
void AnalyticRouter<S>::expect_free(std::string_view name, std::string_view but) const {
  detail::expect<TaskError>(!name.empty(), "the new task name is empty, expected a name");
  for (const RoutedTask& task : tasks()) {
    const bool taken = task.name == name || detail::is_name_held(task.parts, name);
    detail::expect<TaskError>(!taken || task.name == but, "task '", name,
                              "' is known already, expected another name");
  }
}

template <RealScalar S>
template <class Edit>
void AnalyticRouter<S>::edit(std::string_view name, const Edit& change) {
  const std::size_t at = index(name);
  std::vector<RoutedTask> tasks = this->tasks();
  change(tasks[at]);
  publish(std::move(tasks));
}

template <RealScalar S>
void AnalyticRouter<S>::set_active(std::string_view name, bool active) {
  edit(name, [&](RoutedTask& task) { task.active = active; });
}

template <RealScalar S>
void AnalyticRouter<S>::set_frozen(std::string_view name, bool frozen) {
  edit(name, [&](RoutedTask& task) { task.frozen = frozen; });
}

template <RealScalar S>
void AnalyticRouter<S>::rename(std::string_view name, std::string_view new_name) {
  expect_free(new_name, name);
  edit(name, [&](RoutedTask& task) { task.name = new_name; });
}

template <RealScalar S>
void AnalyticRouter<S>::remove(std::string_view name) {
  remove_with(name, rls_, expect_changeable(name).rows);
}

template <RealScalar S>
void AnalyticRouter<S>::remove(std::string_view name, const AnalyticRouter& own) {
  const RoutedTask& task = expect_changeable(name);
  expect_same_expansion(own);
  own.expect_not_poisoned();
  own.expect_sums_of(task);
  const RoutedTask& same = own.tasks()[0];
  std::vector<Index> columns(static_cast<std::size_t>(own.rls_.targets()));
  columns[static_cast<std::size_t>(same.column)] = task.column;
  for (std::size_t label = 0; label < task.label_columns.size(); ++label) {
    columns[static_cast<std::size_t>(same.label_columns[label])] = task.label_columns[label];
  }
  RecursiveLeastSquares<S> next = rls_;
  next.unmerge(own.rls_, columns);
  remove_with(name, std::move(next), 0);
}

/// Refuses to be what another router removes the task by, unless it learned the task's rows and
/// nothing else.
template <RealScalar S>
void AnalyticRouter<S>::expect_sums_of(const RoutedTask& task) const {
  detail::expect<TaskError>(
      tasks().size() == 1 && tasks()[0].rows == task.rows && rls_.rows() == task.rows &&
          tasks()[0].label_columns.size() == task.label_columns.size(),
      "the sums to remove task '", task.name, "' by hold ", tasks().size(), " tasks and ",
      rls_.rows(), " rows, expected the ", task.rows, " rows of this task and its ",
      task.label_columns.size(), " labels alone");
  detail::expect<TaskError>(tasks()[0].row_weight == task.row_weight, "the sums to remove task '",
                            task.name, "' by count each row ", tasks()[0].row_weight, ", expected ",
                            task.row_weight);
  detail::expect<TaskError>(tasks()[0].parts.empty(), "the sums to remove task '", task.name,
                            "' by hold one that waits for a merge: commit it first");
}

/// Removes a task and its columns from `next`, which takes the place of the sums.
/// @param rows_left  rows of the task that `next` holds
template <RealScalar S>
void AnalyticRouter<S>::remove_with(std::string_view name, RecursiveLeastSquares<S> next,
                                    Index rows_left) {
  std::vector<RoutedTask> tasks = this->tasks();
  const auto at = tasks.begin() + static_cast<std::ptrdiff_t>(index(name));
  std::vector<Index> gone = at->label_columns;
  gone.push_back(at->column);
  tasks.erase(at);
  std::vector<Index> to(static_cast<std::size_t>(rls_.targets()));
  for (std::size_t j = 0; j < to.size(); ++j) to[j] = static_cast<Index>(j);
  for (const Index column : gone) to[static_cast<std::size_t>(column)] = -1;
  const Index count = detail::close_gaps(tasks, gone, to);
  next.recombine_targets(to, count);
  replace(std::move(next), std::move(tasks));
  removed_rows_ += rows_left;
}

}  // namespace anyssr::inline ANYSSR_ABI
