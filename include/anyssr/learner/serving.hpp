// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What predictions do beside answering: the policy's verdict on each query, the count of use, the
/// audit log, the queue of queries that a human decides.

#include <array>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/audit_event.hpp"
#include "anyssr/metrics/data_inspector.hpp"
#include "anyssr/router/review_queue.hpp"
#include "anyssr/router/routing_policy.hpp"

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

/// Whom a learner tells of what it does. All are called from the threads that predict.
template <class Input, class Output>
struct ServingHooks {
  AuditSink audit = {};                              ///< every decision and every change
  std::shared_ptr<ReviewQueue<Input>> reviews = {};  ///< gets what the policy sends to review
  std::function<Output(const Input&, const RoutingDecision&)> fallback =
      {};  ///< answers for FallbackKind::caller
  std::function<std::string(const Input&)> to_bytes =
      {};  ///< a query for the audit log's digest; empty: none is given
};

/// Beside the queries of one call.
struct QueryContext {
  std::span<const std::string> ids = {};  ///< the caller's, one a query, for log and review
};

namespace detail {

[[nodiscard]] inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

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

/// A data inspector that the threads that predict share.
class DataWatch {
 public:
  explicit DataWatch(DataInspector inspector) : inspector_(std::move(inspector)) {}

  template <class X>
  void observe_queries(const X& features, const std::vector<std::string>& tasks) {
    const std::scoped_lock lock(mutex_);
    inspector_.observe_queries(features, tasks, seconds_now());
  }
  /// Of rows that are to be learned or unlearned: refuses what cannot be counted before it is.
  template <class X>
  [[nodiscard]] LearnedSums sums_of(const X& features, std::span<const Index> labels) const {
    return inspector_.sums_of(features, labels);  // reads what never changes: without the lock
  }
  void add(std::string_view task, const LearnedSums& sums) {
    const std::scoped_lock lock(mutex_);
    inspector_.add_learned(std::string(task), sums);
  }
  /// Passed over where not all of the task was watched: the rows may be among the others.
  /// @param rows  that the task has learned
  void take(std::string_view task, const LearnedSums& sums, Index rows) {
    const std::scoped_lock lock(mutex_);
    const auto found = inspector_.state().learned.find(std::string(task));
    if (found == inspector_.state().learned.end() || found->second.features.rows != rows) return;
    (void)inspector_.take_learned(std::string(task), sums);
  }
  /// A task that is gone gives its name to another: the queries that it got are of none.
  void forget_queries(std::string_view task) {
    const std::scoped_lock lock(mutex_);
    inspector_.rename_queries(std::string(task), "");
  }
  void observe_outcomes(const std::map<std::string, std::vector<std::string>>& groups,
                        std::span<const std::uint8_t> correct) {
    const std::scoped_lock lock(mutex_);
    inspector_.observe_outcomes(groups, correct);
  }
  void forget(std::string_view task) {
    const std::scoped_lock lock(mutex_);
    forget_known(std::string(task));
  }
  /// @param waits  for a merge: what was learned stays under the names of its parts
  void rename(std::string_view from, std::string_view to, bool waits) {
    const std::scoped_lock lock(mutex_);
    if (waits) return inspector_.rename_queries(std::string(from), std::string(to));
    if (from != to) forget_known(std::string(to));  // of a task of that name that is gone
    inspector_.rename_task(std::string(from), std::string(to));
  }
  /// A join that is undone: what was learned stayed under the names of its parts.
  void split(std::string_view name, std::string_view first, std::string_view second) {
    const std::scoped_lock lock(mutex_);
    inspector_.split_queries(std::string(name), std::string(first), std::string(second));
  }
  /// Both tasks go on as one; labels of the second follow those of the first.
  /// @param first_labels  how many those are; 0: as many as were observed
  void join(std::string_view first, std::string_view second, std::string_view name,
            Index first_labels) {
    const std::scoped_lock lock(mutex_);
    if (name != first && name != second) forget_known(std::string(name));
    const auto sums = inspector_.state().learned.find(std::string(first));
    if (first_labels == 0 && sums != inspector_.state().learned.end() &&
        !sums->second.labels.empty()) {
      first_labels = sums->second.labels.rbegin()->first + 1;
    }
    inspector_.join_tasks(std::string(first), std::string(second), std::string(name), first_labels);
  }
  [[nodiscard]] DataInspector copy() const {
    const std::scoped_lock lock(mutex_);
    return inspector_;
  }

 private:
  /// Of a merged task nothing was learned under its name.
  void forget_known(const std::string& task) {
    if (inspector_.state().learned.contains(task)) inspector_.forget_task(task);
  }

  mutable std::mutex mutex_;
  DataInspector inspector_;
};

/// The serving side of one snapshot.
template <class Input, class Output>
struct Serving {
  PolicyTable policy;
  ServingHooks<Input, Output> hooks;
  std::shared_ptr<UsageMeter> usage;  // shared by all snapshots of a learner; never null
  std::shared_ptr<DataWatch> watch;   // likewise; null where nothing is watched
  std::uint64_t router_digest = 0;    // where there is an audit sink

  /// What the audit log digests of each query; empty where nothing is logged or asked for.
  [[nodiscard]] std::vector<std::string> bytes_of(std::span<const Input> inputs) const {
    std::vector<std::string> bytes(inputs.size());
    if (!hooks.audit || !hooks.to_bytes) return bytes;
    for (std::size_t i = 0; i < inputs.size(); ++i) bytes[i] = hooks.to_bytes(inputs[i]);
    return bytes;
  }

  /// @param bytes  as bytes_of says
  void account(const std::vector<RoutedTask>& tasks, std::uint64_t generation, const Input& input,
               std::string_view bytes, std::string_view id, const RoutingDecision& decision) const {
    const std::string& task = tasks[static_cast<std::size_t>(decision.task)].name;
    usage->add(task, decision, seconds_now());
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
    if (hooks.audit) log(tasks, generation, bytes, id, decision);
  }

 private:
  void log(const std::vector<RoutedTask>& tasks, std::uint64_t generation, std::string_view bytes,
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
    hooks.audit(RouteEvent{.generation = generation,
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

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
