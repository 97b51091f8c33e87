// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a DataInspector has to say, as plain values and as text for a person.

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/text.hpp"
#include "anyssr/metrics/inspector_state.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Rows as a part of others.
struct LabelShare {
  Index label = 0;
  Index rows = 0;
  double share = 0;  ///< of the task's labelled rows
};
struct TaskShare {
  std::string task = {};  ///< empty: no task was chosen
  Index rows = 0;
  double share = 0;  ///< of the window's rows
};

/// Mean and spread of features in short. All of their coordinates are in the state.
struct FeatureSummary {
  double mean_norm = 0;    ///< mean of |x|, exact
  double norm_spread = 0;  ///< standard deviation of |x|, exact
  double spread = 0;       ///< root of the summed variances of all features; of a sketch, estimated
};

struct InspectedTask {
  std::string task = {};
  Index rows = 0;
  double share = 0;                     ///< of all rows learned
  std::vector<LabelShare> labels = {};  ///< by label
  double evenness = 0;                  ///< entropy of the labels over that of equal shares, 0..1;
                                        ///< 0 with fewer than two labels
  FeatureSummary features = {};
};

struct InspectedWindow {
  double begin = 0;  ///< seconds
  double end = 0;    ///< seconds, not included
  Index rows = 0;
  std::vector<TaskShare> tasks = {};  ///< by name
  FeatureSummary features = {};
};

struct InspectorReport {
  Index learned_rows = 0;
  Index query_rows = 0;                       ///< in the windows
  Index dropped_rows = 0;                     ///< of windows that are no longer kept
  std::vector<InspectedTask> tasks = {};      ///< by name
  std::vector<InspectedWindow> windows = {};  ///< oldest first
  /// From the rows learned, at the tasks' shares of now, to the newest windows. The shares are
  /// reported, but alarm is by the features alone: rows are rarely learned as often as asked.
  Drift learned_to_now = {};
  std::string learned_coordinate = {};  ///< name of its features.coordinate
  /// From all kept windows before to the newest. Features are of all tasks together.
  Drift earlier_to_now = {};
  std::string earlier_coordinate = {};  ///< likewise
  std::vector<BalanceWarning> warnings = {};
  std::vector<GroupGap> groups = {};  ///< by column
};

namespace detail {

[[nodiscard]] inline FeatureSummary summary_of(const FeatureMoments& moments) {
  const Vector<double> variance = moments.variance();
  const Index norm = variance.size() - 1;
  return {.mean_norm = moments.mean(norm),
          .norm_spread = std::sqrt(variance(norm)),
          .spread = std::sqrt(variance.head(norm).sum())};
}

/// Entropy over its largest value, ln(number of labels).
[[nodiscard]] inline double evenness_of(const std::vector<LabelShare>& labels) {
  if (labels.size() < 2) return 0;
  double entropy = 0;
  for (const LabelShare& label : labels) entropy -= label.share * std::log(label.share);
  return std::clamp(entropy / std::log(static_cast<double>(labels.size())), 0.0, 1.0);
}

/// @param all  rows that all tasks learned
[[nodiscard]] inline InspectedTask inspected_task(const std::string& task, const LearnedSums& sums,
                                                  Index all) {
  const auto rows = static_cast<double>(sums.features.rows);
  InspectedTask report{.task = task,
                       .rows = sums.features.rows,
                       .share = rows / static_cast<double>(all),
                       .features = summary_of(sums.features)};
  Index labelled = 0;
  for (const auto& [label, count] : sums.labels) labelled += count;
  for (const auto& [label, count] : sums.labels) {
    report.labels.push_back(
        {label, count, static_cast<double>(count) / static_cast<double>(labelled)});
  }
  report.evenness = evenness_of(report.labels);
  return report;
}

[[nodiscard]] inline InspectedWindow inspected_window(const QueryWindow& window,
                                                      double window_seconds) {
  const auto number = static_cast<double>(window.number);
  const auto rows = static_cast<double>(window.features.rows);
  InspectedWindow report{.begin = number * window_seconds,
                         .end = (number + 1) * window_seconds,
                         .rows = window.features.rows,
                         .features = summary_of(window.features)};
  for (const auto& [task, count] : window.tasks) {
    report.tasks.push_back({task, count, static_cast<double>(count) / rows});
  }
  return report;
}

[[nodiscard]] inline std::string counted_text(Index count, std::string_view what) {
  return concat(count, " ", what, count == 1 ? "" : "s");
}

[[nodiscard]] inline std::string summary_text(const FeatureSummary& features) {
  return concat("norm ", number_text(features.mean_norm), " +- ", number_text(features.norm_spread),
                ", spread ", number_text(features.spread));
}

[[nodiscard]] inline std::string drift_text(const Drift& drift, const std::string& coordinate) {
  const std::string rows = concat(drift.rows_before, " rows before, ", drift.rows_now, " now");
  if (!drift.tested) return concat("not tested (", rows, ")");
  std::string text = concat(drift.alarm ? "ALARM" : "none", " (p ", number_text(drift.p), "; ",
                            rows, "); features: p ", number_text(drift.features.p));
  if (drift.features.coordinate >= 0) {
    text += concat(", ", coordinate, " moved by ", number_text(drift.features.shift),
                   " standard deviations");
  }
  text += "; shares: p " + number_text(drift.shares.p);
  if (drift.shares.distance > 0) {
    text += concat(", '", on_one_line(drift.shares.task), "' from ",
                   percent_text(drift.shares.before), " to ", percent_text(drift.shares.now));
  }
  return text;
}

[[nodiscard]] inline std::string group_text(const GroupGap& gap) {
  std::string text = concat("groups of '", on_one_line(gap.column), "': ");
  if (gap.best.empty() && gap.worst.empty() && gap.left_out.size() == gap.groups.size()) {
    text += "none has enough rows\n";
  } else {
    text += concat("gap ", percent_text(gap.gap), " (p ", number_text(gap.p), "), best '",
                   on_one_line(gap.best), "', worst '", on_one_line(gap.worst), "'\n");
  }
  for (const GroupAccuracy& group : gap.groups) {
    text += concat("  '", on_one_line(group.value), "': ", percent_text(group.accuracy), " of ",
                   counted_text(group.total, "answer"), " right",
                   group.compared ? "" : ", too few to compare", "\n");
  }
  return text;
}

[[nodiscard]] inline std::string task_text(const InspectedTask& task) {
  std::string text = concat("  '", on_one_line(task.task), "': ", counted_text(task.rows, "row"),
                            " (", percent_text(task.share), "), ",
                            counted_text(static_cast<Index>(task.labels.size()), "label"));
  if (task.labels.size() > 1) text += " of evenness " + number_text(task.evenness);
  return concat(text, ", ", summary_text(task.features), "\n");
}

[[nodiscard]] inline std::string window_text(const InspectedWindow& window) {
  std::string text = concat("  ", fixed_text(window.begin, 0), " to ", fixed_text(window.end, 0),
                            " s: ", counted_text(window.rows, "row"));
  for (const TaskShare& task : window.tasks) {
    const std::string name = task.task.empty() ? "no task" : "'" + on_one_line(task.task) + "'";
    text += concat(", ", name, " ", percent_text(task.share));
  }
  return concat(text, ", ", summary_text(window.features), "\n");
}

}  // namespace detail

/// Lines of text, each ended.
[[nodiscard]] inline std::string to_text(const InspectorReport& report) {
  using detail::concat;
  using detail::counted_text;
  std::string text = concat("learned: ", counted_text(report.learned_rows, "row"), " of ",
                            counted_text(static_cast<Index>(report.tasks.size()), "task"), "\n");
  for (const InspectedTask& task : report.tasks) text += detail::task_text(task);
  text += concat("asked: ", counted_text(report.query_rows, "row"), " in ",
                 counted_text(static_cast<Index>(report.windows.size()), "window"), ", ",
                 report.dropped_rows, " older\n");
  for (const InspectedWindow& window : report.windows) text += detail::window_text(window);
  text += concat("drift from learned to now: ",
                 detail::drift_text(report.learned_to_now, report.learned_coordinate), "\n",
                 "drift from earlier to now: ",
                 detail::drift_text(report.earlier_to_now, report.earlier_coordinate), "\n");
  for (const BalanceWarning& warning : report.warnings) text += "warning: " + warning.text + "\n";
  for (const GroupGap& gap : report.groups) text += detail::group_text(gap);
  return text;
}

}  // namespace anyssr::inline ANYSSR_ABI
