// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Everything that follows a task while it serves: its adapter, the originals of a merge that
/// waits, its use, its data, its reviews. One verb per event keeps them together.
///
/// A change of a learner has two phases, and so has a verb here: called on a copy of the records,
/// it changes the adapters of the copy and notes what the observers that all snapshots share are to
/// do (it may throw); settle() then has them do it.

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/lora/adapter_handle.hpp"
#include "anyssr/router/routed_task.hpp"
#include "anyssr/serving/data_watch.hpp"
#include "anyssr/serving/review_queue.hpp"
#include "anyssr/serving/usage_meter.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

[[nodiscard]] inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

template <RealScalar S>
struct TaskRecord {
  TaskId id = TaskId::fresh();
  std::shared_ptr<const AdapterHandle<S>> adapter = {};
  std::vector<TaskRecord> parts = {};  ///< two while a merge waits for commit or undo, else none
};

/// Rows of one task that were learned or unlearned, as the data inspector counts them.
struct WatchedRows {
  std::size_t task = 0;  ///< its place
  LearnedSums sums = {};
  Index rows_before = 0;  ///< that the task had
};

/// One record per task, in the order of the router's table. Any number of threads may call the
/// const members of one.
template <RealScalar S, class Input>
class TaskRecords {
 public:
  using Handle = std::shared_ptr<const AdapterHandle<S>>;
  using Handles = AdapterHandles<S>;
  using Originals = MergeOriginals<S>;

  /// @param watch  null where nothing is watched
  explicit TaskRecords(std::shared_ptr<DataWatch> watch) : watch_(std::move(watch)) {}

  /// Of a state.
  /// @throws ArgumentError  where a task that waits for a merge lacks an original
  TaskRecords(const std::vector<RoutedTask>& tasks, const Handles& handles,
              const Originals& originals, UsageMeter::Counts counts,
              std::shared_ptr<DataWatch> watch);

  /// A copy whose observers are its own.
  [[nodiscard]] TaskRecords apart() const;

  [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }
  [[nodiscard]] const TaskRecord<S>& operator[](std::size_t task) const { return records_[task]; }
  [[nodiscard]] Handles handles() const;
  [[nodiscard]] Originals originals(const std::vector<RoutedTask>& tasks) const;
  [[nodiscard]] UsageMeter::Counts usage(const std::vector<RoutedTask>& tasks) const;
  /// Null where nothing is watched.
  [[nodiscard]] DataWatch* watch() const noexcept { return watch_.get(); }

  /// Counts a query for the task that it chose.
  void count(const RoutingDecision& decision) const noexcept {
    usage_->add(records_[static_cast<std::size_t>(decision.task)].id, decision, seconds_now());
  }
  /// Shows queries to the data inspector, where there is one.
  /// @param predictions  one per row, with a `decision` each
  template <class F, class Predictions>
  void observe(const F& features, const Predictions& predictions) const;

  // The events. `task` is the place of a task before the event, as the router's table had it.
  void learned(const std::string& name, Handle adapter, LearnedSums sums);
  void extended(std::size_t task, LearnedSums sums);
  void corrected(std::vector<WatchedRows> unlearned, std::vector<WatchedRows> learned);
  void replaced(std::size_t task, Handle adapter) { records_[task].adapter = std::move(adapter); }
  void renamed(std::size_t task, const std::string& name, const std::string& new_name);
  void removed(std::size_t task);
  /// Two tasks wait as one, in the place of the first.
  void joined(std::size_t first, std::size_t second, const std::string& name, Handle adapter);
  /// A merge stands: use, data and reviews of both parts go on as its own.
  /// @param first_labels  as DataWatch::join
  void committed(std::size_t task, const RoutedTask& merged, Index first_labels);
  /// Both originals are back, the second right after the first. Use and reviews of the merge go on
  /// as those of the first, or of the part whose name it had.
  void undone(std::size_t task, const RoutedTask& merged);

  /// The observers follow what has happened.
  /// @param reviews  null without a queue
  void settle(ReviewQueue<Input>* reviews) {
    const Step step = std::exchange(step_, {});
    if (step) step(reviews);
  }

 private:
  using Step = std::function<void(ReviewQueue<Input>*)>;

  void follow(const TaskRecord<S>& record, const RoutedTask& task, UsageMeter::Counts& counts);
  /// Has settle() do this too, after what was noted before.
  void note(Step step) {
    if (!step_) {
      step_ = std::move(step);
      return;
    }
    step_ = [first = std::move(step_), then = std::move(step)](ReviewQueue<Input>* reviews) {
      first(reviews);
      then(reviews);
    };
  }

  std::vector<TaskRecord<S>> records_;
  std::shared_ptr<UsageMeter> usage_ = std::make_shared<UsageMeter>();  // never null
  std::shared_ptr<DataWatch> watch_;
  Step step_;  // what settle() is to do
};

template <RealScalar S, class Input>
TaskRecords<S, Input>::TaskRecords(const std::vector<RoutedTask>& tasks, const Handles& handles,
                                   const Originals& originals, UsageMeter::Counts counts,
                                   std::shared_ptr<DataWatch> watch)
    : watch_(std::move(watch)) {
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    TaskRecord<S> record{.adapter = handles[t]};
    if (!tasks[t].parts.empty()) {
      const auto found = originals.find(tasks[t].name);
      const std::size_t count = found == originals.end() ? 0 : found->second.size();
      expect(count == tasks[t].parts.size(), "task '", tasks[t].name, "' waits to join ", count,
             " adapters, expected ", tasks[t].parts.size());
      for (const Handle& part : found->second) record.parts.push_back({.adapter = part});
    }
    follow(record, tasks[t], counts);
    records_.push_back(std::move(record));
  }
}

/// @param counts  loses what the task gets: a name may be that of a merge and of its part
template <RealScalar S, class Input>
void TaskRecords<S, Input>::follow(const TaskRecord<S>& record, const RoutedTask& task,
                                   UsageMeter::Counts& counts) {
  usage_->open(record.id, std::exchange(counts[task.name], {}));
  if (watch_) watch_->follow(record.id, task.name);
  for (std::size_t k = 0; k < record.parts.size(); ++k) {
    follow(record.parts[k], task.parts[k], counts);
  }
}

template <RealScalar S, class Input>
TaskRecords<S, Input> TaskRecords<S, Input>::apart() const {
  TaskRecords copy = *this;
  copy.usage_ = std::make_shared<UsageMeter>(*usage_);
  if (watch_) copy.watch_ = std::make_shared<DataWatch>(*watch_);
  return copy;
}

template <RealScalar S, class Input>
AdapterHandles<S> TaskRecords<S, Input>::handles() const {
  Handles handles;
  handles.reserve(records_.size());
  for (const TaskRecord<S>& record : records_) handles.push_back(record.adapter);
  return handles;
}

template <RealScalar S, class Input>
MergeOriginals<S> TaskRecords<S, Input>::originals(const std::vector<RoutedTask>& tasks) const {
  Originals originals;
  for (std::size_t t = 0; t < records_.size(); ++t) {
    for (const TaskRecord<S>& part : records_[t].parts) {
      originals[tasks[t].name].push_back(part.adapter);
    }
  }
  return originals;
}

template <RealScalar S, class Input>
UsageMeter::Counts TaskRecords<S, Input>::usage(const std::vector<RoutedTask>& tasks) const {
  UsageMeter::Counts counts;
  const auto add = [&](const TaskRecord<S>& record, const RoutedTask& task) {
    const TaskUsage usage = usage_->of(record.id);
    if (usage.count > 0) counts[task.name] += usage;
  };
  for (std::size_t t = 0; t < records_.size(); ++t) {
    add(records_[t], tasks[t]);
    for (std::size_t k = 0; k < records_[t].parts.size(); ++k) {
      add(records_[t].parts[k], tasks[t].parts[k]);
    }
  }
  return counts;
}

template <RealScalar S, class Input>
template <class F, class Predictions>
void TaskRecords<S, Input>::observe(const F& features, const Predictions& predictions) const {
  if (!watch_) return;
  std::vector<TaskId> chosen;
  for (const auto& prediction : predictions) {
    chosen.push_back(records_[static_cast<std::size_t>(prediction.decision.task)].id);
  }
  watch_->observe_queries(features, chosen, seconds_now());
}

template <RealScalar S, class Input>
void TaskRecords<S, Input>::learned(const std::string& name, Handle adapter, LearnedSums sums) {
  records_.push_back({.adapter = std::move(adapter)});
  note([usage = usage_, watch = watch_, id = records_.back().id, name,
        sums = std::move(sums)](ReviewQueue<Input>* /*reviews*/) {
    usage->open(id);
    if (!watch) return;
    watch->start(id, name);
    watch->add(id, sums);
  });
}

template <RealScalar S, class Input>
void TaskRecords<S, Input>::extended(std::size_t task, LearnedSums sums) {
  if (!watch_) return;
  note([watch = watch_, id = records_[task].id,
        sums = std::move(sums)](ReviewQueue<Input>* /*reviews*/) { watch->add(id, sums); });
}

template <RealScalar S, class Input>
void TaskRecords<S, Input>::corrected(std::vector<WatchedRows> unlearned,
                                      std::vector<WatchedRows> learned) {
  if (!watch_) return;
  std::vector<TaskId> ids;
  for (const TaskRecord<S>& record : records_) ids.push_back(record.id);
  note([watch = watch_, ids = std::move(ids), unlearned = std::move(unlearned),
        learned = std::move(learned)](ReviewQueue<Input>* /*reviews*/) {
    for (const WatchedRows& rows : unlearned) {
      watch->take(ids[rows.task], rows.sums, rows.rows_before);
    }
    for (const WatchedRows& rows : learned) watch->add(ids[rows.task], rows.sums);
  });
}

template <RealScalar S, class Input>
void TaskRecords<S, Input>::renamed(std::size_t task, const std::string& name,
                                    const std::string& new_name) {
  note([watch = watch_, id = records_[task].id, waits = !records_[task].parts.empty(), name,
        new_name](ReviewQueue<Input>* reviews) {
    if (watch) watch->rename(id, new_name, waits);
    if (reviews && name != new_name) reviews->rename_task(name, new_name);
  });
}

template <RealScalar S, class Input>
void TaskRecords<S, Input>::removed(std::size_t task) {
  note([usage = usage_, watch = watch_, id = records_[task].id](ReviewQueue<Input>* /*reviews*/) {
    usage->close(id);
    if (watch) watch->forget(id);
  });
  records_.erase(records_.begin() + static_cast<std::ptrdiff_t>(task));
}

template <RealScalar S, class Input>
void TaskRecords<S, Input>::joined(std::size_t first, std::size_t second, const std::string& name,
                                   Handle adapter) {
  TaskRecord<S> both{.adapter = std::move(adapter), .parts = {records_[first], records_[second]}};
  note([usage = usage_, watch = watch_, id = both.id, name](ReviewQueue<Input>* /*reviews*/) {
    usage->open(id);
    if (watch) watch->start(id, name);
  });
  records_[first] = std::move(both);
  records_.erase(records_.begin() + static_cast<std::ptrdiff_t>(second));
}

template <RealScalar S, class Input>
void TaskRecords<S, Input>::committed(std::size_t task, const RoutedTask& merged,
                                      Index first_labels) {
  TaskRecord<S>& record = records_[task];
  note([usage = usage_, watch = watch_, record, first_labels, name = merged.name,
        names =
            std::array{merged.parts[0].name, merged.parts[1].name}](ReviewQueue<Input>* reviews) {
    for (const TaskRecord<S>& part : record.parts) usage->move(part.id, record.id);
    if (watch) watch->join(record.parts[0].id, record.parts[1].id, record.id, first_labels);
    for (const std::string& part : names) {
      if (reviews && part != name) reviews->rename_task(part, name);
    }
  });
  record.parts.clear();
}

template <RealScalar S, class Input>
void TaskRecords<S, Input>::undone(std::size_t task, const RoutedTask& merged) {
  const TaskRecord<S> record = records_[task];
  const std::size_t heir = merged.name == merged.parts[1].name ? 1 : 0;
  note([usage = usage_, watch = watch_, record, heir, name = merged.name,
        heir_name = merged.parts[heir].name](ReviewQueue<Input>* reviews) {
    usage->move(record.id, record.parts[heir].id);
    if (watch) watch->split(record.id, record.parts[0].id, record.parts[1].id);
    if (reviews && name != heir_name) reviews->rename_task(name, heir_name);
  });
  records_[task] = record.parts[0];
  records_.insert(records_.begin() + static_cast<std::ptrdiff_t>(task) + 1, record.parts[1]);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
