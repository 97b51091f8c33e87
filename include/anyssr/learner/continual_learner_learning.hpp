// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How a ContinualLearner is made, restored and taught.

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/stopwatch.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/learner/continual_learner.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <Backbone B>
ContinualLearner<B>::ContinualLearner(B backbone, const LearnerOptions& options)
    : ContinualLearner(options, std::make_shared<const Adaptable>(detail::AdaptableOf<B>::make(
                                    std::move(backbone), options.lift))) {
  check_options(options);
}

template <Backbone B>
ContinualLearner<B>::ContinualLearner(const LearnerOptions& options,
                                      std::shared_ptr<const Adaptable> backbone)
    : options_(options),
      backbone_(std::move(backbone)),
      router_(static_cast<Index>(backbone_->feature_dim()), options.router),
      published_(make_snapshot(Records(make_watch({})), 0)) {}

template <Backbone B>
ContinualLearner<B>::ContinualLearner(const LearnerOptions& options,
                                      std::shared_ptr<const Adaptable> backbone,
                                      LearnerState<Scalar> state)
    : options_(options),
      backbone_(std::move(backbone)),
      router_(static_cast<Index>(backbone_->feature_dim()), options.router,
              std::move(state.router)),
      subspaces_(std::move(state.subspaces)),
      policy_(std::move(state.policy)),
      published_(
          make_snapshot(Records(router_.tasks(), state.handles, state.originals,
                                std::move(state.usage), make_watch(std::move(state.inspector))),
                        state.changes)) {}

template <Backbone B>
ContinualLearner<B>::ContinualLearner(const ContinualLearner& other)
    : options_(other.options_),
      backbone_(other.backbone_),
      router_(other.router_),
      subspaces_(other.subspaces_),
      policy_(other.policy_),
      hooks_(other.hooks_),
      published_(other.is_torn_
                     ? other.published_.load()
                     : make_snapshot(other.records().apart(), other.snapshot().changes())),
      is_torn_(other.is_torn_) {}

template <Backbone B>
ContinualLearner<B>& ContinualLearner<B>::operator=(const ContinualLearner& other) {
  if (this != &other) *this = ContinualLearner(other);
  return *this;
}

template <Backbone B>
ContinualLearner<B> ContinualLearner<B>::restore(B backbone, const LearnerOptions& options,
                                                 LearnerState<Scalar> state) {
  return restore(
      std::move(backbone), options,
      [&](const std::shared_ptr<const Adaptable>& /*adaptable*/) { return std::move(state); });
}

template <Backbone B>
template <class MakeState>
ContinualLearner<B> ContinualLearner<B>::restore(B backbone, const LearnerOptions& options,
                                                 const MakeState& make_state) {
  check_options(options);
  auto adaptable = std::make_shared<const Adaptable>(
      detail::AdaptableOf<B>::make(std::move(backbone), options.lift));
  LearnerState<Scalar> state = make_state(adaptable);
  check_state(*adaptable, state);
  return ContinualLearner(options, std::move(adaptable), std::move(state));
}

template <Backbone B>
void ContinualLearner<B>::check_options(const LearnerOptions& options) {
  detail::expect_train_options(options.train);
  detail::expect_valid(options.subspace_fit);
  const LoraOptions& lora = options.adapter.lora;
  detail::expect(lora.rank >= 0, "adapter.lora.rank is ", lora.rank, ", expected 0 or more");
  detail::expect_positive("adapter.lora.alpha", lora.alpha);
}

template <Backbone B>
void ContinualLearner<B>::check_state(const Adaptable& backbone,
                                      const LearnerState<Scalar>& state) {
  detail::expect<ShapeError>(state.handles.size() == state.router.tasks.size(), "adapters are ",
                             state.handles.size(), ", expected ", state.router.tasks.size(),
                             ", one a task");
  const auto check = [&](const Handles& handles) {
    for (const Handle& handle : handles) {
      if (handle->is_resident()) check_adapter(backbone, *handle->get());
    }
  };
  check(state.handles);
  for (const auto& [task, parts] : state.originals) check(parts);
}

template <Backbone B>
void ContinualLearner<B>::check_adapter(const Adaptable& backbone, const Adapter<Scalar>& adapter) {
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
  if constexpr (ChecksAdapter<Adaptable>) backbone.check_adapter(adapter);
}

template <Backbone B>
void ContinualLearner<B>::expect_new(std::string_view name) const {
  detail::expect<TaskError>(!name.empty(), "the task name is empty, expected a name");
  detail::expect<TaskError>(!router_.find(name), "task '", name,
                            "' is learned already: extend_task adds "
                            "rows to it, replace_adapter changes its adapter");
  detail::expect<TaskError>(!detail::is_name_held(router_.tasks(), name), "task '", name,
                            "' waits for its merge to be committed or undone, expected another "
                            "name");
}

template <Backbone B>
template <class F>
void ContinualLearner<B>::expect_features(const F& features, std::size_t count) const {
  detail::expect_cols("features of the backbone", features,
                      static_cast<Index>(backbone_->feature_dim()));
  detail::expect_rows("features of the backbone", features, static_cast<Index>(count));
  detail::expect_finite("features of the backbone", features);
}

template <Backbone B>
std::vector<Index> ContinualLearner<B>::labels(std::span<const Target> targets) const {
  if constexpr (HasLabels<Adaptable>) return labels_of(*backbone_, targets);
  return {};
}

template <Backbone B>
template <class F>
LearnedSums ContinualLearner<B>::watched_sums(const F& features,
                                              std::span<const Index> labels) const {
  const auto now = published_.load();
  const detail::DataWatch* const watch = now->records().watch();
  return watch ? watch->sums_of(features, labels) : LearnedSums{};
}

template <Backbone B>
TaskReport ContinualLearner<B>::learn_task(std::string_view given_name,
                                           std::span<const Input> inputs,
                                           std::span<const Target> targets,
                                           const TaskOptions& task_options) {
  const Stopwatch clock;
  const detail::SerialEigen serial;
  const std::string name(given_name);
  expect_new(name);
  detail::expect<ShapeError>(!inputs.empty(), "inputs of task '", name,
                             "' are empty, expected at least 1");
  detail::expect_count("targets", targets.size(), static_cast<Index>(inputs.size()));
  const ProgressCallback& progress = task_options.progress;
  detail::report(progress, {.stage = "features", .total = 1});
  TaskReport report{.task = name, .rows = static_cast<Index>(inputs.size())};
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
  Records next = records();
  next.learned(name, std::make_shared<const AdapterHandle<Scalar>>(std::move(adapter)),
               watched_sums(features, rows));
  commit(std::move(next), [&] {
    router_.learn(name, features, rows, task_options.declared_rows);
    subspaces_ = std::move(subspaces);
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

template <Backbone B>
void ContinualLearner<B>::extend_task(std::string_view name, std::span<const Input> inputs,
                                      std::span<const Target> targets,
                                      const TaskOptions& task_options) {
  const auto current = snapshot();
  const std::size_t place = place_of(name);
  detail::expect<ShapeError>(!inputs.empty(), "inputs are empty, expected at least 1");
  detail::expect_count("targets", targets.size(), static_cast<Index>(inputs.size()));
  if constexpr (ChecksTargets<Adaptable>) {
    backbone_->check_targets(targets, *current.adapter(name));
  }
  detail::report(task_options.progress, {.stage = "features", .total = 1});
  const auto features = backbone_->features(inputs);
  expect_features(features, inputs.size());
  detail::report(task_options.progress, {.stage = "router", .total = 1});
  const bool labelled = !router_.tasks()[place].label_columns.empty();
  const std::vector<Index> rows = labelled ? labels(targets) : std::vector<Index>{};
  const bool observed = labelled || !options_.router.label_columns;
  Records next = current.records();
  next.extended(place, watched_sums(features, observed ? labels(targets) : rows));
  commit(std::move(next), [&] { router_.extend(name, features, rows); });
  tell({.event = "extend", .task = name, .rows = static_cast<Index>(inputs.size())});
}

template <Backbone B>
void ContinualLearner<B>::adopt_task(std::string_view given_name, Adapter<Scalar> adapter,
                                     std::span<const Input> inputs,
                                     const TaskOptions& task_options) {
  const std::string name(given_name);
  expect_new(name);
  check_adapter(*backbone_, adapter);
  detail::expect<ShapeError>(!inputs.empty(), "inputs are empty, expected at least 1");
  detail::report(task_options.progress, {.stage = "features", .total = 1});
  const auto features = backbone_->features(inputs);
  expect_features(features, inputs.size());
  for (const auto& [key, value] : task_options.metadata) {
    adapter.metadata.insert_or_assign(key, value);
  }
  detail::report(task_options.progress, {.stage = "router", .total = 1});
  Records next = records();
  next.learned(name, std::make_shared<const AdapterHandle<Scalar>>(std::move(adapter)),
               watched_sums(features, {}));
  commit(std::move(next), [&] { router_.learn(name, features, {}, task_options.declared_rows); });
  tell({.event = "learn", .task = name, .rows = static_cast<Index>(inputs.size())});
}

template <Backbone B>
void ContinualLearner<B>::replace_adapter(std::string_view name, Adapter<Scalar> adapter) {
  const std::size_t place = place_of(name);
  const RoutedTask& task = router_.tasks()[place];
  detail::expect<TaskError>(
      !task.frozen && task.parts.empty(), "task '", name, "' ",
      task.frozen ? "is frozen: unfreeze it first" : "waits for a merge to be committed or undone");
  check_adapter(*backbone_, adapter);
  Records next = records();
  next.replaced(place, std::make_shared<const AdapterHandle<Scalar>>(std::move(adapter)));
  commit(std::move(next), [] {});
  tell({.event = "replace", .task = name});
}

}  // namespace anyssr::inline ANYSSR_ABI
