// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The life of a learner's tasks after they were learned: archived, frozen, renamed, removed,
/// corrected, merged. Every call changes all or nothing, and the backbone and the adapters of other
/// tasks not at all.

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/learner/corrections.hpp"
#include "anyssr/learner/learner_core.hpp"
#include "anyssr/learner/merge_adapters.hpp"
#include "anyssr/lora/adapter_budget.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Part of ContinualLearner; see there.
template <Backbone B>
class LearnerTasks : public LearnerCore<B> {
 protected:
  using Core = LearnerCore<B>;
  using Core::backbone_, Core::commit, Core::merged_, Core::options_, Core::router_, Core::state_,
      Core::usage_, Core::expect_known, Core::expect_features, Core::labels, Core::tell,
      Core::watch_;
  using typename Core::Handles;

 public:
  using Adaptable = typename Core::Adaptable;
  using Scalar = typename Core::Scalar;
  using Input = typename Core::Input;
  using Target = typename Core::Target;
  using Core::snapshot;

  /// The task is not chosen until restore_task; all it learned stays, its adapter too. A store that
  /// loads adapters on demand has no reason to load it again until then.
  /// @throws TaskError  for an unknown name
  void archive_task(std::string_view name) { set_active(name, false, "archive"); }
  void restore_task(std::string_view name) { set_active(name, true, "restore"); }

  /// A frozen task refuses rows, corrections, another adapter, merges and its removal.
  /// @throws TaskError  for an unknown name
  void freeze_task(std::string_view name, bool frozen = true) {
    expect_known(name);
    const auto before = state_.load();  // a name may stand in its table
    commit(handles(), [&] { router_.set_frozen(name, frozen); });
    tell({.event = frozen ? "freeze" : "unfreeze", .task = name});
  }

  /// @throws TaskError  for an unknown name, or a new one that is empty or taken, or in the policy
  void rename_task(std::string_view old_name, std::string_view new_name) {
    const std::string name(old_name);  // it may stand in a table or map that changes
    expect_known(name);
    if (name != new_name) expect_not_in_policy(name);
    const bool waits = !task_named(name).parts.empty();
    const bool is_part = detail::is_name_held(task_named(name).parts, new_name);
    commit(handles(), [&] {  // what is saved changes at once
      router_.rename(name, new_name);
      rename_merged(name, new_name);
      if (name != new_name && !is_part) this->forget_bearer(new_name);
      usage_->join(name, new_name);
      if (watch_) watch_->rename(name, new_name, waits);
      rename_in_queue(name, new_name);
    });
    tell({.event = "rename", .task = new_name, .source = name});
  }

  /// The task, its columns and its adapter are gone. What its rows added to the second moment stays
  /// (AnalyticRouter::removed_rows): they go on counting as examples of no task.
  /// @throws TaskError  for an unknown name, a frozen task, one that waits for a merge, or one that
  ///         the policy names
  void remove_task(std::string_view name) {
    remove_with(name, [&] { router_.remove(name); });
  }

  /// The same, and its rows are unlearned: the router is the one that never saw them, to round-off.
  /// @param inputs   all rows of the task, in any order;  targets: as they were learned
  /// @throws as above; TaskError for another number of rows; ArgumentError where the sums prove
  ///         that the rows are others
  void remove_task(std::string_view name, std::span<const Input> inputs,
                   std::span<const Target> targets) {
    const RoutedTask task = task_named(name);
    detail::expect<TaskError>(static_cast<Index>(inputs.size()) == task.rows,
                              "the rows to remove task '", name, "' by are ", inputs.size(),
                              ", expected the ", task.rows, " that it learned");
    detail::expect_count("targets", targets.size(), static_cast<Index>(inputs.size()));
    const auto features = backbone_->features(inputs);
    expect_features(features, inputs.size());
    const std::vector<Index> rows =
        task.label_columns.empty() ? std::vector<Index>{} : labels(targets);
    remove_with(name, [&] {
      AnalyticRouter<Scalar> next = router_;
      next.unlearn(name, features, rows);
      next.remove(name);
      router_ = std::move(next);
    });
  }

  /// The same by sums that were kept apart: a router with the options of this one that learned the
  /// task's rows and nothing else.
  void remove_task(std::string_view name, const AnalyticRouter<Scalar>& own) {
    remove_with(name, [&] { router_.remove(name, own); });
  }

  /// Humans say to which tasks queries belong: the router learns them as rows of those tasks, and
  /// forgets them as rows of the wrong ones where they were learned there. Both are exact. No
  /// adapter changes. Many corrections in one call cost one change of the router a task.
  /// @throws TaskError, ArgumentError  an unknown, frozen or merging task, a label that it does not
  ///         have, a task of a balanced router that has all the rows it was declared with
  ///         (TaskOptions::declared_rows); the learner is then as it was
  void correct(std::span<const Correction<Input, Target>> corrections) {
    detail::expect<ShapeError>(!corrections.empty(), "corrections are empty, expected at least 1");
    CorrectedRows learned;
    CorrectedRows unlearned;
    for (const Correction<Input, Target>& correction : corrections) {
      expect_known(correction.right_task);
      check_target(correction);
      add_row(correction.right_task, correction.query, correction.target, learned);
      if (!correction.learned_as) continue;
      const auto& [wrong_task, target] = *correction.learned_as;
      expect_known(wrong_task);
      add_row(wrong_task, correction.query, target, unlearned);
    }
    if (learned.size() == 1 && unlearned.empty()) {  // needs no copy of the router
      const std::string& task = learned.begin()->first;
      TaskRows& rows = learned.begin()->second;
      const auto features = counted_features(rows);
      commit(handles(), [&] {
        (void)router_.extend(task, features, rows.labels);
        watch_corrected(unlearned, learned);
      });
    } else {
      AnalyticRouter<Scalar> next = router_;
      for (auto& [task, rows] : unlearned) {
        next.unlearn(task, counted_features(rows), rows.labels);
      }
      for (auto& [task, rows] : learned) {
        (void)next.extend(task, counted_features(rows), rows.labels);
      }
      commit(handles(), [&] {
        router_ = std::move(next);
        watch_corrected(unlearned, learned);
      });
    }
    for (const Correction<Input, Target>& correction : corrections) {
      tell({.event = "correct",
            .query = correction.id,
            .task = correction.right_task,
            .source = correction.learned_as ? std::string_view(correction.learned_as->first)
                                            : std::string_view(),
            .rows = 1});
    }
  }

  /// The same of one query.
  void correct(const Input& query, std::string_view right_task,
               const std::optional<Target>& target = {},
               const std::optional<std::pair<std::string, Target>>& learned_as = {}) {
    const Correction<Input, Target> correction{.query = query,
                                               .right_task = std::string(right_task),
                                               .target = target,
                                               .learned_as = learned_as};
    correct(std::span(&correction, 1));
  }

  /// Confirms what waits for review: the item leaves the queue, the router stays.
  /// @throws ArgumentError  without a queue (ServingHooks::reviews), or for an unknown request
  ReviewedItem<Input> confirm_review(std::uint64_t request) {
    ReviewedItem<Input> reviewed = queue().confirm(request);
    tell({.event = "confirm", .query = reviewed.item.query, .task = reviewed.task});
    return reviewed;
  }

  /// Corrects what waits for review: the router learns the query as a row of the right task, then
  /// the item leaves the queue.
  /// @throws as correct and confirm_review; the item then goes on waiting
  ReviewedItem<Input> correct_review(std::uint64_t request, std::string_view right_task,
                                     const std::optional<Target>& target = {}) {
    const ReviewItem<Input> item = queue().find(request);
    const Correction<Input, Target> correction{.query = item.input,
                                               .right_task = std::string(right_task),
                                               .target = target,
                                               .id = item.query};
    correct(std::span(&correction, 1));
    (void)queue().drop(request);  // another thread may have resolved it meanwhile
    return {.item = item,
            .task = correction.right_task,
            .is_corrected = correction.right_task != item.task};
  }

  /// The same of many requests at once, in one change.
  /// @param right_tasks  request -> the task that it belongs to
  void correct_reviews(const std::map<std::uint64_t, std::string>& right_tasks) {
    std::vector<Correction<Input, Target>> corrections;
    for (const auto& [request, task] : right_tasks) {
      ReviewItem<Input> item = queue().find(request);
      corrections.push_back(
          {.query = std::move(item.input), .right_task = task, .id = std::move(item.query)});
    }
    correct(corrections);
    for (const auto& [request, task] : right_tasks) (void)queue().drop(request);
  }

  /// Compresses the adapters to a budget of bytes, ranks chosen by singular values across sites and
  /// tasks (lora/adapter_budget.hpp). Frozen tasks and those that wait for a merge stay as they are
  /// and do not count. Heads stay too.
  /// @param lora_bytes  for the modules of all others together
  /// @return bytes, ranks and exact errors by task, in the order of the tasks that took part
  /// @throws ArgumentError  a budget below rank 1 everywhere, or no task that takes part;
  /// FileError,
  ///         FormatError where an adapter cannot be loaded;  the learner is then as it was
  ConsolidationPlan consolidate(std::size_t lora_bytes, const BudgetOptions& budget = {}) {
    const auto now = snapshot();
    std::vector<std::size_t> places;
    std::vector<std::shared_ptr<const Adapter<Scalar>>> held;
    std::vector<const Adapter<Scalar>*> adapters;
    for (std::size_t t = 0; t < now.tasks().size(); ++t) {
      const RoutedTask& task = now.tasks()[t];
      if (task.frozen || !task.parts.empty()) continue;
      places.push_back(t);
      held.push_back(now.handles()[t]->get());
      adapters.push_back(held.back().get());
    }
    const std::span<const Adapter<Scalar>* const> chosen(adapters);
    const ConsolidationPlan plan = plan_ranks<Scalar>(chosen, lora_bytes, budget);
    Consolidation<Scalar> made = anyssr::consolidate<Scalar>(chosen, plan);
    Handles next = now.handles();
    std::uint64_t replaced = 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (made.adapters[i] == *adapters[i]) continue;
      ++replaced;
      next[places[i]] = std::make_shared<const AdapterHandle<Scalar>>(std::move(made.adapters[i]));
    }
    const auto nothing_else = [] {};
    commit(std::move(next), nothing_else, std::max<std::uint64_t>(1, replaced));
    tell({.event = "consolidate", .adapter_bytes = made.report.bytes_after});
    return std::move(made.report);
  }

  /// Two tasks become one in the place of the first, labels of the second after those of the first.
  /// The router joins them exactly; one adapter is made of both. The originals are kept until
  /// commit_merge, and undo_merge brings them back bit for bit.
  /// @param name  of the merged task; may be that of one of both
  /// @throws TaskError, ArgumentError    as RouterTasks::join
  /// @throws ShapeError, ArgumentError   for adapters that cannot become one: sites of two shapes,
  /// a
  ///         first head of other classes than the router has labels of its task
  /// The learner is then as it was.
  MergeReport merge_tasks(std::string_view first, std::string_view second, std::string_view name,
                          const MergeOptions<Input>& merge_options = {}) {
    expect_known(first);
    expect_known(second);
    for (const std::string_view task : {first, second}) {
      if (task != name) expect_not_in_policy(task);
    }
    const auto now = snapshot();
    const auto a = now.adapter(first);
    const auto b = now.adapter(second);
    expect_labels_of_head(task_named(first), *a);
    auto [adapter, report] = merged_adapter<Adaptable>(*backbone_, *a, *b, merge_options);
    Core::check_adapter(*backbone_, adapter);
    AnalyticRouter<Scalar> joined = router_;
    joined.join(first, second, name);
    Handles next = now.handles();
    const auto at_first = static_cast<std::size_t>(*router_.find(first));
    const auto at_second = static_cast<std::size_t>(*router_.find(second));
    auto merged = merged_;
    merged[std::string(name)] = {next[at_first], next[at_second]};
    next[at_first] = std::make_shared<const AdapterHandle<Scalar>>(std::move(adapter));
    next.erase(next.begin() + static_cast<std::ptrdiff_t>(at_second));
    commit(std::move(next), [&] {
      router_ = std::move(joined);
      merged_ = std::move(merged);
      if (name != first && name != second) this->forget_bearer(name);
    });
    tell({.event = "merge_tasks", .task = name, .source = first, .second_source = second});
    return std::move(report);  // a part of a pair: else a copy
  }

  /// The merge stands; both originals are gone, and their counts of use and data are its own.
  /// @throws TaskError  where the task waits for no merge or is frozen;  FileError, FormatError
  ///         where an inspector counts labels, and the first adapter must be loaded and cannot be
  void commit_merge(std::string_view given_name) {
    const std::string name(given_name);  // it may stand in a table or map that changes
    const std::vector<RoutedTask> parts = task_named(name).parts;
    const Index first_labels = watch_ ? labels_of_first(name) : 0;
    commit(handles(), [&] {
      router_.commit_join(name);
      erase_merged(name);
      for (const RoutedTask& part : parts) usage_->join(part.name, name);
      if (watch_) {
        watch_->join(parts[0].name, parts[1].name, name, first_labels);
      }
      for (const RoutedTask& part : parts) rename_in_queue(part.name, name);
    });
    tell(
        {.event = "commit", .task = name, .source = parts[0].name, .second_source = parts[1].name});
  }

  /// Both originals are back, the second right after the first. Use of the merged task goes on
  /// counting as the first one's, or as that of the part whose name it had; the inspector's queries
  /// likewise, but for a name of its own in the shares of the rows that both learned.
  /// @throws TaskError  where the task waits for no merge or is frozen
  void undo_merge(std::string_view given_name) {
    const std::string name(given_name);  // it may stand in a table or map that changes
    const std::vector<RoutedTask> parts = task_named(name).parts;
    const bool is_part = detail::is_name_held(parts, name);
    if (!is_part) expect_not_in_policy(name);
    Handles next = handles();
    AnalyticRouter<Scalar> undone = router_;
    undone.undo_join(name);
    const auto at = next.begin() + static_cast<std::ptrdiff_t>(*router_.find(name));
    const Handles originals = merged_.at(name);
    *at = originals[0];
    next.insert(at + 1, originals[1]);
    commit(std::move(next), [&] {
      router_ = std::move(undone);
      erase_merged(name);
      if (is_part) return;
      usage_->join(name, parts[0].name);
      if (watch_) watch_->split(name, parts[0].name, parts[1].name);
      rename_in_queue(name, parts[0].name);
    });
    tell({.event = "undo", .task = name, .source = parts[0].name, .second_source = parts[1].name});
  }

 protected:
  using Core::Core;

  [[nodiscard]] Handles handles() const { return state_.load()->handles(); }
  [[nodiscard]] const RoutedTask& task_named(std::string_view name) const {
    expect_known(name);
    return router_.tasks()[static_cast<std::size_t>(*router_.find(name))];
  }

 private:
  struct TaskRows {
    std::vector<Input> inputs;
    std::vector<Index> labels;    ///< empty for a task without labels
    std::vector<Index> observed;  ///< for the inspector, as learn_task and extend_task do
    LearnedSums sums;             ///< likewise
    Index known_rows = 0;         ///< of the task before
  };
  using CorrectedRows = std::map<std::string, TaskRows>;

  void check_target(const Correction<Input, Target>& correction) const {
    if constexpr (detail::ChecksTargets<Adaptable>) {
      if (!correction.target) return;
      backbone_->check_targets(std::span<const Target>(&*correction.target, 1),
                               *state_.load()->adapter(correction.right_task));
    }
  }

  /// With its label within the task; where none is given, the task's own best.
  void add_row(const std::string& task, const Input& query, const std::optional<Target>& target,
               CorrectedRows& to) const {
    TaskRows& rows = to[task];
    rows.inputs.push_back(query);
    rows.known_rows = task_named(task).rows;
    const bool labelled = !task_named(task).label_columns.empty();
    std::vector<Index> label;
    if (target && (labelled || !options_.router.label_columns)) {
      label = labels(std::span<const Target>(&*target, 1));
    } else if (labelled) {
      label = {router_.best_label(task, checked_features(std::span(&query, 1)))};
    }
    rows.observed.insert(rows.observed.end(), label.begin(), label.end());
    if (labelled) rows.labels.push_back(label.at(0));
  }

  [[nodiscard]] auto counted_features(TaskRows& rows) const {
    auto features = checked_features(rows.inputs);
    rows.sums = Core::watched_sums(features, rows.observed);
    return features;
  }

  void watch_corrected(const CorrectedRows& unlearned, const CorrectedRows& learned) {
    if (!watch_) return;
    for (const auto& [task, rows] : unlearned) watch_->take(task, rows.sums, rows.known_rows);
    for (const auto& [task, rows] : learned) watch_->add(task, rows.sums);
  }

  [[nodiscard]] auto checked_features(std::span<const Input> inputs) const {
    auto features = backbone_->features(inputs);
    expect_features(features, inputs.size());
    return features;
  }

  void set_active(std::string_view name, bool active, std::string_view event) {
    expect_known(name);
    if (!active) expect_not_default(name);
    const auto before = state_.load();  // a name may stand in its table
    commit(handles(), [&] { router_.set_active(name, active); });
    tell({.event = event, .task = name});
  }

  /// A policy whose default task were gone would fail at the next query.
  void expect_not_default(std::string_view name) const {
    const RoutingPolicy& policy = this->policy();
    detail::expect<TaskError>(
        policy.fallback != FallbackKind::default_task || policy.default_task != name, "task '",
        name, "' is the default task of the policy: set another policy first");
  }

  /// Nor may the thresholds of a name that is gone fall silently to its next bearer, or to nobody.
  void expect_not_in_policy(std::string_view name) const {
    expect_not_default(name);
    detail::expect<TaskError>(
        !this->policy().tasks.contains(std::string(name)), "task '", name,
        "' has thresholds of its own in the policy: set another policy first");
  }

  template <class Remove>
  void remove_with(std::string_view given_name, const Remove& remove) {
    const std::string name(given_name);
    expect_known(name);
    expect_not_in_policy(name);
    const Index rows = task_named(name).rows;
    Handles next = handles();
    next.erase(next.begin() + static_cast<std::ptrdiff_t>(*router_.find(name)));
    commit(std::move(next), [&] {
      remove();
      usage_->erase(name);
      if (watch_) watch_->forget(name);
    });
    tell({.event = "remove", .task = name, .rows = rows});
  }

  /// Classes of a head; 0 where it has none of classes.
  [[nodiscard]] static Index classes_of(const Adapter<Scalar>& adapter) {
    if (!HasLabels<Adaptable> || adapter.heads.empty()) return 0;
    return adapter.heads.begin()->second.out_dim();
  }

  /// Labels of the second task follow those of the first in the router as in the head, or they
  /// would be confused from the merge on.
  static void expect_labels_of_head(const RoutedTask& task, const Adapter<Scalar>& adapter) {
    const Index classes = classes_of(adapter);
    const auto labels = static_cast<Index>(task.label_columns.size());
    detail::expect(classes == 0 || labels == 0 || classes == labels, "task '", task.name,
                   "' has a head of ", classes, " classes and ", labels,
                   " labels in the router, expected as many: extend it by rows of each class, or "
                   "merge it as the second");
  }

  [[nodiscard]] Index labels_of_first(std::string_view merged) const {
    const auto found = merged_.find(merged);
    return found == merged_.end() ? 0 : classes_of(*found->second[0]->get());
  }

  void erase_merged(std::string_view name) noexcept {
    const auto found = merged_.find(name);
    if (found != merged_.end()) merged_.erase(found);
  }
  void rename_merged(std::string_view name, std::string_view new_name) {
    const auto found = merged_.find(name);
    if (found == merged_.end()) return;
    auto node = merged_.extract(found);
    node.key() = new_name;
    merged_.insert(std::move(node));
  }

  void rename_in_queue(std::string_view name, std::string_view new_name) {
    if (name != new_name && this->hooks().reviews) {
      this->hooks().reviews->rename_task(name, new_name);
    }
  }

  [[nodiscard]] ReviewQueue<Input>& queue() const {
    detail::expect(this->hooks().reviews != nullptr,
                   "there is no review queue: set ServingHooks::reviews");
    return *this->hooks().reviews;
  }
};

}  // namespace anyssr::inline ANYSSR_ABI
