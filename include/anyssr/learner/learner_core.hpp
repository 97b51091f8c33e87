// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What all parts of a learner share: backbone, router and adapters, the snapshot that predictions
/// read, and how a change puts a new one in its place.

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/learner/learner_options.hpp"
#include "anyssr/learner/learner_state.hpp"
#include "anyssr/learner/published.hpp"
#include "anyssr/learner/query_explanation.hpp"
#include "anyssr/learner/snapshot.hpp"

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

/// A backbone that can refuse targets that an adapter cannot answer.
template <class B>
concept ChecksTargets = requires(const B& backbone, std::span<const typename B::Target> targets,
                                 const Adapter<typename B::Scalar>& adapter) {
  backbone.check_targets(targets, adapter);
};

/// A backbone that can refuse an adapter whose heads it cannot read.
template <class B>
concept ChecksAdapter = requires(const B& backbone, const Adapter<typename B::Scalar>& adapter) {
  backbone.check_adapter(adapter);
};

}  // namespace detail

/// The shared part of ContinualLearner; see there.
template <Backbone B>
class LearnerCore {
 public:
  using Base = B;
  using Adaptable = typename detail::AdaptableOf<B>::type;
  using Scalar = typename Adaptable::Scalar;
  using Input = typename Adaptable::Input;
  using Target = typename Adaptable::Target;
  using Output = typename Adaptable::Output;
  using PredictOptions = typename Adaptable::PredictOptions;
  using Hooks = ServingHooks<Input, Output>;

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

  /// The state of this moment, for threads that predict.
  [[nodiscard]] Snapshot<Adaptable> snapshot() const { return *state_.load(); }

  /// Routes every query and answers it as the policy says (Snapshot::predict).
  [[nodiscard]] std::vector<Prediction<Output>> predict(std::span<const Input> inputs,
                                                        const PredictOptions& predict_options = {},
                                                        const QueryContext& context = {}) const {
    return state_.load()->predict(inputs, predict_options, context);
  }

  /// Answers under the adapter of a named task, without routing.
  [[nodiscard]] std::vector<Output> predict_as(std::string_view task, std::span<const Input> inputs,
                                               const PredictOptions& predict_options = {}) const {
    return state_.load()->predict_as(task, inputs, predict_options);
  }

  [[nodiscard]] std::vector<TaskSummary> tasks() const {
    const auto state = state_.load();
    std::vector<TaskSummary> result;
    for (std::size_t t = 0; t < state->tasks().size(); ++t) {
      const RoutedTask& task = state->tasks()[t];
      const AdapterInfo& adapter = state->handles()[t]->info();
      result.push_back({.name = task.name,
                        .rows = task.rows,
                        .labels = static_cast<Index>(task.label_columns.size()),
                        .active = task.active,
                        .frozen = task.frozen,
                        .waits_for_commit = !task.parts.empty(),
                        .adapter_parameters = adapter.parameter_count,
                        .adapter_bytes = adapter.bytes,
                        .metadata = adapter.metadata});
    }
    return result;
  }

  /// Why a query goes where it goes: rival tasks, margins, and what pushes towards each.
  [[nodiscard]] QueryExplanation explain(const Input& query, Index rivals = 2,
                                         Index pushes = 10) const {
    return anyssr::explain(*state_.load(), query, rivals, pushes);
  }

  /// What becomes of queries from now on.
  /// @throws ArgumentError, TaskError  as PolicyTable; the policy of before stays
  void set_policy(RoutingPolicy policy) {
    (void)PolicyTable(policy, *router_.table());
    republish_with(policy_, std::move(policy));
  }
  [[nodiscard]] const RoutingPolicy& policy() const noexcept { return policy_; }

  /// Whom predictions and changes tell from now on. Hooks are not part of a saved state.
  void set_hooks(Hooks hooks) { republish_with(hooks_, std::move(hooks)); }
  [[nodiscard]] const Hooks& hooks() const noexcept { return hooks_; }

  /// Use by task since the learner was made, across saves.
  [[nodiscard]] UsageMeter::Counts usage() const { return usage_->counts(); }

  /// What the learner saw of its data, where LearnerOptions::inspector is set.
  [[nodiscard]] std::optional<DataInspector> inspector() const {
    if (!watch_) return std::nullopt;
    DataInspector copy = watch_->copy();
    std::map<std::string, std::vector<std::string>> joins;
    for (const RoutedTask& task : snapshot().tasks()) {
      for (const RoutedTask& part : task.parts) joins[task.name].push_back(part.name);
    }
    copy.set_joins(std::move(joins));
    return copy;
  }
  /// Right and wrong answers by groups of users or queries, for the inspector.
  /// @param groups   column of the caller's -> value of each row
  /// @param correct  1 or 0, one a row
  /// @throws ArgumentError  without an inspector, or as DataInspector::observe_outcomes
  void observe_outcomes(const std::map<std::string, std::vector<std::string>>& groups,
                        std::span<const std::uint8_t> correct) {
    detail::expect(watch_ != nullptr, "nothing is watched: set LearnerOptions::inspector");
    watch_->observe_outcomes(groups, correct);
  }

  /// Adapters of tasks that wait for commit_merge or undo_merge, by the merged task's name.
  [[nodiscard]] const auto& merged() const noexcept { return merged_; }

  /// Refuses an adapter that the backbone cannot answer under.
  /// @throws NonFiniteError; ArgumentError for a site or head that the backbone does not have;
  ///         ShapeError for one of another shape
  static void check_adapter(const Adaptable& backbone, const Adapter<Scalar>& adapter) {
    detail::expect<NonFiniteError>(adapter.is_finite(),
                                   "the adapter holds NaN or infinity, expected finite numbers");
    const auto sites = backbone.sites();
    for (const auto& [name, module] : adapter.modules) {
      const auto site = std::find_if(sites.begin(), sites.end(),
                                     [&, key = name](const Site& s) { return s.name == key; });
      detail::expect(site != sites.end(), "the adapter has a module for site '", name,
                     "', which the backbone does not have");
      detail::expect<ShapeError>(module.in_dim() == site->in && module.out_dim() == site->out,
                                 "the module of site '", name, "' maps ", module.in_dim(), " to ",
                                 module.out_dim(), ", expected ", site->in, " to ", site->out);
    }
    if constexpr (detail::ChecksAdapter<Adaptable>) backbone.check_adapter(adapter);
  }

  [[nodiscard]] StorageReport storage() const {
    StorageReport report{.router_bytes = router_.bytes(), .subspace_bytes = subspaces_.bytes()};
    for (const TaskSummary& task : tasks()) report.adapter_bytes.push_back(task.adapter_bytes);
    for (const auto& [name, parts] : merged_) {
      for (const auto& part : parts) report.waiting_bytes += part->info().bytes;
    }
    if (watch_) report.inspector_bytes = watch_->copy().bytes();
    return report;
  }

 protected:
  using Handles = typename Snapshot<Adaptable>::Handles;
  using Merged = std::map<std::string, Handles, std::less<>>;

  LearnerCore(std::shared_ptr<const Adaptable> backbone, const LearnerOptions& options)
      : options_(options),
        backbone_(std::move(backbone)),
        router_(static_cast<Index>(backbone_->feature_dim()), options.router),
        watch_(make_watch({})),
        state_(make_snapshot(Handles{}, 0)) {}

  LearnerCore(const LearnerOptions& options, std::shared_ptr<const Adaptable> backbone,
              LearnerState<Scalar> state)
      : options_(options),
        backbone_(std::move(backbone)),
        router_(static_cast<Index>(backbone_->feature_dim()), options.router,
                std::move(state.router)),
        subspaces_(std::move(state.subspaces)),
        policy_(std::move(state.policy)),
        usage_(std::make_shared<UsageMeter>(std::move(state.usage))),
        merged_(std::move(state.merged)),
        watch_(make_watch(std::move(state.inspector))),
        state_(make_snapshot(std::move(state.handles), state.generation)) {}

  /// A copy counts its use for itself.
  LearnerCore(const LearnerCore& other)
      : options_(other.options_),
        backbone_(other.backbone_),
        router_(other.router_),
        subspaces_(other.subspaces_),
        policy_(other.policy_),
        hooks_(other.hooks_),
        usage_(std::make_shared<UsageMeter>(other.usage_->counts())),
        merged_(other.merged_),
        watch_(other.watch_ ? std::make_shared<detail::DataWatch>(other.watch_->copy()) : nullptr),
        state_(other.is_torn_
                   ? other.state_.load()
                   : make_snapshot(other.snapshot().handles(), other.snapshot().generation())),
        is_torn_(other.is_torn_) {}
  LearnerCore(LearnerCore&&) = default;
  LearnerCore& operator=(const LearnerCore& other) {
    if (this != &other) *this = LearnerCore(other);
    return *this;
  }
  LearnerCore& operator=(LearnerCore&&) = default;
  ~LearnerCore() = default;

  void expect_known(std::string_view name) const {
    if (!router_.find(name)) (void)snapshot().adapter(name);  // throws, and lists the known names
  }

  template <class F>
  void expect_features(const F& features, std::size_t count) const {
    detail::expect_cols("features of the backbone", features,
                        static_cast<Index>(backbone_->feature_dim()));
    detail::expect_rows("features of the backbone", features, static_cast<Index>(count));
    detail::expect_finite("features of the backbone", features);
  }

  [[nodiscard]] std::vector<Index> labels(std::span<const Target> targets) const {
    if constexpr (HasLabels<Adaptable>) return labels_of(*backbone_, targets);
    return {};
  }

  /// What the inspector is to count of rows, before they are learned; nothing without one.
  template <class F>
  [[nodiscard]] LearnedSums watched_sums(const F& features, std::span<const Index> labels) const {
    return watch_ ? watch_->sums_of(features, labels) : LearnedSums{};
  }
  void watch_learned(std::string_view task, const LearnedSums& sums) {
    if (watch_) watch_->add(task, sums);
  }

  /// A name that a task had which is gone brings no use and no queries to the next one: an old
  /// snapshot may have counted for it since.
  void forget_bearer(std::string_view name) {
    usage_->erase(name);
    if (watch_) watch_->forget_queries(name);
  }

  void expect_not_torn() const {
    detail::expect<NumericalError>(!is_torn_,
                                   "the learner is poisoned by an earlier change that failed "
                                   "half-way: load its last save");
  }

  /// Runs the change of the router and publishes what came of it.
  /// @param steps  changes that it counts as: each moves one task or one adapter
  template <class Change>
  void commit(Handles handles, const Change& change, std::uint64_t steps = 1) {
    expect_not_torn();
    const std::scoped_lock lock(change_mutex_);
    const auto table = router_.table();
    try {
      change();
      state_.store(make_snapshot(std::move(handles), state_.load()->generation() + steps));
    } catch (...) {
      is_torn_ = router_.table() != table;
      throw;
    }
  }

  /// The same state under another policy or other hooks; where that fails, under those of before.
  template <class T>
  void republish_with(T& part, T value) {
    expect_not_torn();
    const std::scoped_lock lock(change_mutex_);
    std::swap(part, value);
    try {
      const auto now = state_.load();
      state_.store(make_snapshot(now->handles(), now->generation()));
    } catch (...) {
      std::swap(part, value);
      throw;
    }
  }

  [[nodiscard]] std::shared_ptr<const Snapshot<Adaptable>> make_snapshot(
      Handles handles, std::uint64_t generation) const {
    auto serving = std::make_shared<typename Snapshot<Adaptable>::Serving>();
    serving->policy = PolicyTable(policy_, *router_.table());
    serving->hooks = hooks_;
    serving->usage = usage_;
    serving->watch = watch_;
    if (hooks_.audit) serving->router_digest = digest_of(router_.table()->weights());
    return std::make_shared<const Snapshot<Adaptable>>(
        backbone_, router_.table(), std::move(handles), generation, std::move(serving));
  }

  /// Tells the audit log of a change that has been made.
  void tell(ChangeEvent event) const {
    if (!hooks_.audit) return;
    event.generation = state_.load()->generation();
    event.router_digest = digest_of(router_.table()->weights());
    hooks_.audit(event);
  }

  LearnerOptions options_;
  std::shared_ptr<const Adaptable> backbone_;
  AnalyticRouter<Scalar> router_;
  TaskSubspaces<Scalar> subspaces_;
  RoutingPolicy policy_;
  Hooks hooks_;
  std::shared_ptr<UsageMeter> usage_ = std::make_shared<UsageMeter>();
  Merged merged_;
  std::shared_ptr<detail::DataWatch> watch_;      // null without LearnerOptions::inspector
  detail::Published<Snapshot<Adaptable>> state_;  // never null
  bool is_torn_ = false;                          // router_ and state_ do not belong together
  mutable detail::OwnMutex change_mutex_;         // guards router_ and subspaces_ in commit()

 private:
  [[nodiscard]] std::shared_ptr<detail::DataWatch> make_watch(
      std::optional<InspectorState> state) const {
    if (!options_.inspector) return nullptr;
    if (state) {
      return std::make_shared<detail::DataWatch>(
          DataInspector(std::move(*state), *options_.inspector));
    }
    return std::make_shared<detail::DataWatch>(
        DataInspector(static_cast<Index>(backbone_->feature_dim()), *options_.inspector));
  }
  [[nodiscard]] static std::uint64_t digest_of(const RowMajorMatrix<Scalar>& weights) {
    return hash_bytes({reinterpret_cast<const char*>(weights.data()),
                       static_cast<std::size_t>(weights.size()) * sizeof(Scalar)},
                      0);
  }
};

}  // namespace anyssr::inline ANYSSR_ABI
