// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Counts how often each task is chosen, while any number of threads predict.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "anyssr/router/routing_decision.hpp"
#include "anyssr/serving/task_id.hpp"

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
  TaskUsage& operator+=(const TaskUsage& more) noexcept {
    count += more.count;
    answered += more.answered;
    confidence_sum += more.confidence_sum;
    last_use = std::max(last_use, more.last_use);
    return *this;
  }
};

/// Counts of use by task. Any number of threads may use one. What is counted for a task that has
/// gone, say by an old snapshot, counts for nobody.
class UsageMeter {
 public:
  /// By the name of the task: as counts are shown and saved.
  using Counts = std::map<std::string, TaskUsage, std::less<>>;

  UsageMeter() = default;
  UsageMeter(const UsageMeter& other) : uses_(other.copy()) {}
  UsageMeter& operator=(const UsageMeter& other) = delete;
  ~UsageMeter() = default;

  /// Counts for a task from now on.
  void open(TaskId task, const TaskUsage& before = {}) {
    const std::scoped_lock lock(mutex_);
    uses_.insert_or_assign(task, before);
  }
  void close(TaskId task) noexcept {
    const std::scoped_lock lock(mutex_);
    uses_.erase(task);
  }
  /// Adds the use of one task to that of another, and closes the first.
  void move(TaskId from, TaskId to) noexcept {
    const std::scoped_lock lock(mutex_);
    const auto source = uses_.find(from);
    const auto target = uses_.find(to);
    if (source == uses_.end() || target == uses_.end() || from == to) return;
    target->second += source->second;
    uses_.erase(source);
  }
  void add(TaskId task, const RoutingDecision& decision, double now) noexcept {
    const bool answers =
        decision.outcome == RoutingOutcome::routed || decision.outcome == RoutingOutcome::blend;
    const std::scoped_lock lock(mutex_);
    const auto found = uses_.find(task);
    if (found == uses_.end()) return;
    found->second += {.count = 1,
                      .answered = answers ? 1U : 0U,
                      .confidence_sum = decision.confidence,
                      .last_use = now};
  }
  /// Nothing where the task has gone.
  [[nodiscard]] TaskUsage of(TaskId task) const {
    const std::scoped_lock lock(mutex_);
    const auto found = uses_.find(task);
    return found == uses_.end() ? TaskUsage{} : found->second;
  }

 private:
  [[nodiscard]] std::map<TaskId, TaskUsage> copy() const {
    const std::scoped_lock lock(mutex_);
    return uses_;
  }

  mutable std::mutex mutex_;
  std::map<TaskId, TaskUsage> uses_;  // one entry for each task that is there
};

}  // namespace anyssr::inline ANYSSR_ABI
