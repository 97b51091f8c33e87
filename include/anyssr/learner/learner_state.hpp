// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Everything that a learner has learned, as one value.

#include <cstdint>
#include <optional>
#include <vector>

#include "anyssr/learner/task_subspaces.hpp"
#include "anyssr/lora/adapter_handle.hpp"
#include "anyssr/metrics/inspector_state.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "anyssr/router/router_state.hpp"
#include "anyssr/router/routing_policy.hpp"
#include "anyssr/serving/usage_meter.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What a learner has learned; its options and its backbone name the rest. A learner gives it as
/// LearnerStateView, whose sums are the learner's own, and is restored from LearnerState.
template <class Router, class Subspaces, RealScalar S>
struct BasicLearnerState {
  Router router;                   ///< RouterState, or a router
  AdapterHandles<S> handles = {};  ///< one per task
  Subspaces subspaces = {};
  std::uint64_t changes = 0;  ///< changes that led here (Snapshot::changes)
  RoutingPolicy policy = {};
  UsageMeter::Counts usage = {};
  /// Both adapters of each merge that waits for commit or undo, by the name of the merged task.
  MergeOriginals<S> originals = {};
  std::optional<InspectorState> inspector = {};  ///< where the learner watches its data
};

template <RealScalar S>
using LearnerState = BasicLearnerState<RouterState<S>, TaskSubspaces<S>, S>;

/// Valid as long as the learner is, and while nothing changes it.
template <RealScalar S>
using LearnerStateView = BasicLearnerState<const AnalyticRouter<S>&, const TaskSubspaces<S>&, S>;

/// A state of its own, to restore a learner from.  Cost: a copy of the router's sums.
template <RealScalar S>
[[nodiscard]] LearnerState<S> copy_state(const LearnerStateView<S>& view) {
  const RecursiveLeastSquares<S>& sums = view.router.regression();
  return {.router = {.tasks = view.router.tasks(),
                     .regression = {.second_moment = sums.second_moment(),
                                    .cross_correlation = sums.cross_correlation(),
                                    .target_energy = sums.target_energy(),
                                    .rows = sums.rows(),
                                    .bounds = sums.bounds()},
                     .temperature = view.router.table()->temperature(),
                     .removed_rows = view.router.removed_rows(),
                     .label_weight_counts = view.router.label_weight_counts()},
          .handles = view.handles,
          .subspaces = view.subspaces,
          .changes = view.changes,
          .policy = view.policy,
          .usage = view.usage,
          .originals = view.originals,
          .inspector = view.inspector};
}

namespace detail {

/// Handles of every task and, right after it, of the tasks that it is to join.
/// @throws ArgumentError  where one is missing
template <RealScalar S>
[[nodiscard]] AdapterHandles<S> handles_with_parts(const LearnerStateView<S>& state) {
  const std::vector<RoutedTask>& tasks = state.router.tasks();
  AdapterHandles<S> all;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    all.push_back(state.handles[t]);
    if (tasks[t].parts.empty()) continue;
    const auto waiting = state.originals.find(tasks[t].name);
    const std::size_t count = waiting == state.originals.end() ? 0 : waiting->second.size();
    expect(count == 2, "task '", tasks[t].name, "' waits to join ", count, " adapters, expected 2");
    all.insert(all.end(), waiting->second.begin(), waiting->second.end());
  }
  return all;
}

}  // namespace detail

}  // namespace anyssr::inline ANYSSR_ABI
