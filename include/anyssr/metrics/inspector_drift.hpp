// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Drift of an InspectorState: of its newest windows from what was learned, and from the windows
/// before them.

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/metrics/data_drift.hpp"
#include "anyssr/metrics/inspector_state.hpp"
#include "anyssr/metrics/inspector_sums.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Names that stand for several tasks, with the names under which these learned.
using TaskJoins = std::map<std::string, std::vector<std::string>>;

/// The rows of windows begin..end-1 together.
[[nodiscard]] inline QueryWindow windows_between(const InspectorState& state, std::size_t begin,
                                                 std::size_t end) {
  QueryWindow together;
  for (std::size_t i = begin; i < end; ++i) {
    const QueryWindow& window = state.windows[i];
    together.features = merged_moments(together.features, window.features);
    for (const auto& [task, rows] : window.tasks) together.tasks[task] += rows;
  }
  return together;
}

[[nodiscard]] inline std::size_t first_window_of_now(const InspectorState& state,
                                                     const InspectorOptions& options) {
  const auto now = static_cast<std::size_t>(options.now_windows);
  return state.windows.size() - std::min(now, state.windows.size());
}

/// Moves the rows of a join's parts to the join.
[[nodiscard]] inline std::map<std::string, Index> joined_rows(const TaskJoins& joins,
                                                              std::map<std::string, Index> rows) {
  for (const auto& [name, parts] : joins) {
    Index sum = 0;
    for (const std::string& part : parts) {
      const auto found = rows.find(part);
      if (found == rows.end()) continue;
      sum += found->second;
      rows.erase(found);
    }
    if (sum > 0) rows[name] += sum;
  }
  return rows;
}

/// The learned tasks in the shares that queries have of them. Each task is one stratum, however
/// many names lead to it, so that its error counts as often as its rows do. Queries of no task, or
/// of tasks with fewer than two learned rows, are spread over all tasks.
/// @return empty where no task has two learned rows
[[nodiscard]] inline std::vector<Stratum> learned_strata(
    const InspectorState& state, const TaskJoins& joins,
    const std::map<std::string, Index>& queries) {
  const auto learned = [&](const std::string& task) -> Index {
    const auto found = state.learned.find(task);
    if (found == state.learned.end() || found->second.features.rows < 2) return 0;
    return found->second.features.rows;
  };
  std::vector<std::string> all;
  for (const auto& [task, sums] : state.learned) all.push_back(task);
  std::map<std::string, double> count;  // queries per learned task, in parts
  double total = 0;
  for (const auto& [task, rows] : queries) {
    total += static_cast<double>(rows);
    const auto join = joins.find(task);
    std::vector<std::string> own = join == joins.end() ? std::vector{task} : join->second;
    if (std::none_of(own.begin(), own.end(), learned)) own = all;
    double rows_of_parts = 0;
    for (const std::string& part : own) rows_of_parts += static_cast<double>(learned(part));
    for (const std::string& part : own) {
      if (learned(part) == 0) continue;
      count[part] += static_cast<double>(rows) * static_cast<double>(learned(part)) / rows_of_parts;
    }
  }
  std::vector<Stratum> strata;
  for (const auto& [task, queries_of] : count) {
    strata.push_back({&state.learned.at(task).features, queries_of / total});
  }
  return strata;
}

/// DataInspector::learned_to_now.
[[nodiscard]] inline Drift learned_to_now(const InspectorState& state, const TaskJoins& joins,
                                          const InspectorOptions& options) {
  const QueryWindow now =
      windows_between(state, first_window_of_now(state, options), state.windows.size());
  FeatureMoments all;
  for (const auto& [task, sums] : state.learned) all = merged_moments(all, sums.features);
  Drift drift{.rows_before = all.rows, .rows_now = now.features.rows};
  if (std::min(all.rows, now.features.rows) < options.drift.min_rows) return drift;
  std::vector<Stratum> strata = learned_strata(state, joins, now.tasks);
  if (strata.empty()) strata = {{&all, 1}};
  drift.features = feature_drift(estimated_mean(strata), estimated_mean({{&now.features, 1}}),
                                 static_cast<double>(all.rows + now.features.rows));
  std::map<std::string, Index> chosen = now.tasks;
  chosen.erase("");
  drift.shares =
      share_drift(joined_rows(joins, learned_rows(state)), joined_rows(joins, std::move(chosen)));
  conclude_drift(drift, false, options.drift);
  return drift;
}

/// DataInspector::earlier_to_now.
[[nodiscard]] inline Drift earlier_to_now(const InspectorState& state, const TaskJoins& joins,
                                          const InspectorOptions& options) {
  const std::size_t first = first_window_of_now(state, options);
  const QueryWindow before = windows_between(state, 0, first);
  const QueryWindow now = windows_between(state, first, state.windows.size());
  return drift_between(before.features, joined_rows(joins, before.tasks), now.features,
                       joined_rows(joins, now.tasks), options.drift);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
