// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How the sums of a DataInspector grow, join and shrink. The functions change an InspectorState
/// and check nothing: their caller has checked what comes in.

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/metrics/inspector_state.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Counts rows by label.
/// @throws ArgumentError  for a label out of range
inline void add_labels(std::span<const Index> labels, std::map<Index, Index>& counts) {
  for (const Index label : labels) {
    expect(label >= 0 && label <= most_inspected_rows, "labels hold ", label, ", expected 0..",
           most_inspected_rows);
    ++counts[label];
  }
}

/// The sums of a task, or empty ones where nothing of it was learned.
[[nodiscard]] inline LearnedSums learned_or_none(const InspectorState& state,
                                                 const std::string& task) {
  const auto found = state.learned.find(task);
  return found == state.learned.end() ? LearnedSums{} : found->second;
}

/// Learned rows per task.
[[nodiscard]] inline std::map<std::string, Index> learned_rows(const InspectorState& state) {
  std::map<std::string, Index> rows;
  for (const auto& [task, sums] : state.learned) rows[task] = sums.features.rows;
  return rows;
}

/// @param first_labels  is added to the labels of `more`
[[nodiscard]] inline LearnedSums joined_sums(LearnedSums own, const LearnedSums& more,
                                             Index first_labels) {
  own.features = merged_moments(own.features, more.features);
  for (const auto& [label, rows] : more.labels) own.labels[label + first_labels] += rows;
  return own;
}

/// `all` without `part`.
/// @return nothing where `all` has fewer rows than `part`, altogether or of one label
[[nodiscard]] inline std::optional<LearnedSums> sums_without(LearnedSums all,
                                                             const LearnedSums& part) {
  if (all.features.rows < part.features.rows) return std::nullopt;
  for (const auto& [label, rows] : part.labels) {
    const auto found = all.labels.find(label);
    if (found == all.labels.end() || found->second < rows) return std::nullopt;
    if ((found->second -= rows) == 0) all.labels.erase(found);
  }
  Index labelled = 0;
  for (const auto& [label, rows] : all.labels) labelled += rows;
  all.features = moments_without(all.features, part.features);
  if (labelled > all.features.rows) return std::nullopt;
  return all;
}

inline void add_groups(InspectorState& state, const GroupCounts& counts) {
  for (const auto& [column, values] : counts) {
    for (const auto& [value, count] : values) {
      GroupCount& here = state.groups[column][value];
      here.right += count.right;
      here.total += count.total;
    }
  }
}

/// Adds a window, or its rows to the window of the same number.
inline void add_window(InspectorState& state, QueryWindow window) {
  const auto at =
      std::lower_bound(state.windows.begin(), state.windows.end(), window.number,
                       [](const QueryWindow& kept, Index number) { return kept.number < number; });
  if (at == state.windows.end() || at->number != window.number) {
    state.windows.insert(at, std::move(window));
    return;
  }
  for (const auto& [task, rows] : at->tasks) window.tasks[task] += rows;
  window.features = merged_moments(at->features, window.features);
  *at = std::move(window);
}

/// Keeps the newest `most` of all windows that ever had rows: which those are does not depend on
/// the order in which the rows came.
inline void drop_old_windows(InspectorState& state, Index most) {
  const auto count = static_cast<Index>(state.windows.size());
  if (count <= most) return;
  const auto end = state.windows.begin() + (count - most);
  for (auto window = state.windows.begin(); window != end; ++window) {
    state.dropped_query_rows += window->features.rows;
  }
  state.windows.erase(state.windows.begin(), end);
}

/// Files the queries of one task under another name; that name may have queries already.
inline void rename_queries(InspectorState& state, const std::string& task,
                           const std::string& new_name) {
  if (task == new_name) return;
  for (QueryWindow& window : state.windows) {
    const auto node = window.tasks.extract(task);
    if (node) window.tasks[new_name] += node.mapped();
  }
}

/// Refuses a state whose sums cannot be added to those of `here`.
/// @throws ArgumentError
inline void expect_same_sums(const InspectorState& state, const InspectorState& here) {
  const auto expect_same = [](std::string_view name, const auto& came, const auto& own) {
    expect(came == own, name, " of the state is ", came, ", expected ", own);
  };
  expect_same("dim", state.dim, here.dim);
  expect_same("sketch", state.sketch, here.sketch);
  expect_same("seed", state.seed, here.seed);
  expect_same("window_seconds", state.window_seconds, here.window_seconds);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
