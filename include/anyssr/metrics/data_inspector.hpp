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

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/metrics/inspector_report.hpp"
#include "anyssr/metrics/inspector_state.hpp"

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
    expect_same_sums(state);
    detail::expect_possible_inspector(state);
    state_ = std::move(state);
    drop_old_windows(state_);
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
    add_labels(labels, sums.labels);
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
    state_.learned.insert_or_assign(task, joined_sums(learned_or_none(task), sums, 0));
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
    LearnedSums left = learned_or_none(task);
    if (left.features.rows < sums.features.rows) return false;
    for (const auto& [label, rows] : sums.labels) {
      const auto found = left.labels.find(label);
      if (found == left.labels.end() || found->second < rows) return false;
      if ((found->second -= rows) == 0) left.labels.erase(found);
    }
    Index labelled = 0;
    for (const auto& [label, rows] : left.labels) labelled += rows;
    left.features = detail::moments_without(left.features, sums.features);
    if (labelled > left.features.rows) return false;
    if (left.features.rows == 0) {
      state_.learned.erase(task);
    } else {
      state_.learned.insert_or_assign(task, std::move(left));
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
    add_window(state_, std::move(window));
    drop_old_windows(state_);
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
    add_groups(state_, batch);
  }

  /// Adds what another inspector saw, as if this one had seen it too.
  /// @throws ArgumentError  where its dim, sketch, seed or window_seconds are others
  void merge(const DataInspector& other) {
    expect_same_sums(other.state_);
    InspectorState both = state_;
    for (const auto& [task, sums] : other.state_.learned) {
      LearnedSums& here = both.learned[task];
      here = joined_sums(here, sums, 0);
    }
    for (const QueryWindow& window : other.state_.windows) add_window(both, window);
    both.dropped_query_rows += other.state_.dropped_query_rows;
    drop_old_windows(both);
    add_groups(both, other.state_.groups);
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
    rename_queries(task, new_name);
  }

  /// The same of the queries that chose it alone.
  void rename_queries(const std::string& task, const std::string& new_name) {
    if (task == new_name) return;
    for (QueryWindow& window : state_.windows) {
      const auto node = window.tasks.extract(task);
      if (node) window.tasks[new_name] += node.mapped();  // a task of that name may be gone
    }
  }

  /// Queries that chose a task go on as those of two, in the shares of the rows that these learned.
  void split_queries(const std::string& task, const std::string& first, const std::string& second) {
    const auto own = static_cast<double>(learned_or_none(first).features.rows);
    const auto other = static_cast<double>(learned_or_none(second).features.rows);
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
    LearnedSums both = joined_sums(learned_or_none(first), learned_or_none(second), first_labels);
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
    std::map<Index, Index> counts = learned_or_none(task).labels;
    add_labels(labels, counts);
    std::map<std::string, Index> rows = learned_rows();
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
    for (BalanceWarning& warning : task_warnings(learned_rows(), options_.balance)) {
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
    const QueryWindow now = windows_between(first_window_of_now(), state_.windows.size());
    FeatureMoments all;
    for (const auto& [task, sums] : state_.learned)
      all = detail::merged_moments(all, sums.features);
    Drift drift{.rows_before = all.rows, .rows_now = now.features.rows};
    if (std::min(all.rows, now.features.rows) < options_.drift.min_rows) return drift;
    std::vector<detail::Stratum> strata = learned_strata(now.tasks);
    if (strata.empty()) strata = {{&all, 1}};
    drift.features = detail::feature_drift(detail::estimated_mean(strata),
                                           detail::estimated_mean({{&now.features, 1}}),
                                           static_cast<double>(all.rows + now.features.rows));
    std::map<std::string, Index> chosen = now.tasks;
    chosen.erase("");
    drift.shares = detail::share_drift(joined(learned_rows()), joined(std::move(chosen)));
    detail::conclude_drift(drift, false, options_.drift);
    return drift;
  }

  /// From all kept windows before to the newest ones: features of all tasks together, and shares.
  [[nodiscard]] Drift earlier_to_now() const {
    const std::size_t first = first_window_of_now();
    const QueryWindow before = windows_between(0, first);
    const QueryWindow now = windows_between(first, state_.windows.size());
    return drift_between(before.features, joined(before.tasks), now.features, joined(now.tasks),
                         options_.drift);
  }

  /// All of the above at once.
  [[nodiscard]] InspectorReport report() const {
    InspectorReport report{.dropped_rows = state_.dropped_query_rows};
    for (const auto& [task, sums] : state_.learned) report.learned_rows += sums.features.rows;
    for (const auto& [task, sums] : state_.learned) {
      report.tasks.push_back(task_report(task, sums, report.learned_rows));
    }
    for (const QueryWindow& window : state_.windows) {
      report.query_rows += window.features.rows;
      report.windows.push_back(window_report(window));
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
  /// Learned tasks in the shares that queries have of them. One stratum a task, however many names
  /// lead to it: an error counts as often as its rows do.
  /// @return empty where no task has two learned rows
  [[nodiscard]] std::vector<detail::Stratum> learned_strata(
      const std::map<std::string, Index>& queries) const {
    const auto learned = [&](const std::string& task) -> Index {
      const auto found = state_.learned.find(task);
      if (found == state_.learned.end() || found->second.features.rows < 2) return 0;
      return found->second.features.rows;
    };
    std::vector<std::string> all;
    for (const auto& [task, sums] : state_.learned) all.push_back(task);
    std::map<std::string, double> count;  // queries by learned task, in parts
    double total = 0;
    for (const auto& [task, rows] : queries) {
      total += static_cast<double>(rows);
      const auto join = joins_.find(task);
      std::vector<std::string> own = join == joins_.end() ? std::vector{task} : join->second;
      if (std::none_of(own.begin(), own.end(), learned)) own = all;
      double learned_rows = 0;
      for (const std::string& part : own) learned_rows += static_cast<double>(learned(part));
      for (const std::string& part : own) {
        if (learned(part) == 0) continue;
        count[part] +=
            static_cast<double>(rows) * static_cast<double>(learned(part)) / learned_rows;
      }
    }
    std::vector<detail::Stratum> strata;
    for (const auto& [task, queries_of] : count) {
      strata.push_back({&state_.learned.at(task).features, queries_of / total});
    }
    return strata;
  }

  /// Rows of the parts of a join as of the join.
  [[nodiscard]] std::map<std::string, Index> joined(std::map<std::string, Index> rows) const {
    for (const auto& [name, parts] : joins_) {
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

  static void add_labels(std::span<const Index> labels, std::map<Index, Index>& counts) {
    for (const Index label : labels) {
      detail::expect(label >= 0 && label <= detail::most_inspected_rows, "labels hold ", label,
                     ", expected 0..", detail::most_inspected_rows);
      ++counts[label];
    }
  }

  static void add_groups(InspectorState& state, const GroupCounts& counts) {
    for (const auto& [column, values] : counts) {
      for (const auto& [value, count] : values) {
        GroupCount& here = state.groups[column][value];
        here.right += count.right;
        here.total += count.total;
      }
    }
  }

  /// Adds a window, or its rows to the one of its number.
  static void add_window(InspectorState& state, QueryWindow window) {
    const auto at = std::lower_bound(
        state.windows.begin(), state.windows.end(), window.number,
        [](const QueryWindow& kept, Index number) { return kept.number < number; });
    if (at == state.windows.end() || at->number != window.number) {
      state.windows.insert(at, std::move(window));
      return;
    }
    for (const auto& [task, rows] : at->tasks) window.tasks[task] += rows;
    window.features = detail::merged_moments(at->features, window.features);
    *at = std::move(window);
  }

  /// The newest of all windows that ever had rows stay: which those are does not depend on the
  /// order in which the rows came.
  void drop_old_windows(InspectorState& state) const {
    const auto count = static_cast<Index>(state.windows.size());
    if (count <= options_.max_windows) return;
    const auto end = state.windows.begin() + (count - options_.max_windows);
    for (auto window = state.windows.begin(); window != end; ++window) {
      state.dropped_query_rows += window->features.rows;
    }
    state.windows.erase(state.windows.begin(), end);
  }

  void expect_same_sums(const InspectorState& state) const {
    const auto expect_same = [](std::string_view name, const auto& came, const auto& here) {
      detail::expect(came == here, name, " of the state is ", came, ", expected ", here);
    };
    expect_same("dim", state.dim, state_.dim);
    expect_same("sketch", state.sketch, state_.sketch);
    expect_same("seed", state.seed, state_.seed);
    expect_same("window_seconds", state.window_seconds, state_.window_seconds);
  }

  [[nodiscard]] Index window_of(double time) const {
    const double number = std::floor(time / options_.window_seconds);
    detail::expect(detail::is_within(number, 0.0, static_cast<double>(detail::most_inspected_rows)),
                   "time is ", time, " s, expected 0 to ",
                   options_.window_seconds * static_cast<double>(detail::most_inspected_rows));
    return static_cast<Index>(number);
  }

  [[nodiscard]] LearnedSums learned_or_none(const std::string& task) const {
    const auto found = state_.learned.find(task);
    return found == state_.learned.end() ? LearnedSums{} : found->second;
  }

  /// @param first_labels  is added to the labels of `more`
  [[nodiscard]] static LearnedSums joined_sums(LearnedSums own, const LearnedSums& more,
                                               Index first_labels) {
    own.features = detail::merged_moments(own.features, more.features);
    for (const auto& [label, rows] : more.labels) own.labels[label + first_labels] += rows;
    return own;
  }

  [[nodiscard]] std::map<std::string, Index> learned_rows() const {
    std::map<std::string, Index> rows;
    for (const auto& [task, sums] : state_.learned) rows[task] = sums.features.rows;
    return rows;
  }

  [[nodiscard]] std::size_t first_window_of_now() const noexcept {
    const auto now = static_cast<std::size_t>(options_.now_windows);
    return state_.windows.size() - std::min(now, state_.windows.size());
  }

  /// The rows of windows begin..end-1 together.
  [[nodiscard]] QueryWindow windows_between(std::size_t begin, std::size_t end) const {
    QueryWindow together;
    for (std::size_t i = begin; i < end; ++i) {
      const QueryWindow& window = state_.windows[i];
      together.features = detail::merged_moments(together.features, window.features);
      for (const auto& [task, rows] : window.tasks) together.tasks[task] += rows;
    }
    return together;
  }

  [[nodiscard]] static InspectedTask task_report(const std::string& task, const LearnedSums& sums,
                                                 Index all) {
    const auto rows = static_cast<double>(sums.features.rows);
    InspectedTask report{.task = task,
                         .rows = sums.features.rows,
                         .share = rows / static_cast<double>(all),
                         .features = detail::summary_of(sums.features)};
    Index labelled = 0;
    for (const auto& [label, count] : sums.labels) labelled += count;
    for (const auto& [label, count] : sums.labels) {
      report.labels.push_back(
          {label, count, static_cast<double>(count) / static_cast<double>(labelled)});
    }
    report.evenness = detail::evenness_of(report.labels);
    return report;
  }

  [[nodiscard]] InspectedWindow window_report(const QueryWindow& window) const {
    const auto number = static_cast<double>(window.number);
    const auto rows = static_cast<double>(window.features.rows);
    InspectedWindow report{.begin = number * options_.window_seconds,
                           .end = (number + 1) * options_.window_seconds,
                           .rows = window.features.rows,
                           .features = detail::summary_of(window.features)};
    for (const auto& [task, count] : window.tasks) {
      report.tasks.push_back({task, count, static_cast<double>(count) / rows});
    }
    return report;
  }

  InspectorOptions options_;
  FeatureSketch sketch_;
  std::map<std::string, std::vector<std::string>> joins_;
  InspectorState state_;  // what expect_possible_inspector asks for, at most max_windows windows
};

}  // namespace anyssr::inline ANYSSR_ABI
