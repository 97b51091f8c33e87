// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The learner: a frozen backbone, one adapter per task, and a router that names the task of a
/// query.
///
///   learn_task(name, inputs, targets):  features -> adapter trained in the task's subspace
///                                       features -> router sums, exactly as joint training
///   predict(inputs):                    features -> router -> adapter of the task -> answer
///
/// Learning a task changes no bit of the backbone and of the adapters of earlier tasks. The class
/// stands here; the bodies of its members are in the continual_learner_*.hpp of this folder, by
/// theme.
/// Source: Any-SSR, arXiv 2503.13575.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/learner/corrections.hpp"
#include "anyssr/learner/learner_options.hpp"
#include "anyssr/learner/learner_state.hpp"
#include "anyssr/learner/merge_adapters.hpp"
#include "anyssr/learner/published.hpp"
#include "anyssr/learner/query_explanation.hpp"
#include "anyssr/learner/snapshot.hpp"
#include "anyssr/lora/adapter_budget.hpp"
#include "anyssr/lora/optional_members.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// B itself where adapters attach to it, else B with a lifted layer on top.
template <class B>
struct AdaptableOf {
  using type = LiftedBackbone<B>;
  static type make(B backbone, const LiftOptions& options) {
    return type(std::move(backbone), options);
  }
};
template <AdaptableBackbone B>
struct AdaptableOf<B> {
  using type = B;
  static type make(B backbone, const LiftOptions& /*options*/) { return backbone; }
};

}  // namespace detail

/// One thread changes a learner at a time; any number of threads predict meanwhile, and one may
/// save it (while_unchanged).
///
/// Every change has two phases: the first trains, checks, expands and allocates, may throw or be
/// cancelled, and changes nothing; the second accumulates, factors, calibrates and publishes. Where
/// the factorisation fails, the router's sums come back if RouterOptions::rollback_copy is set;
/// else is_poisoned() holds, further learning is refused, and the last snapshot goes on serving.
template <Backbone B>
class ContinualLearner {
 public:
  using Base = B;
  using Adaptable = typename detail::AdaptableOf<B>::type;
  using Scalar = typename Adaptable::Scalar;
  using Input = typename Adaptable::Input;
  using Target = typename Adaptable::Target;
  using Output = typename Adaptable::Output;
  using PredictOptions = typename Adaptable::PredictOptions;
  using Hooks = ServingHooks<Input, Output>;
  using Handles = AdapterHandles<Scalar>;

  /// Takes the backbone and freezes it: nothing writes to it from here on.
  /// @throws ArgumentError  for an option out of range
  explicit ContinualLearner(B backbone, const LearnerOptions& options = {});
  /// A copy counts its use and watches its data for itself.
  ContinualLearner(const ContinualLearner& other);
  // NOLINTNEXTLINE(performance-noexcept-move-constructor): a member decides
  ContinualLearner(ContinualLearner&&) = default;
  ContinualLearner& operator=(const ContinualLearner& other);
  // NOLINTNEXTLINE(performance-noexcept-move-constructor): a member decides
  ContinualLearner& operator=(ContinualLearner&&) = default;
  ~ContinualLearner() = default;

  /// Goes on from a state, as if it had been learned here: sums and adapters are the same bits.
  /// @throws ArgumentError for an option out of range; ShapeError, NonFiniteError, TaskError,
  ///         ArgumentError, NumericalError  for a state that does not fit options and backbone
  ///         (adapters in memory are checked, others are not), or that no learning leads to
  [[nodiscard]] static ContinualLearner restore(B backbone, const LearnerOptions& options,
                                                LearnerState<Scalar> state);
  /// The same of a state that can only be made once the backbone is ready.
  /// @param make_state  gets the backbone, std::shared_ptr<const Adaptable>, and gives the
  ///                    LearnerState<Scalar>; what it throws comes through
  template <class MakeState>
  [[nodiscard]] static ContinualLearner restore(B backbone, const LearnerOptions& options,
                                                const MakeState& make_state);

  /// All that was learned: what restore takes, but that the sums are the learner's own. A view: it
  /// is valid while nothing changes the learner (while_unchanged).
  [[nodiscard]] LearnerStateView<Scalar> state() const;

  // Learning. Defined in continual_learner_learning.hpp.

  /// Learns a new task.
  /// @param inputs   at least 1 query. One row, or rows of one class, make a task like any other:
  ///                 its router learns them, its adapter answers what there is to answer
  /// @param targets  one per input
  /// @throws TaskError  the name is empty or known; what backbone, training and router throw. The
  ///         learner is then as it was.
  TaskReport learn_task(std::string_view name, std::span<const Input> inputs,
                        std::span<const Target> targets, const TaskOptions& task_options = {});

  /// More rows for a known task: the router learns them exactly; the adapter stays as it is
  /// (replace_adapter brings a retrained one).
  /// @throws TaskError  for an unknown name; ArgumentError for targets that the adapter cannot
  ///         answer
  void extend_task(std::string_view name, std::span<const Input> inputs,
                   std::span<const Target> targets, const TaskOptions& task_options = {});

  /// Takes an adapter that was trained elsewhere; only the router learns, from a few example
  /// inputs.
  /// @throws TaskError      the name is empty or known
  /// @throws ShapeError     a module or head does not fit the backbone
  /// @throws ArgumentError  a site or head that the backbone does not have
  void adopt_task(std::string_view name, Adapter<Scalar> adapter, std::span<const Input> inputs,
                  const TaskOptions& task_options = {});

  /// Puts another adapter in a task's place; the router does not change.
  /// @throws TaskError  for an unknown or frozen task, or one that waits for a merge
  void replace_adapter(std::string_view name, Adapter<Scalar> adapter);

  /// Refuses an adapter that the backbone cannot answer under.
  /// @throws NonFiniteError; ArgumentError for a site or head that the backbone does not have;
  ///         ShapeError for one of another shape
  static void check_adapter(const Adaptable& backbone, const Adapter<Scalar>& adapter);

  // The life of tasks. Every call changes all or nothing. Defined in continual_learner_tasks.hpp.

  /// The task is not chosen until restore_task; all it learned stays, its adapter too. A store that
  /// loads adapters on demand has no reason to load it again until then.
  /// @throws TaskError  for an unknown name
  void archive_task(std::string_view name) { set_active(name, false, "archive"); }
  void restore_task(std::string_view name) { set_active(name, true, "restore"); }

  /// A frozen task refuses rows, corrections, another adapter, merges and its removal.
  /// @throws TaskError  for an unknown name
  void freeze_task(std::string_view name, bool frozen = true);

  /// @throws TaskError  for an unknown name, or a new one that is empty or taken, or in the policy
  void rename_task(std::string_view old_name, std::string_view new_name);

  /// The task, its columns and its adapter are gone. What its rows added to the second moment stays
  /// (AnalyticRouter::removed_rows): they go on counting as examples of no task.
  /// @throws TaskError  for an unknown name, a frozen task, one that waits for a merge, or one that
  ///         the policy names
  void remove_task(std::string_view name);

  /// The same, and its rows are unlearned: the router is the one that never saw them, to round-off.
  /// @param inputs   all rows of the task, in any order;  targets: as they were learned
  /// @throws as above; TaskError for another number of rows; ArgumentError where the sums prove
  ///         that the rows are others
  void remove_task(std::string_view name, std::span<const Input> inputs,
                   std::span<const Target> targets);

  /// The same by sums that were kept apart: a router with the options of this one that learned the
  /// task's rows and nothing else.
  void remove_task(std::string_view name, const AnalyticRouter<Scalar>& own);

  // Corrections. Defined in continual_learner_corrections.hpp.

  /// Humans say to which tasks queries belong: the router learns them as rows of those tasks, and
  /// forgets them as rows of the wrong ones where they were learned there. Both are exact. No
  /// adapter changes. Many corrections in one call cost one change of the router per task.
  /// @throws TaskError, ArgumentError  an unknown, frozen or merging task, a label that it does not
  ///         have, a task of a balanced router that has all the rows it was declared with
  ///         (TaskOptions::declared_rows); the learner is then as it was
  void correct(std::span<const Correction<Input, Target>> corrections);

  /// The same of one query.
  void correct(const Input& query, std::string_view right_task,
               const std::optional<Target>& target = {},
               const std::optional<std::pair<std::string, Target>>& learned_as = {});

  /// Confirms what waits for review: the item leaves the queue, the router stays.
  /// @throws ArgumentError  without a queue (ServingHooks::reviews), or for an unknown request
  ReviewedItem<Input> confirm_review(std::uint64_t request);

  /// Corrects what waits for review: the router learns the query as a row of the right task, then
  /// the item leaves the queue.
  /// @throws as correct and confirm_review; the item then goes on waiting
  ReviewedItem<Input> correct_review(std::uint64_t request, std::string_view right_task,
                                     const std::optional<Target>& target = {});

  /// The same of many requests at once, in one change.
  /// @param right_tasks  request -> the task that it belongs to
  void correct_reviews(const std::map<std::uint64_t, std::string>& right_tasks);

  // Adapters and routers together. Defined in continual_learner_merges.hpp.

  /// Compresses the adapters to a budget of bytes, ranks chosen by singular values across sites and
  /// tasks (lora/adapter_budget.hpp). Frozen tasks and those that wait for a merge stay as they are
  /// and do not count. Heads stay too.
  /// @param lora_bytes  for the modules of all others together
  /// @return bytes, ranks and exact errors by task, in the order of the tasks that took part
  /// @throws ArgumentError  a budget below rank 1 everywhere, or no task that takes part;
  ///         FileError, FormatError where an adapter cannot be loaded;  the learner is then as it
  ///         was
  ConsolidationPlan consolidate(std::size_t lora_bytes, const BudgetOptions& budget = {});

  /// Two tasks become one in the place of the first, labels of the second after those of the first.
  /// The router joins them exactly; one adapter is made of both. The originals are kept until
  /// commit_merge, and undo_merge brings them back bit for bit.
  /// @param name  of the merged task; may be that of one of both
  /// @throws TaskError, ArgumentError    as AnalyticRouter::join
  /// @throws ShapeError, ArgumentError   for adapters that cannot become one: sites of two shapes,
  ///         a first head of other classes than the router has labels of its task
  /// The learner is then as it was.
  MergeReport merge_tasks(std::string_view first, std::string_view second, std::string_view name,
                          const MergeOptions<Input>& merge_options = {});

  /// The merge stands; both originals are gone, and their counts of use and data are its own.
  /// @throws TaskError  where the task waits for no merge or is frozen;  FileError, FormatError
  ///         where an inspector counts labels, and the first adapter must be loaded and cannot be
  void commit_merge(std::string_view name);

  /// Both originals are back, the second right after the first. Use of the merged task goes on
  /// counting as the first one's, or as that of the part whose name it had; the inspector's queries
  /// likewise, but for a name of its own in the shares of the rows that both learned.
  /// @throws TaskError  where the task waits for no merge or is frozen
  void undo_merge(std::string_view name);

  /// Both adapters of each task that waits for commit_merge or undo_merge, by the task's name.
  [[nodiscard]] MergeOriginals<Scalar> merged() const;

  /// The router learns what another one learned, as if its rows had come here: that of a learner on
  /// another machine, say. Tasks of one name become one, and their labels count as the same.
  /// @param adapters  of the tasks that this learner does not know, by name
  /// @throws ArgumentError, TaskError  as AnalyticRouter::merge; ArgumentError for a new task
  ///         without an adapter, or an adapter of no new task; what check_adapter throws. The
  ///         learner is then as it was.
  void absorb_router(const AnalyticRouter<Scalar>& other,
                     std::map<std::string, Adapter<Scalar>> adapters = {});

  /// Another ridge of the router, as if it had been used from the start; needs no data.
  /// @throws ArgumentError, NumericalError  as AnalyticRouter::set_ridge; the learner is then as it
  ///         was
  void set_ridge(double ridge);
  /// Generalised cross-validation from the router's sums alone, which set_ridge takes the choice
  /// of (AnalyticRouter::select_ridge).
  [[nodiscard]] RidgeSelection select_ridge() const { return router_.select_ridge(); }
  [[nodiscard]] RidgeSelection select_ridge(std::span<const double> ridges) const {
    return router_.select_ridge(ridges);
  }

  // Serving. Defined in continual_learner_serving.hpp.

  /// The state of this moment, for threads that predict.
  [[nodiscard]] Snapshot<Adaptable> snapshot() const { return *published_.load(); }

  /// Routes every query and answers it as the policy says (Snapshot::predict).
  [[nodiscard]] std::vector<Prediction<Output>> predict(std::span<const Input> inputs,
                                                        const PredictOptions& predict_options = {},
                                                        const QueryContext& context = {}) const;

  /// Answers under the adapter of a named task, without routing.
  [[nodiscard]] std::vector<Output> predict_as(std::string_view task, std::span<const Input> inputs,
                                               const PredictOptions& predict_options = {}) const;

  /// Why a query goes where it goes: rival tasks, margins, and what pushes towards each.
  [[nodiscard]] QueryExplanation explain(const Input& query, Index rivals = 2,
                                         Index pushes = 10) const;

  /// What becomes of queries from now on.
  /// @throws ArgumentError, TaskError  as PolicyTable; the policy of before stays
  void set_policy(RoutingPolicy policy);
  [[nodiscard]] const RoutingPolicy& policy() const noexcept { return policy_; }

  /// Whom predictions and changes tell from now on. Hooks are not part of a saved state.
  void set_hooks(Hooks hooks) { republish_with(hooks_, std::move(hooks)); }
  [[nodiscard]] const Hooks& hooks() const noexcept { return hooks_; }

  /// Use by task since the learner was made, across saves.
  [[nodiscard]] UsageMeter::Counts usage() const;

  /// What the learner saw of its data, where LearnerOptions::inspector is set.
  [[nodiscard]] std::optional<DataInspector> inspector() const;

  /// Right and wrong answers by groups of users or queries, for the inspector.
  /// @param groups   column of the caller's -> value of each row
  /// @param correct  1 or 0, one per row
  /// @throws ArgumentError  without an inspector, or as DataInspector::observe_outcomes
  void observe_outcomes(const std::map<std::string, std::vector<std::string>>& groups,
                        std::span<const std::uint8_t> correct);

  [[nodiscard]] std::vector<TaskSummary> tasks() const;
  [[nodiscard]] StorageReport storage() const;

  [[nodiscard]] const LearnerOptions& options() const noexcept { return options_; }
  [[nodiscard]] const Adaptable& backbone() const noexcept { return *backbone_; }
  [[nodiscard]] const AnalyticRouter<Scalar>& router() const noexcept { return router_; }
  /// True where a change failed half-way and nothing could undo it: a factorisation without
  /// RouterOptions::rollback_copy, or no memory left to publish. The last snapshot goes on serving;
  /// changes of the router and saves are refused.
  [[nodiscard]] bool is_poisoned() const noexcept { return router_.is_poisoned() || is_torn_; }
  /// The spans of the tasks learned, by site; empty but for the choice `complement`.
  [[nodiscard]] const TaskSubspaces<Scalar>& subspaces() const noexcept { return subspaces_; }

  /// Calls f() while no change is put in place: router, subspaces and snapshot belong together
  /// then, also where another thread is learning. That thread waits at the end of its change;
  /// predictions do not.
  template <class F>
  decltype(auto) while_unchanged(const F& f) const {
    const std::scoped_lock lock(change_mutex_);
    return f();
  }

 private:
  using Records = detail::TaskRecords<Scalar, Input>;
  using Handle = typename Records::Handle;
  using CorrectedRows = std::map<std::string, detail::CorrectedTask<Input>>;

  ContinualLearner(const LearnerOptions& options, std::shared_ptr<const Adaptable> backbone);
  ContinualLearner(const LearnerOptions& options, std::shared_ptr<const Adaptable> backbone,
                   LearnerState<Scalar> state);

  // What a call asks for before it changes anything.
  static void check_options(const LearnerOptions& options);
  static void check_state(const Adaptable& backbone, const LearnerState<Scalar>& state);
  void expect_new(std::string_view name) const;
  void expect_known(std::string_view name) const;
  void expect_not_torn() const;
  void expect_not_default(std::string_view name) const;
  void expect_not_in_policy(std::string_view name) const;
  void check_target(const Correction<Input, Target>& correction) const;
  template <class F>
  void expect_features(const F& features, std::size_t count) const;

  [[nodiscard]] const RoutedTask& task_named(std::string_view name) const;
  [[nodiscard]] std::size_t place_of(std::string_view name) const;
  [[nodiscard]] std::vector<Index> labels(std::span<const Target> targets) const;
  [[nodiscard]] static Index classes_of(const Adapter<Scalar>& adapter);
  [[nodiscard]] ReviewQueue<Input>& queue() const;
  [[nodiscard]] Records records() const { return published_.load()->records(); }

  /// What the inspector is to count of rows, before they are learned; nothing without one.
  template <class F>
  [[nodiscard]] LearnedSums watched_sums(const F& features, std::span<const Index> labels) const;

  void add_row(const std::string& task, const Input& query, const std::optional<Target>& target,
               CorrectedRows& to) const;
  template <class Learn>
  void count_rows(CorrectedRows& rows, std::vector<detail::WatchedRows>& counted,
                  const Learn& learn) const;
  void set_active(std::string_view name, bool active, std::string_view event);
  template <class Remove>
  void remove_with(std::string_view name, const Remove& remove);

  /// Runs the change of the router, has what follows the tasks follow, and publishes.
  /// @param next   the records after the change
  /// @param steps  changes that it counts as: each moves one task or one adapter
  template <class Change>
  void commit(Records next, const Change& change, std::uint64_t steps = 1);
  /// The same state under another policy or other hooks; where that fails, under those of before.
  template <class T>
  void republish_with(T& part, T value);
  [[nodiscard]] std::shared_ptr<const Snapshot<Adaptable>> make_snapshot(
      Records records, std::uint64_t changes) const;
  [[nodiscard]] std::shared_ptr<detail::DataWatch> make_watch(
      std::optional<InspectorState> state) const;
  /// Tells the audit log of a change that has been made.
  void tell(ChangeEvent event) const;

  LearnerOptions options_;
  std::shared_ptr<const Adaptable> backbone_;
  AnalyticRouter<Scalar> router_;
  TaskSubspaces<Scalar> subspaces_;
  RoutingPolicy policy_;
  Hooks hooks_;
  detail::Published<Snapshot<Adaptable>> published_;  // never null; holds what follows each task
  bool is_torn_ = false;                   // router_ and published_ do not belong together
  mutable detail::OwnMutex change_mutex_;  // guards router_ and subspaces_ in commit()
};

}  // namespace anyssr::inline ANYSSR_ABI

#include "anyssr/learner/continual_learner_corrections.hpp"
#include "anyssr/learner/continual_learner_learning.hpp"
#include "anyssr/learner/continual_learner_merges.hpp"
#include "anyssr/learner/continual_learner_serving.hpp"
#include "anyssr/learner/continual_learner_tasks.hpp"

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/any_learners.hpp"
#include "anyssr/instantiate/text_learners.hpp"
#endif
