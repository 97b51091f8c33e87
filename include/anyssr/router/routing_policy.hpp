// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What becomes of a query, from what the router says of it:
///
///   fallback   its novelty is above max_novelty: it is of no task
///   review     it has more candidates than max_candidates at the coverage asked for, or its
///              confidence or margin is below what its task asks for
///   blend      unsure, but the two best tasks together are sure: their adapters answer together
///   routed     else
///
/// in this order, and blend before review. The thresholds can be fitted on rows that were kept out
/// of learning (fit_confidence).
/// Source: ours.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/metrics/risk_coverage.hpp"
#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Who answers a query of no task.
enum class FallbackKind : std::uint8_t {
  base_model,    ///< the backbone without an adapter
  default_task,  ///< the adapter of RoutingPolicy::default_task
  caller         ///< ServingHooks::fallback; where none is set, as base_model
};

namespace detail {
template <>
inline constexpr FallbackKind last_enumerator<FallbackKind> = FallbackKind::caller;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(FallbackKind kind) {
  switch (kind) {
    case FallbackKind::base_model:
      return "base_model";
    case FallbackKind::default_task:
      return "default_task";
    case FallbackKind::caller:
      return "caller";
  }
  detail::raise_no_enumerator("fallback", kind);
}

/// What a task asks of a decision for it.
struct TaskThresholds {
  double min_confidence = 0;  ///< 0..1
  double min_margin = 0;      ///< at least 0
};

struct RoutingPolicy {
  std::string name = "default";                                  ///< as the audit log says it
  double min_confidence = 0;                                     ///< 0..1; below: review, or blend
  double min_margin = 0;                                         ///< at least 0, in scores
  double max_novelty = std::numeric_limits<double>::infinity();  ///< above: fallback
  double coverage = 0;             ///< of the candidates, 0..1; 0: candidates decide nothing
  Index max_candidates = 1;        ///< more of them: review
  bool blend = false;              ///< whether the two best may answer together: measure first
                                   ///< whether that helps (README); on tasks alike it did not
  double blend_confidence = 0.95;  ///< 0..1: of both together, for a blend
  FallbackKind fallback = FallbackKind::base_model;
  std::string default_task = {};
  /// Of a task by its name, both in place of min_confidence and min_margin.
  std::map<std::string, TaskThresholds> tasks = {};
};

namespace detail {

inline void expect_share(const char* name, double value) {
  expect(is_within(value, 0.0, 1.0), name, " is ", value, ", expected 0 to 1");
}

}  // namespace detail

/// @throws ArgumentError  a threshold out of range
inline void expect_policy(const RoutingPolicy& policy) {
  detail::expect_share("min_confidence of the policy", policy.min_confidence);
  detail::expect_share("blend_confidence of the policy", policy.blend_confidence);
  detail::expect(detail::is_within(policy.coverage, 0.0, 1.0) && policy.coverage < 1,
                 "coverage of the policy is ", policy.coverage,
                 ", expected 0 (none) or above, below 1");
  detail::expect(policy.min_margin >= 0 && detail::is_finite(policy.min_margin),
                 "min_margin of the policy is ", policy.min_margin,
                 ", expected a finite number, at least 0");
  detail::expect(!detail::is_nan(policy.max_novelty) &&
                     (detail::is_finite(policy.max_novelty) || policy.max_novelty > 0),
                 "max_novelty of the policy is ", policy.max_novelty,
                 ", expected a number, or infinity for none");
  detail::expect(policy.max_candidates >= 1, "max_candidates of the policy is ",
                 policy.max_candidates, ", expected at least 1");
  for (const auto& [task, thresholds] : policy.tasks) {
    detail::expect_share(("min_confidence of task '" + task + "'").c_str(),
                         thresholds.min_confidence);
    detail::expect(thresholds.min_margin >= 0 && detail::is_finite(thresholds.min_margin),
                   "min_margin of task '", task, "' is ", thresholds.min_margin,
                   ", expected a finite number, at least 0");
  }
}

/// The tasks that may be right, best first: those whose score reaches the threshold, never none.
/// @param threshold  RoutingTable::candidate_threshold
[[nodiscard]] inline std::vector<Index> candidates(const RoutingDecision& decision,
                                                   double threshold) {
  std::vector<Index> result{decision.task};
  for (Index t = 0; t < decision.scores.size(); ++t) {
    if (t != decision.task && detail::is_finite(decision.scores(t)) &&
        decision.scores(t) >= threshold)
      result.push_back(t);
  }
  std::sort(result.begin() + 1, result.end(), [&](Index a, Index b) {
    return decision.scores(a) > decision.scores(b) ||
           (decision.scores(a) == decision.scores(b) && a < b);
  });
  return result;
}

/// A policy made ready for one table: thresholds by number of task, the threshold of candidates.
class PolicyTable {
 public:
  PolicyTable() = default;

  /// @throws ArgumentError  a threshold out of range, or novelty asked for that the table does not
  ///         measure;  TaskError  a default task that is unknown or archived, thresholds of a task
  ///         that is unknown
  template <RealScalar S>
  PolicyTable(RoutingPolicy policy, const RoutingTable<S>& table) : policy_(std::move(policy)) {
    expect_policy(policy_);
    detail::expect(
        !detail::is_finite(policy_.max_novelty) || table.meter().mode() != NoveltyMode::none,
        "max_novelty of the policy is ", policy_.max_novelty,
        ", and RouterOptions::novelty measures none");
    if (policy_.coverage > 0 && !table.tasks().empty()) {
      candidate_threshold_ = table.candidate_threshold(policy_.coverage);
    }
    thresholds_.assign(table.tasks().size(), {policy_.min_confidence, policy_.min_margin});
    std::size_t own_thresholds = 0;
    for (std::size_t t = 0; t < table.tasks().size(); ++t) {
      const auto own = policy_.tasks.find(table.tasks()[t].name);
      if (own != policy_.tasks.end()) {
        thresholds_[t] = own->second;
        ++own_thresholds;
      }
      if (table.tasks()[t].name == policy_.default_task && table.tasks()[t].active) {
        default_task_ = static_cast<Index>(t);
      }
    }
    if (own_thresholds < policy_.tasks.size()) refuse_unknown(table.tasks());
    temperature_ = table.temperature();
    if (policy_.fallback == FallbackKind::default_task) {
      // Of a learner without tasks too: else the next task that it learns could not be published.
      detail::expect<TaskError>(default_task_ >= 0, "the default task of the policy is '",
                                policy_.default_task, "', expected an active task");
    }
  }

  [[nodiscard]] const RoutingPolicy& policy() const noexcept { return policy_; }
  /// -1: none.
  [[nodiscard]] Index default_task() const noexcept { return default_task_; }
  [[nodiscard]] double candidate_threshold() const noexcept { return candidate_threshold_; }

  /// Sets decision.outcome.  Allocates nothing.
  void apply(RoutingDecision& decision) const {
    if (decision.novelty && *decision.novelty > policy_.max_novelty) {
      decision.outcome = RoutingOutcome::fallback;
      return;
    }
    const TaskThresholds& least = thresholds_[static_cast<std::size_t>(decision.task)];
    const bool sure =
        decision.confidence >= least.min_confidence &&
        // without a runner-up the margin is the score itself, which may be below 0
        (least.min_margin == 0 || decision.margin >= least.min_margin) &&
        (policy_.coverage <= 0 || candidate_count(decision) <= policy_.max_candidates);
    if (sure) {
      decision.outcome = RoutingOutcome::routed;
    } else if (policy_.blend && decision.runner_up >= 0 &&
               decision.confidence + runner_up_confidence(decision) >= policy_.blend_confidence) {
      decision.outcome = RoutingOutcome::blend;
    } else {
      decision.outcome = RoutingOutcome::review;
    }
  }

  /// Calibrated probability of the second best task.
  [[nodiscard]] double runner_up_confidence(const RoutingDecision& decision) const noexcept {
    if (decision.runner_up < 0) return 0;
    return decision.confidence * std::exp(-temperature_ * decision.margin);
  }

 private:
  /// Thresholds that no task has would protect nothing, and nobody would notice.
  void refuse_unknown(const std::vector<RoutedTask>& tasks) const {
    for (const auto& [name, thresholds] : policy_.tasks) {
      const bool known =
          std::any_of(tasks.begin(), tasks.end(),
                      [&, &named = name](const auto& task) { return task.name == named; });
      detail::expect<TaskError>(known, "the policy has thresholds of task '", name,
                                "', which is unknown: learn it first");
    }
  }

  [[nodiscard]] Index candidate_count(const RoutingDecision& decision) const noexcept {
    Index count = 0;
    for (Index t = 0; t < decision.scores.size(); ++t) {
      const bool in =
          detail::is_finite(decision.scores(t)) && decision.scores(t) >= candidate_threshold_;
      count += in ? 1 : 0;
    }
    return std::max<Index>(1, count);
  }

  RoutingPolicy policy_;
  std::vector<TaskThresholds> thresholds_;  // one a task
  double candidate_threshold_ = std::numeric_limits<double>::lowest();
  double temperature_ = 1;
  Index default_task_ = -1;
};

/// A threshold and what it costs.
struct FittedThreshold {
  double min_confidence = 0;  ///< for RoutingPolicy
  double deferred = 0;        ///< share of the rows below it
  double risk = 0;            ///< share of wrong ones among the others
};

/// The least confidence such that at most a share `max_risk` of what is routed is wrong, on rows
/// that were not learned.
/// @param confidences  0..1, one a row
/// @param correct      1 where the chosen task was right, else 0
/// @param max_risk     0..1
/// @param level        as RiskCoverage::threshold_for_risk: promises the risk beyond these rows
/// @return nothing where even the surest rows are wrong more often
/// @throws ArgumentError, NonFiniteError, ShapeError  as risk_coverage
[[nodiscard]] inline std::optional<FittedThreshold> fit_confidence(
    std::span<const double> confidences, std::span<const std::uint8_t> correct, double max_risk,
    std::optional<double> level = {}) {
  for (const double confidence : confidences) detail::expect_share("a confidence", confidence);
  const auto choice = risk_coverage(confidences, correct).threshold_for_risk(max_risk, level);
  if (!choice) return std::nullopt;
  return FittedThreshold{.min_confidence = choice->point.threshold,
                         .deferred = choice->deferred,
                         .risk = choice->point.risk};
}

/// The novelty that a share `flagged` of known queries exceeds, by rows that were not learned. No
/// foreign query is needed.
/// @param novelties  at least one, finite
/// @param flagged    0..1
[[nodiscard]] inline double fit_novelty(std::span<const double> novelties, double flagged) {
  detail::expect(!novelties.empty(), "novelties are empty, expected at least 1");
  detail::expect(detail::is_within(flagged, 0.0, 1.0), "flagged is ", flagged, ", expected 0 to 1");
  std::vector<double> sorted(novelties.begin(), novelties.end());
  for (const double novelty : sorted) {
    detail::expect<NonFiniteError>(detail::is_finite(novelty), "novelties hold ", novelty,
                                   ", expected finite numbers");
  }
  std::sort(sorted.begin(), sorted.end());
  // As many as may exceed it; rounding of the product must not move that.
  const auto count = static_cast<double>(sorted.size());
  double above = std::floor(flagged * count);
  if ((above + 1) / count <= flagged) above += 1;
  return sorted[sorted.size() - 1 - std::min(sorted.size() - 1, static_cast<std::size_t>(above))];
}

}  // namespace anyssr::inline ANYSSR_ABI
