// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A data inspector that follows the tasks of a learner while other threads predict.

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/metrics/data_inspector.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// A data inspector that the threads that predict share.
class DataWatch {
 public:
  explicit DataWatch(DataInspector inspector) : inspector_(std::move(inspector)) {}

  template <class X>
  void observe_queries(const X& features, const std::vector<std::string>& tasks, double now) {
    const std::scoped_lock lock(mutex_);
    inspector_.observe_queries(features, tasks, now);
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

}  // namespace anyssr::inline ANYSSR_ABI::detail
