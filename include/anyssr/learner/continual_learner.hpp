// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The learner: a frozen backbone, an adapter a task, and a router that names the task of a query.
///
///   learn_task(name, inputs, targets):  features -> adapter trained in the task's subspace
///                                       features -> router sums, exactly as joint training
///   predict(inputs):                    features -> router -> adapter of the task -> answer
///
/// Learning a task changes no bit of the backbone and of the adapters of earlier tasks.
/// Source: Any-SSR, arXiv 2503.13575.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "anyssr/core/stopwatch.hpp"
#include "anyssr/learner/learner_options.hpp"
#include "anyssr/learner/snapshot.hpp"

namespace anyssr::inline v0 {

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

/// Everything that a learner has learned; options and backbone name the rest.
template <RealScalar S>
struct LearnerState {
  RouterState<S> router;
  std::vector<std::shared_ptr<const AdapterHandle<S>>> handles;  ///< one a task
  TaskSubspaces<S> subspaces;
  std::uint64_t generation = 0;
};

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

  /// Takes the backbone and freezes it: nothing writes to it from here on.
  /// @throws ArgumentError  for an option out of range
  explicit ContinualLearner(B backbone, const LearnerOptions& options = {})
      : options_(options),
        backbone_(std::make_shared<const Adaptable>(
            detail::AdaptableOf<B>::make(std::move(backbone), options.lift))),
        router_(static_cast<Index>(backbone_->feature_dim()), options.router),
        state_(std::make_shared<const Snapshot<Adaptable>>(backbone_, router_.table(), Handles{},
                                                           std::uint64_t{0})) {}

  /// Goes on from a state, as if it had been learned here: sums and adapters are the same bits.
  /// @param make_state  gets the backbone, std::shared_ptr<const Adaptable>, and gives the
  ///                    LearnerState<Scalar>
  /// @throws what make_state throws; ShapeError, NonFiniteError, TaskError, ArgumentError,
  ///         NumericalError  for a state that does not fit options and backbone (adapters in memory
  ///         are checked, others are not), or that no learning leads to
  template <class MakeState>
  [[nodiscard]] static ContinualLearner restore(B backbone, const LearnerOptions& options,
                                                const MakeState& make_state) {
    auto adaptable = std::make_shared<const Adaptable>(
        detail::AdaptableOf<B>::make(std::move(backbone), options.lift));
    LearnerState<Scalar> state = make_state(adaptable);
    detail::expect<ShapeError>(state.handles.size() == state.router.tasks.size(), "adapters are ",
                               state.handles.size(), ", expected ", state.router.tasks.size(),
                               ", one a task");
    for (const auto& handle : state.handles) {
      if (handle->is_resident()) check_adapter(*adaptable, *handle->get());
    }
    return ContinualLearner(options, std::move(adaptable), std::move(state));
  }

  [[nodiscard]] const LearnerOptions& options() const noexcept { return options_; }
  [[nodiscard]] const Adaptable& backbone() const noexcept { return *backbone_; }
  [[nodiscard]] const AnalyticRouter<Scalar>& router() const noexcept { return router_; }
  [[nodiscard]] bool is_poisoned() const noexcept { return router_.is_poisoned(); }
  /// The spans of the tasks learned, by site; empty but for the choice `complement`.
  [[nodiscard]] const TaskSubspaces<Scalar>& subspaces() const noexcept { return subspaces_; }

  /// Learns a new task.
  /// @param inputs   at least 2 queries
  /// @param targets  one an input
  /// @throws TaskError  the name is empty or known; what backbone, training and router throw. The
  /// learner
  ///         is then as it was.
  TaskReport learn_task(std::string_view name, std::span<const Input> inputs,
                        std::span<const Target> targets, const TaskOptions& task_options = {}) {
    const detail::Stopwatch clock;
    expect_new(name);
    detail::expect<ShapeError>(inputs.size() >= 2, "inputs of task '", name, "' have ",
                               inputs.size(),
                               " rows, expected at least 2 to train an adapter: add rows, or use "
                               "adopt_task, which trains none");
    detail::expect_count("targets", targets.size(), static_cast<Index>(inputs.size()));
    const ProgressCallback& progress = task_options.progress;
    detail::report(progress, {.stage = "features", .total = 1});
    TaskReport report{.task = std::string(name), .rows = static_cast<Index>(inputs.size())};
    const std::uint64_t seed = hash_bytes(name, options_.seed);
    Adapter<Scalar> adapter = backbone_->make_adapter(targets, options_.adapter, seed);
    const auto trunk = make_training_trunk(*backbone_, inputs, targets);
    expect_features(backbone_->features(trunk), inputs.size());
    detail::report(progress, {.stage = "subspace", .total = 1});
    report.subspaces =
        subspaces_.confine(*backbone_, trunk, options_.subspace, options_.subspace_fit, adapter);
    TrainOptions train = options_.train;
    train.seed = seed;
    report.training = train_adapter(*backbone_, trunk, targets, adapter, train, progress);
    if constexpr (HasClosedForm<Adaptable>) backbone_->fit_closed_form(trunk, targets, adapter);
    TaskSubspaces<Scalar> subspaces = subspaces_;
    if (options_.subspace == SubspaceChoice::complement) subspaces = subspaces_.with(adapter);
    for (auto& [site, module] : adapter.modules) module.materialise();
    adapter.metadata.insert(task_options.metadata.begin(), task_options.metadata.end());
    report.adapter_parameters = adapter.parameter_count();
    report.adapter_bytes = adapter.bytes();
    detail::report(progress, {.stage = "router", .total = 1});

    const detail::Stopwatch router_clock;
    commit_new(std::move(adapter), [&] {
      router_.learn(name, backbone_->features(trunk), labels(targets), task_options.declared_rows);
      subspaces_ = std::move(subspaces);
    });
    report.router_seconds = router_clock.seconds();
    report.seconds = clock.seconds();
    return report;
  }

  /// More rows for a known task: the router learns them exactly; the adapter stays as it is
  /// (replace_adapter brings a retrained one).
  /// @throws TaskError  for an unknown name; ArgumentError for targets that the adapter cannot
  /// answer
  void extend_task(std::string_view name, std::span<const Input> inputs,
                   std::span<const Target> targets, const TaskOptions& task_options = {}) {
    const auto current = snapshot();
    expect_known(name);
    detail::expect<ShapeError>(!inputs.empty(), "inputs are empty, expected at least 1");
    detail::expect_count("targets", targets.size(), static_cast<Index>(inputs.size()));
    if constexpr (detail::ChecksTargets<Adaptable>) {
      backbone_->check_targets(targets, *current.adapter(name));
    }
    detail::report(task_options.progress, {.stage = "features", .total = 1});
    const auto features = backbone_->features(inputs);
    expect_features(features, inputs.size());
    detail::report(task_options.progress, {.stage = "router", .total = 1});
    const bool labelled =
        !router_.tasks()[static_cast<std::size_t>(*router_.find(name))].label_columns.empty();
    const std::vector<Index> rows = labelled ? labels(targets) : std::vector<Index>{};
    commit(current.handles(), [&] { router_.extend(name, features, rows); });
  }

  /// Takes an adapter that was trained elsewhere; only the router learns, from a few example
  /// inputs.
  /// @throws TaskError      the name is empty or known
  /// @throws ShapeError     a module or head does not fit the backbone
  /// @throws ArgumentError  a site or head that the backbone does not have
  void adopt_task(std::string_view name, Adapter<Scalar> adapter, std::span<const Input> inputs,
                  const TaskOptions& task_options = {}) {
    expect_new(name);
    check_adapter(*backbone_, adapter);
    detail::expect<ShapeError>(!inputs.empty(), "inputs are empty, expected at least 1");
    detail::report(task_options.progress, {.stage = "features", .total = 1});
    const auto features = backbone_->features(inputs);
    expect_features(features, inputs.size());
    for (const auto& [key, value] : task_options.metadata)
      adapter.metadata.insert_or_assign(key, value);
    detail::report(task_options.progress, {.stage = "router", .total = 1});
    commit_new(std::move(adapter),
               [&] { router_.learn(name, features, {}, task_options.declared_rows); });
  }

  /// Puts another adapter in a task's place; the router does not change.
  void replace_adapter(std::string_view name, Adapter<Scalar> adapter) {
    expect_known(name);
    check_adapter(*backbone_, adapter);
    Handles handles = snapshot().handles();
    handles[static_cast<std::size_t>(*router_.find(name))] =
        std::make_shared<const AdapterHandle<Scalar>>(std::move(adapter));
    commit(std::move(handles), [] {});
  }

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

  /// Routes every query and answers it under its task's adapter (Snapshot::predict).
  [[nodiscard]] std::vector<Prediction<Output>> predict(
      std::span<const Input> inputs, const PredictOptions& predict_options = {}) const {
    return state_.load()->predict(inputs, predict_options);
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
                        .adapter_parameters = adapter.parameter_count,
                        .adapter_bytes = adapter.bytes,
                        .metadata = adapter.metadata});
    }
    return result;
  }

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
    return report;
  }

 private:
  using Handles = typename Snapshot<Adaptable>::Handles;

  ContinualLearner(const LearnerOptions& options, std::shared_ptr<const Adaptable> backbone,
                   LearnerState<Scalar> state)
      : options_(options),
        backbone_(std::move(backbone)),
        router_(static_cast<Index>(backbone_->feature_dim()), options.router,
                std::move(state.router)),
        subspaces_(std::move(state.subspaces)),
        state_(std::make_shared<const Snapshot<Adaptable>>(
            backbone_, router_.table(), std::move(state.handles), state.generation)) {}

  void expect_new(std::string_view name) const {
    detail::expect<TaskError>(!name.empty(), "the task name is empty, expected a name");
    detail::expect<TaskError>(!router_.find(name), "task '", name,
                              "' is learned already: extend_task adds "
                              "rows to it, replace_adapter changes its adapter");
  }

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

  template <class Change>
  void commit_new(Adapter<Scalar> adapter, const Change& change) {
    Handles handles = state_.load()->handles();
    handles.push_back(std::make_shared<const AdapterHandle<Scalar>>(std::move(adapter)));
    commit(std::move(handles), change);
  }

  /// Runs the change of the router and publishes what came of it.
  template <class Change>
  void commit(Handles handles, const Change& change) {
    const std::scoped_lock lock(change_mutex_);
    const auto next = std::make_shared<Snapshot<Adaptable>>(*state_.load());  // allocates before
    change();
    *next =
        Snapshot<Adaptable>(backbone_, router_.table(), std::move(handles), next->generation() + 1);
    state_.store(next);
  }

  LearnerOptions options_;
  std::shared_ptr<const Adaptable> backbone_;
  AnalyticRouter<Scalar> router_;
  TaskSubspaces<Scalar> subspaces_;
  detail::Published<Snapshot<Adaptable>> state_;  // never null
  mutable detail::OwnMutex change_mutex_;         // guards router_ and subspaces_ in commit()
};

}  // namespace anyssr::inline v0
