// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What is out of balance in rows that are to be learned: labels of a task, and tasks among each
/// other. Shares are of the labelled rows, and of all rows.

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// When a share is worth a warning.
struct BalanceOptions {
  double largest_label_share = 0.6;  ///< above 0 to 1, of a task's labelled rows
  Index fewest_label_rows = 5;       ///< at least 0: a label that occurs has as many
  double largest_task_share = 0.6;   ///< above 0 to 1, of all rows, where there are two tasks
  double smallest_task_share = 0.1;  ///< 0 to 1, of an even share 1/T, where there are two tasks
  Index min_rows = 20;               ///< at least 1: of fewer rows nothing is said
};

enum class BalanceKind { label_share, label_rows, large_task, small_task };

namespace detail {
template <>
inline constexpr BalanceKind last_enumerator<BalanceKind> = BalanceKind::small_task;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(BalanceKind kind) {
  switch (kind) {
    case BalanceKind::label_share:
      return "label_share";
    case BalanceKind::label_rows:
      return "label_rows";
    case BalanceKind::large_task:
      return "large_task";
    case BalanceKind::small_task:
      return "small_task";
  }
  detail::raise_no_enumerator("kind", kind);
}

/// One warning, as data and as a sentence.
struct BalanceWarning {
  BalanceKind kind = BalanceKind::label_share;
  std::string task = {};
  Index label = -1;       ///< -1 where it is about the task as a whole
  Index rows = 0;         ///< of the label or the task
  Index of = 0;           ///< rows that they are a part of
  double share = 0;       ///< rows / of
  double limit = 0;       ///< the share, or for label_rows the count, that was expected
  std::string text = {};  ///< "task 'billing': 72 % of the 500 rows are label 3, expected ..."
};

namespace detail {

inline void expect_balance_options(const BalanceOptions& options) {
  const auto share = [](std::string_view name, double value, bool zero) {
    expect(is_within(value, 0.0, 1.0) && (zero || value > 0), name, " is ", value,
           zero ? ", expected 0 to 1" : ", expected above 0 and at most 1");
  };
  share("largest_label_share", options.largest_label_share, false);
  share("largest_task_share", options.largest_task_share, false);
  share("smallest_task_share", options.smallest_task_share, true);
  expect(options.fewest_label_rows >= 0, "fewest_label_rows is ", options.fewest_label_rows,
         ", expected 0 or more");
  expect(options.min_rows >= 1, "min_rows is ", options.min_rows, ", expected at least 1");
}

/// "72 %", "0.4 %": one digit after the point where it is not 0.
[[nodiscard]] inline std::string percent_text(double share) {
  return concat(std::round(share * 1000) / 10, " %");
}

/// A name on one line of text.
[[nodiscard]] inline std::string on_one_line(std::string_view name) {
  std::string line(name);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  return line;
}

}  // namespace detail

/// Warnings about the labels of one task: by label, a dominating one before the rare ones.
/// @param counts  rows of each label
/// @throws ArgumentError  for options out of range
[[nodiscard]] inline std::vector<BalanceWarning> label_warnings(
    std::string_view task, const std::map<Index, Index>& counts,
    const BalanceOptions& options = {}) {
  detail::expect_balance_options(options);
  Index of = 0;
  for (const auto& [label, rows] : counts) of += rows;
  std::vector<BalanceWarning> warnings;
  if (of < options.min_rows) return warnings;
  const auto add = [&](BalanceKind kind, Index label, Index rows, double limit) {
    const double share = static_cast<double>(rows) / static_cast<double>(of);
    warnings.push_back({kind, std::string(task), label, rows, of, share, limit});
    return detail::concat("task '", detail::on_one_line(task), "': ");
  };
  for (const auto& [label, rows] : counts) {
    const double limit = options.largest_label_share;
    if (static_cast<double>(rows) <= limit * static_cast<double>(of)) continue;
    std::string start = add(BalanceKind::label_share, label, rows, limit);
    warnings.back().text = detail::concat(start, detail::percent_text(warnings.back().share),
                                          " of the ", of, " rows are label ", label,
                                          ", expected at most ", detail::percent_text(limit));
  }
  for (const auto& [label, rows] : counts) {
    if (rows == 0 || rows >= options.fewest_label_rows) continue;
    std::string start =
        add(BalanceKind::label_rows, label, rows, static_cast<double>(options.fewest_label_rows));
    warnings.back().text = detail::concat(start, rows, " of the ", of, " rows are label ", label,
                                          ", expected at least ", options.fewest_label_rows);
  }
  return warnings;
}

/// Warnings about tasks that are large or small beside the others, by name.
/// @param counts  rows of each task
/// @throws ArgumentError  for options out of range
[[nodiscard]] inline std::vector<BalanceWarning> task_warnings(
    const std::map<std::string, Index>& counts, const BalanceOptions& options = {}) {
  detail::expect_balance_options(options);
  Index of = 0;
  for (const auto& [task, rows] : counts) of += rows;
  std::vector<BalanceWarning> warnings;
  if (counts.size() < 2 || of < options.min_rows) return warnings;
  const double smallest = options.smallest_task_share / static_cast<double>(counts.size());
  for (const auto& [task, rows] : counts) {
    const double share = static_cast<double>(rows) / static_cast<double>(of);
    const bool large = share > options.largest_task_share;
    if (!large && share >= smallest) continue;
    const double limit = large ? options.largest_task_share : smallest;
    warnings.push_back(
        {large ? BalanceKind::large_task : BalanceKind::small_task, task, -1, rows, of, share,
         limit,
         detail::concat("task '", detail::on_one_line(task), "': ", rows, " of all the ", of,
                        " rows (", detail::percent_text(share), ") are its own, expected at ",
                        large ? "most " : "least ", detail::percent_text(limit))});
  }
  return warnings;
}

}  // namespace anyssr::inline ANYSSR_ABI
