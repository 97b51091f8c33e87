// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Options and reports of the learner.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "anyssr/core/progress.hpp"
#include "anyssr/learner/lifted_backbone.hpp"
#include "anyssr/learner/task_subspaces.hpp"
#include "anyssr/metrics/inspector_state.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "anyssr/train/train_adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct LearnerOptions {
  RouterOptions router;
  AdapterOptions adapter{.lora = {.rank = 16, .alpha = 16}};
  TrainOptions train;
  SubspaceChoice subspace = SubspaceChoice::own;
  SubspaceOptions subspace_fit{.rank = 512};  ///< size of a task's subspace at a site
  LiftOptions lift;                           ///< for a plain backbone, which is lifted
  std::optional<InspectorOptions> inspector;  ///< watches what is learned and asked (a query counts
                                              ///< for the task that scored best); none: nothing
  std::uint64_t seed = 0;  ///< with the task's name the seed of its adapter and its training:
                           ///< adapters do not depend on the order of tasks (but for `complement`)
};

/// What belongs to one call.
struct TaskOptions {
  std::map<std::string, std::string> metadata = {};  ///< kept with the adapter
  ProgressCallback progress = {};
  Index declared_rows = 0;  ///< rows that the task will have in all, for RouterOptions::balanced;
                            ///< 0: those of this call
};

/// How a task was learned.
struct TaskReport {
  std::string task = {};
  Index rows = 0;
  double seconds = 0;         ///< in all
  double router_seconds = 0;  ///< of these: sums, factor, solve, calibration
  TrainReport training = {};
  std::map<std::string, SiteSubspace> subspaces = {};  ///< by site
  Index adapter_parameters = 0;
  std::size_t adapter_bytes = 0;
};

/// A task of the learner.
struct TaskSummary {
  std::string name;
  Index rows = 0;    ///< rows that the router learned
  Index labels = 0;  ///< label columns; 0 without
  bool active = true;
  bool frozen = false;
  bool waits_for_commit = false;  ///< made by merge_tasks
  Index adapter_parameters = 0;
  std::size_t adapter_bytes = 0;
  std::map<std::string, std::string> metadata = {};
};

/// Bytes in memory, the backbone excluded; adapters that a store loads on demand count as if all
/// were loaded.
struct StorageReport {
  std::size_t router_bytes = 0;
  std::size_t subspace_bytes = 0;               ///< spans of earlier tasks (choice complement)
  std::vector<std::size_t> adapter_bytes = {};  ///< one a task
  std::size_t waiting_bytes = 0;    ///< adapters of tasks that wait for a merge's commit
  std::size_t inspector_bytes = 0;  ///< 0 without one
  [[nodiscard]] std::size_t total() const noexcept {
    std::size_t sum = router_bytes + subspace_bytes + waiting_bytes + inspector_bytes;
    for (const std::size_t bytes : adapter_bytes) sum += bytes;
    return sum;
  }
};

}  // namespace anyssr::inline ANYSSR_ABI
