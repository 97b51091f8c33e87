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
#include <utility>
#include <vector>

#include "anyssr/core/stopwatch.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/learner/learner_tasks.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// One thread changes a learner at a time; any number of threads predict meanwhile, and one may
/// save it (while_unchanged).
///
/// Every change has two phases: the first trains, checks, expands and allocates, may throw or be
/// cancelled, and changes nothing; the second accumulates, factors, calibrates and publishes. Where
/// the factorisation fails, the router's sums come back if RouterOptions::rollback_copy is set;
/// else is_poisoned() holds, further learning is refused, and the last snapshot goes on serving.
template <Backbone B>
class ContinualLearner : public LearnerTasks<B> {
  using Core = LearnerCore<B>;
  using Core::backbone_, Core::commit, Core::options_, Core::router_, Core::subspaces_,
      Core::state_, Core::expect_known, Core::expect_features, Core::labels, Core::tell,
      Core::watched_sums, Core::watch_learned;
  using typename Core::Handles;

 public:
  using Adaptable = typename Core::Adaptable;
  using Scalar = typename Core::Scalar;
  using Input = typename Core::Input;
  using Target = typename Core::Target;
  using Core::check_adapter, Core::snapshot;

  /// Takes the backbone and freezes it: nothing writes to it from here on.
  /// @throws ArgumentError  for an option out of range
  explicit ContinualLearner(B backbone, const LearnerOptions& options = {})
      : LearnerTasks<B>(std::make_shared<const Adaptable>(
                            detail::AdaptableOf<B>::make(std::move(backbone), options.lift)),
                        options) {
    check_options(options);
  }

  /// Goes on from a state, as if it had been learned here: sums and adapters are the same bits.
  /// @param make_state  gets the backbone, std::shared_ptr<const Adaptable>, and gives the
  ///                    LearnerState<Scalar>
  /// @throws what make_state throws; ArgumentError for an option out of range; ShapeError,
  ///         NonFiniteError, TaskError, ArgumentError, NumericalError  for a state that does not
  ///         fit options and backbone (adapters in memory are checked, others are not), or that no
  ///         learning leads to
  template <class MakeState>
  [[nodiscard]] static ContinualLearner restore(B backbone, const LearnerOptions& options,
                                                const MakeState& make_state) {
    check_options(options);
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

  /// Learns a new task.
  /// @param inputs   at least 1 query. One row, or rows of one class, make a task like any other:
  ///                 its router learns them, its adapter answers what there is to answer
  /// @param targets  one an input
  /// @throws TaskError  the name is empty or known; what backbone, training and router throw. The
  /// learner
  ///         is then as it was.
  TaskReport learn_task(std::string_view name, std::span<const Input> inputs,
                        std::span<const Target> targets, const TaskOptions& task_options = {}) {
    const Stopwatch clock;
    const detail::SerialEigen serial;
    expect_new(name);
    detail::expect<ShapeError>(!inputs.empty(), "inputs of task '", name,
                               "' are empty, expected at least 1");
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

    const Stopwatch router_clock;
    const auto& features = backbone_->features(trunk);
    const std::vector<Index> rows = labels(targets);
    const LearnedSums sums = watched_sums(features, rows);
    commit_new(std::move(adapter), [&] {
      router_.learn(name, features, rows, task_options.declared_rows);
      subspaces_ = std::move(subspaces);
      watch_learned(name, sums);
    });
    report.router_seconds = router_clock.seconds();
    report.seconds = clock.seconds();
    tell({.event = "learn",
          .task = name,
          .rows = report.rows,
          .seconds = report.seconds,
          .adapter_bytes = report.adapter_bytes});
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
    const bool observed = labelled || !options_.router.label_columns;
    const LearnedSums sums = watched_sums(features, observed ? labels(targets) : rows);
    commit(current.handles(), [&] {
      router_.extend(name, features, rows);
      watch_learned(name, sums);
    });
    tell({.event = "extend", .task = name, .rows = static_cast<Index>(inputs.size())});
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
    const LearnedSums sums = watched_sums(features, {});
    commit_new(std::move(adapter), [&] {
      router_.learn(name, features, {}, task_options.declared_rows);
      watch_learned(name, sums);
    });
    tell({.event = "learn", .task = name, .rows = static_cast<Index>(inputs.size())});
  }

  /// Puts another adapter in a task's place; the router does not change.
  /// @throws TaskError  for an unknown or frozen task, or one that waits for a merge
  void replace_adapter(std::string_view name, Adapter<Scalar> adapter) {
    const RoutedTask& task = this->task_named(name);
    detail::expect<TaskError>(!task.frozen && task.parts.empty(), "task '", name, "' ",
                              task.frozen ? "is frozen: unfreeze it first"
                                          : "waits for a merge to be committed or undone");
    check_adapter(*backbone_, adapter);
    Handles handles = snapshot().handles();
    handles[static_cast<std::size_t>(*router_.find(name))] =
        std::make_shared<const AdapterHandle<Scalar>>(std::move(adapter));
    commit(std::move(handles), [] {});
    tell({.event = "replace", .task = name});
  }

 private:
  ContinualLearner(const LearnerOptions& options, std::shared_ptr<const Adaptable> backbone,
                   LearnerState<Scalar> state)
      : LearnerTasks<B>(options, std::move(backbone), std::move(state)) {}

  static void check_options(const LearnerOptions& options) {
    detail::expect_train_options(options.train);
    detail::expect_valid(options.subspace_fit);
    const LoraOptions& lora = options.adapter.lora;
    detail::expect(lora.rank >= 0, "adapter.lora.rank is ", lora.rank, ", expected 0 or more");
    detail::expect_positive("adapter.lora.alpha", lora.alpha);
  }

  void expect_new(std::string_view name) const {
    detail::expect<TaskError>(!name.empty(), "the task name is empty, expected a name");
    detail::expect<TaskError>(!router_.find(name), "task '", name,
                              "' is learned already: extend_task adds "
                              "rows to it, replace_adapter changes its adapter");
    detail::expect<TaskError>(!detail::is_name_held(router_.tasks(), name), "task '", name,
                              "' waits for its merge to be committed or undone, expected another "
                              "name");
  }

  template <class Change>
  void commit_new(Adapter<Scalar> adapter, const Change& change) {
    Handles handles = state_.load()->handles();
    handles.push_back(std::make_shared<const AdapterHandle<Scalar>>(std::move(adapter)));
    commit(std::move(handles), [&] {
      change();
      this->forget_bearer(router_.tasks().back().name);
    });
  }
};

}  // namespace anyssr::inline ANYSSR_ABI
