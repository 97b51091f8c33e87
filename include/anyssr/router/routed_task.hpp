// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A task as the router knows it: its columns of W, its state and what was measured of it.
/// Source: ours.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/router/task_calibration.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct RoutedTask {
  std::string name;
  Index rows = 0;         ///< rows learned
  double row_weight = 1;  ///< of each of its rows: 1, or 1 / n_t in a balanced router
  Index column = 0;       ///< its task column of W
  std::vector<Index> label_columns = {};    ///< column of W of each of its labels; may be empty
  std::vector<Index> further_columns = {};  ///< task columns that add to it: those of the tasks
                                            ///< that a merge joined and that wait for its commit
  bool active = true;                       ///< may be chosen; an archived task is not
  bool frozen = false;                      ///< refuses rows, removal of rows and corrections
  TaskCalibration calibration = {};
  std::vector<RoutedTask> parts = {};  ///< two while a merge waits for commit or undo, else none
};

namespace detail {

/// Whether one of the tasks has the name, or would have it again if its merge were undone.
[[nodiscard]] inline bool is_name_held(const std::vector<RoutedTask>& tasks,
                                       std::string_view name) noexcept {
  return std::any_of(tasks.begin(), tasks.end(), [&](const RoutedTask& task) {
    return task.name == name || is_name_held(task.parts, name);
  });
}

}  // namespace detail

}  // namespace anyssr::inline ANYSSR_ABI
