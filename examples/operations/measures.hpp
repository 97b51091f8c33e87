// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the figures are made of: decisions on questions whose department is known.

#include <anyssr/metrics/calibration.hpp>
#include <anyssr/metrics/confusion.hpp>
#include <anyssr/metrics/ranking.hpp>
#include <anyssr/router/routing_decision.hpp>
#include <string>
#include <vector>

#include "operations/experiment.hpp"

namespace operations {

/// Questions of departments, and what the router says of each.
struct Judged {
  std::vector<std::string> texts;
  std::vector<std::string> ids;
  std::vector<Index> tasks;   ///< the right ones
  std::vector<Index> labels;  ///< likewise, within the task
  std::vector<anyssr::RoutingDecision> decisions;

  void add(const departments::Department& department, const departments::Split& split, Index task);
  [[nodiscard]] std::size_t size() const noexcept { return texts.size(); }
  [[nodiscard]] bool is_right(std::size_t i) const { return decisions[i].task == tasks[i]; }

  [[nodiscard]] std::vector<double> confidences() const;
  [[nodiscard]] std::vector<double> novelties() const;
  /// 1 where the department is right, else 0.
  [[nodiscard]] std::vector<std::uint8_t> correct() const;
  /// Share of right departments among the questions for which `counts(i)` holds.
  template <class Counts>
  [[nodiscard]] double accuracy(const Counts& counts) const {
    Index all = 0;
    Index right = 0;
    for (std::size_t i = 0; i < size(); ++i) {
      if (!counts(i)) continue;
      ++all;
      right += is_right(i) ? 1 : 0;
    }
    return all == 0 ? 0 : static_cast<double>(right) / static_cast<double>(all);
  }
  [[nodiscard]] double accuracy() const {
    return accuracy([](std::size_t) { return true; });
  }
};

/// Whether both say the same of every question: task, outcome, novelty and all scores to the last
/// bit. (The confidence is a sum over the scores, in the order of the learner's tasks.)
[[nodiscard]] bool are_equal(const std::vector<anyssr::RoutingDecision>& left,
                             const std::vector<anyssr::RoutingDecision>& right);

[[nodiscard]] CoverageFigures coverage_of(const Judged& judged, double promised, double threshold);

/// Two tasks that are taken for each other.
struct Pair {
  Index first = 0;
  Index second = 1;
  Index confused = 0;  ///< questions, both ways
};
[[nodiscard]] Pair most_confused_pair(const Judged& judged, Index tasks);

/// The questions of the pair that a person would correct first: those whose right department is
/// furthest behind the other one, or least before it.
[[nodiscard]] std::vector<std::size_t> worth_correcting(const Judged& judged, const Pair& pair,
                                                        std::size_t most);

/// Reliability, risk and coverage of the end.
/// @param outside  novelties of questions of no department
void add_confidence_figures(const Judged& judged, std::vector<double> outside, Results& results);

}  // namespace operations
