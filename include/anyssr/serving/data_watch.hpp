// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A data inspector that follows the tasks of a learner while other threads predict.

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/metrics/data_inspector.hpp"
#include "anyssr/serving/task_id.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// A data inspector that the threads that predict share. It knows tasks by name, so this class
/// keeps the name of each task that is there. Queries of a task that has gone, say by an old
/// snapshot, are filed under no task.
class DataWatch {
 public:
  explicit DataWatch(DataInspector inspector) : inspector_(std::move(inspector)) {}
  DataWatch(const DataWatch& other) : DataWatch(other, std::scoped_lock(other.mutex_)) {}
  DataWatch& operator=(const DataWatch& other) = delete;
  ~DataWatch() = default;

  /// @param tasks  chosen, one per row
  template <class X>
  void observe_queries(const X& features, std::span<const TaskId> tasks, double now) {
    std::vector<std::string> names;
    names.reserve(tasks.size());
    const std::scoped_lock lock(mutex_);
    for (const TaskId task : tasks) {
      const auto found = names_.find(task);
      names.push_back(found == names_.end() ? std::string() : found->second);
    }
    inspector_.observe_queries(features, names, now);
  }
  void observe_outcomes(const std::map<std::string, std::vector<std::string>>& groups,
                        std::span<const std::uint8_t> correct) {
    const std::scoped_lock lock(mutex_);
    inspector_.observe_outcomes(groups, correct);
  }
  /// What rows that are to be learned or unlearned add up to. Refuses what cannot be counted.
  template <class X>
  [[nodiscard]] LearnedSums sums_of(const X& features, std::span<const Index> labels) const {
    return inspector_.sums_of(features, labels);  // reads what never changes: without the lock
  }

  /// A task that was observed before: it comes from a saved state.
  void follow(TaskId task, const std::string& name) {
    const std::scoped_lock lock(mutex_);
    names_.insert_or_assign(task, name);
  }
  /// A new task, or one that a merge joined: old queries of a task that had its name are filed
  /// under none.
  void start(TaskId task, const std::string& name) {
    const std::scoped_lock lock(mutex_);
    free_name(name);
    names_.insert_or_assign(task, name);
  }
  void add(TaskId task, const LearnedSums& sums) {
    const std::scoped_lock lock(mutex_);
    inspector_.add_learned(names_.at(task), sums);
  }
  /// Passed over where not all of the task was watched: the rows may be among the others.
  /// @param rows  that the task has learned
  void take(TaskId task, const LearnedSums& sums, Index rows) {
    const std::scoped_lock lock(mutex_);
    const std::string& name = names_.at(task);
    const auto found = inspector_.state().learned.find(name);
    if (found == inspector_.state().learned.end() || found->second.features.rows != rows) return;
    (void)inspector_.take_learned(name, sums);
  }
  void forget(TaskId task) {
    const std::scoped_lock lock(mutex_);
    const auto found = names_.find(task);
    forget_learned(found->second);
    names_.erase(found);
  }
  /// @param waits  for a merge: what was learned stays under the names of its parts
  void rename(TaskId task, const std::string& new_name, bool waits) {
    const std::scoped_lock lock(mutex_);
    std::string& name = names_.at(task);
    if (name == new_name) return;
    free_name(new_name);
    if (waits) {
      inspector_.rename_queries(name, new_name);
    } else {
      forget_learned(new_name);  // of a task of that name that has gone
      inspector_.rename_task(name, new_name);
    }
    name = new_name;
  }
  /// A merge stands: its parts go on as one; labels of the second follow those of the first.
  /// @param first_labels  how many those are; 0: as many as were observed
  void join(TaskId first, TaskId second, TaskId both, Index first_labels) {
    const std::scoped_lock lock(mutex_);
    const std::string& name = names_.at(both);
    const std::string& a = names_.at(first);
    const std::string& b = names_.at(second);
    if (name != a && name != b) forget_learned(name);
    const auto sums = inspector_.state().learned.find(a);
    if (first_labels == 0 && sums != inspector_.state().learned.end() &&
        !sums->second.labels.empty()) {
      first_labels = sums->second.labels.rbegin()->first + 1;
    }
    inspector_.join_tasks(a, b, name, first_labels);
    names_.erase(first);
    names_.erase(second);
  }
  /// A merge is undone: its queries go to the part whose name it has, else to both in the shares of
  /// the rows that they learned. What was learned stayed under the names of the parts.
  void split(TaskId both, TaskId first, TaskId second) {
    const std::scoped_lock lock(mutex_);
    const auto merged = names_.find(both);
    const std::string& a = names_.at(first);
    const std::string& b = names_.at(second);
    if (merged->second != a && merged->second != b) {
      inspector_.split_queries(merged->second, a, b);
    }
    names_.erase(merged);
  }
  [[nodiscard]] DataInspector copy() const {
    const std::scoped_lock lock(mutex_);
    return inspector_;
  }

 private:
  DataWatch(const DataWatch& other, const std::scoped_lock<std::mutex>& /*of other*/)
      : inspector_(other.inspector_), names_(other.names_) {}

  /// Nothing was learned under the name of a merge that waits.
  void forget_learned(const std::string& name) {
    if (inspector_.state().learned.contains(name)) inspector_.forget_task(name);
  }
  /// Queries of a task that has gone and had this name are filed under none.
  void free_name(const std::string& name) {
    const bool is_borne = std::any_of(names_.begin(), names_.end(),
                                      [&](const auto& entry) { return entry.second == name; });
    if (!is_borne) inspector_.rename_queries(name, "");
  }

  mutable std::mutex mutex_;
  DataInspector inspector_;
  std::map<TaskId, std::string> names_;  // of each task that is there
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
