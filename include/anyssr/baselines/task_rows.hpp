// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What every router to compare with asks of its rows.

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/finite.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Refuses rows that do not teach one of `tasks` tasks or a new one.
/// @throws ArgumentError, ShapeError, NonFiniteError
template <class X>
void expect_task_rows(Index task, Index tasks, const X& features, Index dim) {
  expect(task >= 0 && task <= tasks, "task is ", task, ", expected 0..", tasks);
  expect_cols("features", features, dim);
  expect<ShapeError>(features.rows() >= 1, "features have 0 rows, expected at least 1");
  expect_finite("features", features);
}

/// Refuses queries that no task is known for, or of another width.
/// @throws ArgumentError, ShapeError, NonFiniteError
template <class X>
void expect_queries(Index tasks, const X& features, Index dim) {
  expect(tasks >= 1, "tasks are 0, expected one that was learned");
  expect_cols("features", features, dim);
  expect_finite("features", features);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
