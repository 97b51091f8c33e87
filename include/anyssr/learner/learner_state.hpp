// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Everything that a learner has learned, as one value.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "anyssr/learner/task_subspaces.hpp"
#include "anyssr/lora/adapter_handle.hpp"
#include "anyssr/metrics/inspector_state.hpp"
#include "anyssr/router/router_state.hpp"
#include "anyssr/router/routing_policy.hpp"
#include "anyssr/serving/usage_meter.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Everything that a learner has learned; options and backbone name the rest.
template <RealScalar S>
struct LearnerState {
  RouterState<S> router;
  std::vector<std::shared_ptr<const AdapterHandle<S>>> handles = {};  ///< one a task
  TaskSubspaces<S> subspaces = {};
  std::uint64_t generation = 0;
  RoutingPolicy policy = {};
  UsageMeter::Counts usage = {};
  /// Of the two tasks that a merge joined and that waits for commit or undo, by its name.
  std::map<std::string, std::vector<std::shared_ptr<const AdapterHandle<S>>>, std::less<>> merged =
      {};
  std::optional<InspectorState> inspector = {};  ///< where the learner watches its data
};

}  // namespace anyssr::inline ANYSSR_ABI
