// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a DataInspector keeps: sums and counts, never a row. A plain value that can be saved.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/metrics/data_balance.hpp"
#include "anyssr/metrics/data_drift.hpp"
#include "anyssr/metrics/data_groups.hpp"
#include "anyssr/metrics/data_sketch.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct InspectorOptions {
  Index sketch = 64;             ///< coordinates of features at most, 1 to 65536
  std::uint64_t seed = 0;        ///< of the sketch's signs
  double window_seconds = 3600;  ///< length of a time window, > 0
  Index max_windows = 168;       ///< at least 1: older windows of queries are dropped
  Index now_windows = 1;         ///< at least 1: the newest windows with rows are "now"
  DriftOptions drift = {};       ///< when drift alarms
  BalanceOptions balance = {};   ///< when a share is worth a warning
  Index min_group_rows = 30;     ///< at least 1: smaller groups are left out of the gap
};

/// Rows of a task that were learned.
struct LearnedSums {
  FeatureMoments features = {};
  std::map<Index, Index> labels =
      {};  ///< label -> rows, at least 1; rows without a label are in none
};

/// Queries of the time [number, number + 1) * window_seconds.
struct QueryWindow {
  Index number = 0;
  FeatureMoments features = {};
  std::map<std::string, Index> tasks = {};  ///< task -> rows, at least 1; "" where none was chosen
};

struct InspectorState {
  Index dim = 1;                 ///< D of the features
  Index sketch = 64;             ///< as in the options under which the sums were made
  std::uint64_t seed = 0;        ///< likewise
  double window_seconds = 3600;  ///< likewise
  std::map<std::string, LearnedSums> learned = {};
  std::vector<QueryWindow> windows = {};  ///< numbers rising
  Index dropped_query_rows = 0;           ///< of windows that are no longer kept
  GroupCounts groups = {};
};

namespace detail {

/// Bytes in memory of the numbers, and about as many as a map's node takes beside them.
[[nodiscard]] inline std::size_t bytes_of(const FeatureMoments& moments) noexcept {
  return static_cast<std::size_t>(moments.mean.size() + moments.m2.size()) * sizeof(double);
}
inline constexpr std::size_t node_bytes = 64;
[[nodiscard]] inline std::size_t bytes_of(const LearnedSums& sums) noexcept {
  return sizeof(sums) + node_bytes + bytes_of(sums.features) + node_bytes * sums.labels.size();
}
/// Without its tasks, of which each takes a node and its name.
[[nodiscard]] inline std::size_t bytes_of(const QueryWindow& window) noexcept {
  return sizeof(window) + bytes_of(window.features);
}
[[nodiscard]] inline std::size_t bytes_of(const GroupCounts& groups) noexcept {
  std::size_t nodes = groups.size();
  for (const auto& [column, values] : groups) nodes += values.size();
  return node_bytes * nodes;
}

/// Counts up to here are exact in double.
inline constexpr Index most_inspected_rows = Index{1} << 53;
/// Rows that a state may begin with: what is observed after them stays below the above.
inline constexpr Index most_known_rows = Index{1} << 52;

inline void expect_inspector_options(const InspectorOptions& options) {
  expect_positive("window_seconds", options.window_seconds);
  expect(is_finite(options.window_seconds) && options.window_seconds >= 1e-6, "window_seconds is ",
         options.window_seconds, ", expected at least 1e-6: today's window must have a number");
  expect(options.max_windows >= 1, "max_windows is ", options.max_windows, ", expected at least 1");
  expect(options.now_windows >= 1, "now_windows is ", options.now_windows, ", expected at least 1");
  expect(options.min_group_rows >= 1, "min_group_rows is ", options.min_group_rows,
         ", expected at least 1");
  expect_drift_options(options.drift);
  expect_balance_options(options.balance);
}

/// Refuses moments that no rows have.
inline void expect_possible_moments(const std::string& what, const FeatureMoments& moments,
                                    Index coordinates) {
  expect(moments.rows >= 1 && moments.rows <= most_inspected_rows, what, " has ", moments.rows,
         " rows, expected 1..", most_inspected_rows);
  const auto check = [&](std::string_view name, const Vector<double>& numbers, double least,
                         double most) {
    expect<ShapeError>(numbers.size() == coordinates, what, " has ", numbers.size(), " ", name,
                       ", expected ", coordinates, ", one a coordinate");
    for (Index j = 0; j < numbers.size(); ++j) {
      expect(is_within(numbers(j), least, most), what, " holds ", numbers(j), " among ", name,
             ", expected ", least, "..", most);
    }
  };
  // A coordinate adds up the features of a row under signs: more than the norm, if not by much.
  const double largest = 1e6 * largest_norm;
  check("means", moments.mean, -largest, largest);
  check("squared deviations", moments.m2, 0,
        moments.rows == 1 ? 0 : 4 * largest * largest * static_cast<double>(moments.rows));
}

/// Refuses counts that are not those of parts of `most` rows.
template <class Key>
void expect_possible_counts(const std::string& what, const std::map<Key, Index>& counts,
                            Index least, Index most) {
  Index sum = 0;
  for (const auto& [key, count] : counts) {
    expect(count >= 1 && count <= most - sum, what, " counts ", count, " rows for '", key,
           "', expected 1..", most - sum);
    sum += count;
  }
  expect(sum >= least, what, " counts ", sum, " rows, expected ", least);
}

/// Refuses sums that no rows of a task have.
inline void expect_possible_sums(const std::string& task, const LearnedSums& sums,
                                 Index coordinates) {
  const std::string what = "task '" + task + "'";
  expect_possible_moments(what, sums.features, coordinates);
  expect_possible_counts(what, sums.labels, 0, sums.features.rows);
  for (const auto& [label, rows] : sums.labels) {
    expect(label >= 0 && label <= most_inspected_rows, what, " holds label ", label,
           ", expected 0..", most_inspected_rows);
  }
}

/// Refuses a state that no observations lead to.
/// @throws ArgumentError, ShapeError, TaskError
inline void expect_possible_inspector(const InspectorState& state) {
  const Index coordinates = FeatureSketch(state.dim, state.sketch, state.seed).coordinates();
  expect_positive("window_seconds", state.window_seconds);
  Index rows = 0;
  const auto add = [&](Index more) {
    expect(more <= most_known_rows - rows, "the state counts more than ", most_known_rows,
           " rows, expected at most these");
    rows += more;
  };
  for (const auto& [task, sums] : state.learned) {
    expect<TaskError>(!task.empty(), "a task name is empty, expected a name");
    expect_possible_sums(task, sums, coordinates);
    add(sums.features.rows);
  }
  Index before = -1;
  for (const QueryWindow& window : state.windows) {
    const std::string what = "window " + std::to_string(window.number);
    expect(window.number > before && window.number <= most_inspected_rows, what,
           " stands after window ", before, ", expected rising numbers of 0..",
           most_inspected_rows);
    before = window.number;
    expect_possible_moments(what, window.features, coordinates);
    expect_possible_counts(what, window.tasks, window.features.rows, window.features.rows);
    add(window.features.rows);
  }
  expect(state.dropped_query_rows >= 0 && state.dropped_query_rows <= most_inspected_rows,
         "dropped_query_rows is ", state.dropped_query_rows, ", expected 0..", most_inspected_rows);
  add(state.dropped_query_rows);
  for (const auto& [column, values] : state.groups) {
    expect(!column.empty(), "a group column has no name, expected one");
    for (const auto& [value, count] : values) {
      expect(count.total >= 1 && count.total <= most_known_rows && count.right >= 0 &&
                 count.right <= count.total,
             "group '", value, "' of column '", column, "' has ", count.right, " right of ",
             count.total, " answers, expected at least one answer and no more right than answers");
    }
  }
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
