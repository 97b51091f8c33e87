// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Accuracy by group: whether answers are as often right for one group of rows as for another. For
/// groups g of a column with R_g right answers of N_g, r = sum R_g / sum N_g:
///
///   gap = max_g R_g / N_g - min_g R_g / N_g
///   chi^2 = sum_g (R_g - N_g r)^2 / (N_g r (1 - r)),   groups - 1 degrees of freedom
///
/// The gap of many groups is large by chance alone; the p-value of chi^2 is not (approximate where
/// a group expects fewer than 5 right or 5 wrong answers).

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/metrics/tail_probability.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct GroupCount {
  Index right = 0;
  Index total = 0;
  friend bool operator==(const GroupCount&, const GroupCount&) = default;
};

/// Column -> value -> answers.
using GroupCounts = std::map<std::string, std::map<std::string, GroupCount>>;

struct GroupAccuracy {
  std::string value = {};  ///< of the column
  Index right = 0;
  Index total = 0;        ///< at least 1
  double accuracy = 0;    ///< right / total
  bool compared = false;  ///< has enough rows to be in the gap
};

/// The groups of one column.
struct GroupGap {
  std::string column = {};
  std::vector<GroupAccuracy> groups = {};  ///< by value; those left out of the gap among them
  std::string best = {};                   ///< of those compared, the first of equal ones by value
  std::string worst = {};                  ///< likewise
  double gap = 0;                          ///< 0..1; 0 where fewer than two groups are compared
  double p = 1;                            ///< of groups that are all served alike
  std::vector<std::string> left_out = {};  ///< values with fewer than min_rows rows
};

namespace detail {

/// p-value of equal accuracy of the compared groups.
[[nodiscard]] inline double equal_accuracy_p(const std::vector<GroupAccuracy>& groups) {
  double right = 0;
  double total = 0;
  Index compared = 0;
  for (const GroupAccuracy& group : groups) {
    if (!group.compared) continue;
    right += static_cast<double>(group.right);
    total += static_cast<double>(group.total);
    ++compared;
  }
  if (compared < 2 || right == 0 || right == total) return 1;
  const double rate = right / total;
  double chi_square = 0;
  for (const GroupAccuracy& group : groups) {
    if (!group.compared) continue;
    const double expected = static_cast<double>(group.total) * rate;
    const double gap = static_cast<double>(group.right) - expected;
    chi_square += gap * gap / (expected * (1 - rate));
  }
  return chi_square_tail(chi_square, static_cast<double>(compared - 1));
}

}  // namespace detail

/// One entry a column, by name.
/// @param min_rows  at least 1: groups with fewer rows are left out of the gap, and named
/// @throws ArgumentError
/// Cost: O(groups).
[[nodiscard]] inline std::vector<GroupGap> group_gaps(const GroupCounts& counts, Index min_rows) {
  detail::expect(min_rows >= 1, "min_rows is ", min_rows, ", expected at least 1");
  std::vector<GroupGap> gaps;
  for (const auto& [column, values] : counts) {
    GroupGap gap{.column = column};
    double best = -1;
    double worst = 2;
    for (const auto& [value, count] : values) {
      const double accuracy = static_cast<double>(count.right) / static_cast<double>(count.total);
      const bool compared = count.total >= min_rows;
      gap.groups.push_back({value, count.right, count.total, accuracy, compared});
      if (!compared) {
        gap.left_out.push_back(value);
        continue;
      }
      if (accuracy > best) gap.best = value;
      if (accuracy < worst) gap.worst = value;
      best = std::max(best, accuracy);
      worst = std::min(worst, accuracy);
    }
    gap.gap = std::max(0.0, best - worst);
    gap.p = detail::equal_accuracy_p(gap.groups);
    gaps.push_back(std::move(gap));
  }
  return gaps;
}

}  // namespace anyssr::inline ANYSSR_ABI
