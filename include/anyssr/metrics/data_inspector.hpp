// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Watches the data beside a router: what was learned, what is asked, and who gets right answers.
/// It keeps counts and sums in double, per task and per window of time, and no row. Batches of any
/// size and in any order lead to the same sums (to rounding of the last digits; counts exactly),
/// and so does the merge of two inspectors.
///
/// Features enter through a FeatureSketch: at most `sketch` coordinates and the norm of a row, so
/// that a task costs about 2 sketch numbers at any width.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/metrics/inspector_drift.hpp"
#include "anyssr/metrics/inspector_report.hpp"
#include "anyssr/metrics/inspector_state.hpp"
#include "anyssr/metrics/inspector_sums.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// An ordinary value; one thread owns it.
class DataInspector {
 public:
  /// @param dim  D, width of the features, at least 1
  /// @throws ArgumentError  for a number out of its range
  explicit DataInspector(Index dim, const InspectorOptions& options = {})
      : options_(options), sketch_(dim, options.sketch, options.seed) {
    detail::expect_inspector_options(options);
    state_.dim = dim;
    state_.sketch = options.sketch;
    state_.seed = options.seed;
    state_.window_seconds = options.window_seconds;
  }

  /// Goes on from a saved state.
  /// @throws ArgumentError, ShapeError, TaskError  where no observations lead to the state, or
  /// where
  ///         options.sketch, seed or window_seconds are others than those of the state
  DataInspector(InspectorState state, const InspectorOptions& options)
      : DataInspector(state.dim, options) {
    detail::expect_same_sums(state, state_);
    detail::expect_possible_inspector(state);
    state_ = std::move(state);
    detail::drop_old_windows(state_, options_.max_windows);
  }

  [[nodiscard]] const InspectorOptions& options() const noexcept { return options_; }
  [[nodiscard]] const InspectorState& state() const noexcept { return state_; }

  /// Bytes in memory.
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t total = detail::bytes_of(state_.groups);
    for (const auto& [task, sums] : state_.learned) total += detail::bytes_of(sums);
    for (const QueryWindow& window : state_.windows) {
      total += detail::bytes_of(window) + detail::node_bytes * window.tasks.size();
    }
    return total;
  }

  /// The sums of rows, for add_learned and take_learned: nothing is counted yet.
  /// @param features  n x D, dense or row-major sparse, float or double
  /// @param labels    labels of 0 and more, at most n; rows beyond them have none
  /// @throws ShapeError, NonFiniteError, ArgumentError
  /// Cost: FeatureSketch::apply.
  template <class X>
  requires(FeatureMatrix<X, float> || FeatureMatrix<X, double>) [[nodiscard]] LearnedSums
      sums_of(const X& features, std::span<const Index> labels = {}) const {
    const Matrix<double> z = sketch_.apply(features);
    detail::expect<ShapeError>(static_cast<Index>(labels.size()) <= z.rows(), "labels have ",
                               labels.size(), " entries, expected at most ", z.rows(),
                               ", one a row");
    LearnedSums sums;
    if (z.rows() == 0) return sums;
    detail::add_labels(labels, sums.labels);
    sums.features = detail::moments_of(z);
    return sums;
  }

  /// Counts rows that a task learns.
  /// @param task    its name; a new one begins
  /// @param sums    of the rows, as sums_of an inspector of these options gave them
  /// @throws TaskError (no name), ShapeError, ArgumentError  before any state changes
  void add_learned(const std::string& task, const LearnedSums& sums) {
    detail::expect<TaskError>(!task.empty(), "a task name is empty, expected a name");
    if (sums.features.rows == 0) return;
    detail::expect_possible_sums(task, sums, sketch_.coordinates());
    state_.learned.insert_or_assign(
        task, detail::joined_sums(detail::learned_or_none(state_, task), sums, 0));
  }

  /// The same by the rows themselves.
  /// @param labels  n labels of 0 and more, or none
  /// @throws as sums_of and add_learned, before any state changes
  template <class X>
  requires(FeatureMatrix<X, float> || FeatureMatrix<X, double>) void observe_learned(
      const std::string& task, const X& features, std::span<const Index> labels = {}) {
    detail::expect<TaskError>(!task.empty(), "a task name is empty, expected a name");
    if (!labels.empty()) detail::expect_count("labels", labels.size(), features.rows());
    add_learned(task, sums_of(features, labels));
  }

  /// Rows that were counted for a task count no longer: what is left is what the others gave, to
  /// rounding.
  /// @return false, and no change, where fewer rows of the task or of one of the labels were
  ///         counted: these were not among them
  /// @throws TaskError (no name), ShapeError, ArgumentError  as add_learned
  bool take_learned(const std::string& task, const LearnedSums& sums) {
    detail::expect<TaskError>(!task.empty(), "a task name is empty, expected a name");
    if (sums.features.rows == 0) return true;
    detail::expect_possible_sums(task, sums, sketch_.coordinates());
    std::optional<LearnedSums> left =
        detail::sums_without(detail::learned_or_none(state_, task), sums);
    if (!left) return false;
    if (left->features.rows == 0) {
      state_.learned.erase(task);
    } else {
      state_.learned.insert_or_assign(task, *std::move(left));
    }
    return true;
  }

  /// Counts queries that came at about one time.
  /// @param features  n x D, dense or row-major sparse, float or double
  /// @param tasks     n names of the tasks chosen; an empty name where none was
  /// @param time      seconds since an epoch of the caller's, 0 or more, in any order. Where more
  ///                  than max_windows windows have rows, those of the oldest are dropped.
  /// @throws ShapeError, NonFiniteError, ArgumentError  before any state changes
  /// Cost: FeatureSketch::apply.
  template <class X>
  requires(FeatureMatrix<X, float> || FeatureMatrix<X, double>) void observe_queries(
      const X& features, std::span<const std::string> tasks, double time) {
    const Index number = window_of(time);
    QueryWindow window{.number = number};
    const Matrix<double> z = sketch_.apply(features);
    detail::expect_count("tasks", tasks.size(), z.rows());
    if (z.rows() == 0) return;
    window.features = detail::moments_of(z);
    for (const std::string& task : tasks) ++window.tasks[task];
    detail::add_window(state_, std::move(window));
    detail::drop_old_windows(state_, options_.max_windows);
  }

  /// Counts answers whose truth is known, by groups of the caller's.
  /// @param groups   for each column its value in each of the n rows: {"region", {"eu", "us", ...}}
  /// @param correct  n flags: 1 where the answer was right, else 0
  /// @throws ArgumentError, ShapeError  before any state changes
  void observe_outcomes(const std::map<std::string, std::vector<std::string>>& groups,
                        std::span<const std::uint8_t> correct) {
    for (std::size_t i = 0; i < correct.size(); ++i) {
      detail::expect(correct[i] <= 1, "correct flag ", i, " is ", int{correct[i]},
                     ", expected 0 (wrong) or 1 (right)");
    }
    GroupCounts batch;
    for (const auto& [column, values] : groups) {
      detail::expect(!column.empty(), "a group column has no name, expected one");
      detail::expect_count("values of group column '" + column + "'", values.size(),
                           static_cast<Index>(correct.size()));
      for (std::size_t i = 0; i < values.size(); ++i) {
        GroupCount& count = batch[column][values[i]];
        count.right += correct[i];
        ++count.total;
      }
    }
    detail::add_groups(state_, batch);
  }

  /// Adds what another inspector saw, as if this one had seen it too.
  /// @throws ArgumentError  where its dim, sketch, seed or window_seconds are others
  void merge(const DataInspector& other) {
    detail::expect_same_sums(other.state_, state_);
    InspectorState both = state_;
    for (const auto& [task, sums] : other.state_.learned) {
      LearnedSums& here = both.learned[task];
      here = detail::joined_sums(here, sums, 0);
    }
    for (const QueryWindow& window : other.state_.windows) detail::add_window(both, window);
    both.dropped_query_rows += other.state_.dropped_query_rows;
    detail::drop_old_windows(both, options_.max_windows);
    detail::add_groups(both, other.state_.groups);
    detail::expect_possible_inspector(both);  // of so many rows that counts would not be exact
    state_ = std::move(both);
  }

  /// What was observed of a task, if anything was, goes on under another name.
  /// @throws TaskError  where a name is empty, or the new one has learned rows of its own
  void rename_task(const std::string& task, const std::string& new_name) {
    detail::expect<TaskError>(!task.empty() && !new_name.empty(),
                              "a task name is empty, expected a name");
    if (task == new_name) return;
    detail::expect<TaskError>(!state_.learned.contains(new_name), "task '", new_name,
                              "' has observations already, expected a new name");
    if (auto node = state_.learned.extract(task)) {
      node.key() = new_name;
      state_.learned.insert(std::move(node));
    }
    detail::rename_queries(state_, task, new_name);
  }

  /// The same of the queries that chose it alone.
  void rename_queries(const std::string& task, const std::string& new_name) {
    detail::rename_queries(state_, task, new_name);
  }

  /// Queries that chose a task go on as those of two, in the shares of the rows that these learned.
  void split_queries(const std::string& task, const std::string& first, const std::string& second) {
    const auto own = static_cast<double>(detail::learned_or_none(state_, first).features.rows);
    const auto other = static_cast<double>(detail::learned_or_none(state_, second).features.rows);
    const double share = own + other > 0 ? own / (own + other) : 0.5;
    for (QueryWindow& window : state_.windows) {
      const auto node = window.tasks.extract(task);
      if (!node) continue;
      const auto rows = static_cast<Index>(std::round(share * static_cast<double>(node.mapped())));
      if (rows > 0) window.tasks[first] += rows;
      if (rows < node.mapped()) window.tasks[second] += node.mapped() - rows;
    }
  }

  /// What was observed of two tasks goes on as of one, also under the name of either.
  /// @param first_labels  the labels 0, 1, ... of the second task count from here on
  /// @throws TaskError  where a name is empty, twice the same, or the new one has rows of its own
  void join_tasks(const std::string& first, const std::string& second, const std::string& name,
                  Index first_labels) {
    detail::expect<TaskError>(!first.empty() && !second.empty() && first != second && !name.empty(),
                              "the tasks to join are '", first, "' and '", second, "' as '", name,
                              "', expected two and a name");
    const bool is_new = name != first && name != second;
    detail::expect<TaskError>(!is_new || !state_.learned.contains(name), "task '", name,
                              "' has observations already, expected a new name");
    LearnedSums both = detail::joined_sums(detail::learned_or_none(state_, first),
                                           detail::learned_or_none(state_, second), first_labels);
    const bool had_rows = state_.learned.erase(first) + state_.learned.erase(second) > 0;
    if (had_rows) state_.learned.insert_or_assign(name, std::move(both));
    for (QueryWindow& window : state_.windows) {
      for (const std::string& task : {first, second}) {
        const auto node = window.tasks.extract(task);
        if (node) window.tasks[name] += node.mapped();
      }
    }
  }

  /// Drops what was learned of a task; queries that were counted stay.
  /// @throws TaskError  for a task that learned nothing here
  void forget_task(const std::string& task) {
    const auto found = state_.learned.find(task);
    detail::expect<TaskError>(found != state_.learned.end(), "task '", task,
                              "' is not known, expected one that was observed");
    state_.learned.erase(found);
  }

  /// What would be out of balance if the task learned rows of these labels, before it does:
  /// nothing is counted. Rows already observed count too.
  /// @param labels  one a row, of 0 and more
  /// @throws TaskError (no name), ArgumentError
  [[nodiscard]] std::vector<BalanceWarning> balance_warnings(const std::string& task,
                                                             std::span<const Index> labels) const {
    detail::expect<TaskError>(!task.empty(), "a task name is empty, expected a name");
    std::map<Index, Index> counts = detail::learned_or_none(state_, task).labels;
    detail::add_labels(labels, counts);
    std::map<std::string, Index> rows = detail::learned_rows(state_);
    rows[task] += static_cast<Index>(labels.size());
    std::vector<BalanceWarning> warnings = label_warnings(task, counts, options_.balance);
    for (BalanceWarning& warning : task_warnings(rows, options_.balance)) {
      if (warning.task == task) warnings.push_back(std::move(warning));
    }
    return warnings;
  }

  /// What is out of balance in all that was learned: by task, then the tasks among each other.
  [[nodiscard]] std::vector<BalanceWarning> balance_warnings() const {
    std::vector<BalanceWarning> warnings;
    for (const auto& [task, sums] : state_.learned) {
      for (BalanceWarning& warning : label_warnings(task, sums.labels, options_.balance)) {
        warnings.push_back(std::move(warning));
      }
    }
    for (BalanceWarning& warning : task_warnings(detail::learned_rows(state_), options_.balance)) {
      warnings.push_back(std::move(warning));
    }
    return warnings;
  }

  /// Accuracy by group, and the gap between the best and the worst.
  [[nodiscard]] std::vector<GroupGap> fairness() const {
    return group_gaps(state_.groups, options_.min_group_rows);
  }

  /// Names that stand for several tasks which were learned under their own: merges that wait. For
  /// drift; not part of the state.
  void set_joins(std::map<std::string, std::vector<std::string>> joins) {
    joins_ = std::move(joins);
  }

  /// From what was learned to the newest windows: features against the tasks' learned features at
  /// the shares of now. Queries of no task, or of one with fewer than two learned rows, are held
  /// against all tasks, each at the share of its learned rows. Alarms by features alone. Routing
  /// itself sorts queries by their features, so each wrong choice moves the means of two tasks a
  /// little: smallest_shift is to be above that.
  [[nodiscard]] Drift learned_to_now() const {
    return detail::learned_to_now(state_, joins_, options_);
  }

  /// From all kept windows before to the newest ones: features of all tasks together, and shares.
  [[nodiscard]] Drift earlier_to_now() const {
    return detail::earlier_to_now(state_, joins_, options_);
  }

  /// All of the above at once.
  [[nodiscard]] InspectorReport report() const {
    InspectorReport report{.dropped_rows = state_.dropped_query_rows};
    for (const auto& [task, sums] : state_.learned) report.learned_rows += sums.features.rows;
    for (const auto& [task, sums] : state_.learned) {
      report.tasks.push_back(detail::inspected_task(task, sums, report.learned_rows));
    }
    for (const QueryWindow& window : state_.windows) {
      report.query_rows += window.features.rows;
      report.windows.push_back(detail::inspected_window(window, options_.window_seconds));
    }
    report.learned_to_now = learned_to_now();
    report.learned_coordinate = sketch_.name_of(report.learned_to_now.features.coordinate);
    report.earlier_to_now = earlier_to_now();
    report.earlier_coordinate = sketch_.name_of(report.earlier_to_now.features.coordinate);
    report.warnings = balance_warnings();
    report.groups = fairness();
    return report;
  }

 private:
  [[nodiscard]] Index window_of(double time) const {
    const double number = std::floor(time / options_.window_seconds);
    detail::expect(detail::is_within(number, 0.0, static_cast<double>(detail::most_inspected_rows)),
                   "time is ", time, " s, expected 0 to ",
                   options_.window_seconds * static_cast<double>(detail::most_inspected_rows));
    return static_cast<Index>(number);
  }

  InspectorOptions options_;
  FeatureSketch sketch_;
  detail::TaskJoins joins_;
  InspectorState state_;  // what expect_possible_inspector asks for, at most max_windows windows
};

}  // namespace anyssr::inline ANYSSR_ABI
