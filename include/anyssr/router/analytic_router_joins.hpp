// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How two tasks of an AnalyticRouter become one.
///
/// Joining tasks a and b is exact: targets are unit vectors, so the column of their union is the
/// sum of their columns, C_ab = C_a + C_b, hence W_ab = W_a + W_b. Until the commit both columns
/// stand side by side, and the join can be undone without a trace.
/// Source: ours.

#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/router/analytic_router.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
void AnalyticRouter<S>::expect_joined(std::string_view name) const {
  const RoutedTask& task = tasks()[index(name)];
  detail::expect<TaskError>(!task.parts.empty(), "task '", name,
                            "' waits for no merge, expected one that merge_tasks made");
  detail::expect<TaskError>(!task.frozen, "task '", name, "' is frozen: unfreeze it first");
}

template <RealScalar S>
void AnalyticRouter<S>::join(std::string_view first, std::string_view second,
                             std::string_view name) {
  expect_not_poisoned();
  detail::expect<TaskError>(first != second, "task '", first, "' is to join itself");
  detail::expect(!options_.balanced,
                 "tasks of a balanced router cannot join: their rows count by the number that "
                 "each declared");
  const RoutedTask a = expect_changeable(first);
  const RoutedTask b = expect_changeable(second);
  if (name != second) expect_free(name, first);
  detail::expect<TaskError>(a.active == b.active, "task '", first, "' is ",
                            a.active ? "active" : "archived", " and '", second,
                            "' is not, expected both alike");
  detail::expect<TaskError>(a.label_columns.empty() == b.label_columns.empty(), "task '", first,
                            "' was learned ", a.label_columns.empty() ? "without" : "with",
                            " labels, expected the same of '", second, "'");
  RoutedTask joined = a;
  joined.name = name;
  joined.rows += b.rows;
  joined.further_columns = {b.column};
  joined.label_columns.insert(joined.label_columns.end(), b.label_columns.begin(),
                              b.label_columns.end());
  joined.parts = {a, b};
  joined.calibration = detail::joined_calibration(rls_, a, b, joined, options_.label_weight);
  std::vector<RoutedTask> tasks = this->tasks();
  tasks[index(first)] = std::move(joined);
  tasks.erase(tasks.begin() + static_cast<std::ptrdiff_t>(index(second)));
  publish(std::move(tasks));
}

template <RealScalar S>
void AnalyticRouter<S>::commit_join(std::string_view name) {
  expect_joined(name);
  std::vector<RoutedTask> tasks = this->tasks();
  RoutedTask& joined = tasks[index(name)];
  std::vector<Index> to(static_cast<std::size_t>(rls_.targets()));
  for (std::size_t j = 0; j < to.size(); ++j) to[j] = static_cast<Index>(j);
  for (const Index column : joined.further_columns) {
    to[static_cast<std::size_t>(column)] = joined.column;
  }
  joined.parts.clear();
  const std::vector<Index> gone = std::exchange(joined.further_columns, {});
  RecursiveLeastSquares<S> next = rls_;
  const Index count = detail::close_gaps(tasks, gone, to);
  next.recombine_targets(to, count);
  replace(std::move(next), std::move(tasks));
}

template <RealScalar S>
void AnalyticRouter<S>::undo_join(std::string_view name) {
  expect_joined(name);
  std::vector<RoutedTask> tasks = this->tasks();
  const auto at = tasks.begin() + static_cast<std::ptrdiff_t>(index(name));
  std::vector<RoutedTask> parts = at->parts;
  for (RoutedTask& part : parts) {
    expect_free(part.name, name);
    part.active = at->active;
  }
  *at = parts[0];
  tasks.insert(at + 1, parts[1]);
  publish(std::move(tasks));
}

}  // namespace anyssr::inline ANYSSR_ABI
