// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a decision leaves behind beside its answer: an item for review, an entry in the audit log.

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/audit_event.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/router/routed_task.hpp"
#include "anyssr/router/routing_policy.hpp"
#include "anyssr/serving/serving_hooks.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// The best tasks of a decision, at most `best.size()`, largest first.
/// @return how many there are
inline std::size_t best_tasks(const std::vector<RoutedTask>& tasks, const RoutingDecision& decision,
                              std::span<ScoredTask> best) {
  std::size_t count = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const double score = decision.scores(static_cast<Index>(t));
    if (!is_finite(score)) continue;
    std::size_t place = count < best.size() ? count : best.size();
    while (place > 0 && best[place - 1].score < score) --place;
    if (place >= best.size()) continue;
    count = std::min(count + 1, best.size());
    for (std::size_t k = count - 1; k > place; --k) best[k] = best[k - 1];
    best[place] = {tasks[t].name, score};
  }
  return count;
}

/// The serving side of one snapshot.
template <class Input, class Output>
struct Serving {
  PolicyTable policy;
  ServingHooks<Input, Output> hooks;
  std::uint64_t router_digest = 0;  // where there is an audit sink

  /// What the audit log digests of each query; empty where nothing is logged or asked for.
  [[nodiscard]] std::vector<std::string> bytes_of(std::span<const Input> inputs) const {
    std::vector<std::string> bytes(inputs.size());
    if (!hooks.audit || !hooks.to_bytes) return bytes;
    for (std::size_t i = 0; i < inputs.size(); ++i) bytes[i] = hooks.to_bytes(inputs[i]);
    return bytes;
  }

  /// Tells review queue and audit log of a decision.
  /// @param bytes  as bytes_of says
  void tell(const std::vector<RoutedTask>& tasks, std::uint64_t changes, const Input& input,
            std::string_view bytes, std::string_view id, const RoutingDecision& decision) const {
    const std::string& task = tasks[static_cast<std::size_t>(decision.task)].name;
    if (decision.outcome == RoutingOutcome::review && hooks.reviews) {
      ReviewItem<Input> item{.query = std::string(id),
                             .input = input,
                             .task = task,
                             .confidence = decision.confidence,
                             .margin = decision.margin,
                             .novelty = decision.novelty};
      const double threshold = policy.policy().coverage > 0
                                   ? policy.candidate_threshold()
                                   : decision.scores(std::max(decision.runner_up, Index{0}));
      for (const Index t : candidates(decision, threshold)) {
        item.candidates.push_back(tasks[static_cast<std::size_t>(t)].name);
      }
      hooks.reviews->add(std::move(item));
    }
    if (hooks.audit) log(tasks, changes, bytes, id, decision);
  }

 private:
  void log(const std::vector<RoutedTask>& tasks, std::uint64_t changes, std::string_view bytes,
           std::string_view id, const RoutingDecision& decision) const {
    std::array<ScoredTask, 5> best;
    const std::size_t count = best_tasks(tasks, decision, best);
    const bool is_fallback = decision.outcome == RoutingOutcome::fallback;
    std::string_view task = tasks[static_cast<std::size_t>(decision.task)].name;
    if (is_fallback) {
      const Index other =
          policy.policy().fallback == FallbackKind::default_task ? policy.default_task() : -1;
      task = other < 0 ? std::string_view() : tasks[static_cast<std::size_t>(other)].name;
    }
    hooks.audit(RouteEvent{.changes = changes,
                           .router_digest = router_digest,
                           .query = id,
                           .task = task,
                           .outcome = to_string(decision.outcome),
                           .confidence = decision.confidence,
                           .margin = decision.margin,
                           .novelty = decision.novelty,
                           .top = std::span<const ScoredTask>(best.data(), count),
                           .policy = policy.policy().name,
                           .input = bytes});
  }
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
