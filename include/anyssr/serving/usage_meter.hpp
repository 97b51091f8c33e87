// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Counts how often each task is chosen, while any number of threads predict.

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/router/routing_decision.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// How often a task was chosen, and how surely: whatever became of the query, it counts for the
/// task that scored best. The second task of a blend and the default task of a fallback count
/// nothing.
struct TaskUsage {
  std::uint64_t count = 0;     ///< decisions that chose it
  std::uint64_t answered = 0;  ///< of these routed or blended: its adapter answered
  double confidence_sum = 0;   ///< over `count`
  double last_use = 0;         ///< seconds since 1970, UTC; 0: never
  [[nodiscard]] double mean_confidence() const noexcept {
    return count == 0 ? 0 : confidence_sum / static_cast<double>(count);
  }
};

/// Counts of use by task. Any number of threads may use one.
class UsageMeter {
 public:
  using Counts = std::map<std::string, TaskUsage, std::less<>>;

  UsageMeter() = default;
  explicit UsageMeter(Counts counts) : counts_(std::move(counts)) {}

  void add(std::string_view task, const RoutingDecision& decision, double now) {
    const std::scoped_lock lock(mutex_);
    TaskUsage& usage = at(task);
    ++usage.count;
    const bool answers =
        decision.outcome == RoutingOutcome::routed || decision.outcome == RoutingOutcome::blend;
    usage.answered += answers ? 1 : 0;
    usage.confidence_sum += decision.confidence;
    usage.last_use = std::max(usage.last_use, now);
  }
  [[nodiscard]] Counts counts() const {
    const std::scoped_lock lock(mutex_);
    return counts_;
  }
  /// Adds the use of one name to that of another; also a renaming.
  void join(std::string_view from, std::string_view to) {
    const std::scoped_lock lock(mutex_);
    const auto found = counts_.find(from);
    if (from == to || found == counts_.end()) return;
    const TaskUsage more = found->second;
    counts_.erase(found);
    TaskUsage& usage = at(to);
    usage.count += more.count;
    usage.answered += more.answered;
    usage.confidence_sum += more.confidence_sum;
    usage.last_use = std::max(usage.last_use, more.last_use);
  }
  void erase(std::string_view task) {
    const std::scoped_lock lock(mutex_);
    const auto found = counts_.find(task);
    if (found != counts_.end()) counts_.erase(found);
  }

 private:
  TaskUsage& at(std::string_view task) {
    const auto found = counts_.find(task);
    return found != counts_.end() ? found->second : counts_[std::string(task)];
  }

  mutable std::mutex mutex_;
  Counts counts_;
};

}  // namespace anyssr::inline ANYSSR_ABI
