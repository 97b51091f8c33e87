// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How a ContinualLearner answers, what it says of itself, and how a change becomes the state that
/// predictions read.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/random.hpp"
#include "anyssr/learner/continual_learner.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

template <RealScalar S>
[[nodiscard]] std::uint64_t digest_of(const RowMajorMatrix<S>& weights) {
  return hash_bytes({reinterpret_cast<const char*>(weights.data()),
                     static_cast<std::size_t>(weights.size()) * sizeof(S)},
                    0);
}

}  // namespace detail

template <Backbone B>
std::vector<Prediction<typename ContinualLearner<B>::Output>> ContinualLearner<B>::predict(
    std::span<const Input> inputs, const PredictOptions& predict_options,
    const QueryContext& context) const {
  return published_.load()->predict(inputs, predict_options, context);
}

template <Backbone B>
std::vector<typename ContinualLearner<B>::Output> ContinualLearner<B>::predict_as(
    std::string_view task, std::span<const Input> inputs,
    const PredictOptions& predict_options) const {
  return published_.load()->predict_as(task, inputs, predict_options);
}

template <Backbone B>
QueryExplanation ContinualLearner<B>::explain(const Input& query, Index rivals,
                                              Index pushes) const {
  return anyssr::explain(*published_.load(), query, rivals, pushes);
}

template <Backbone B>
LearnerStateView<typename ContinualLearner<B>::Scalar> ContinualLearner<B>::state() const {
  const auto now = published_.load();
  LearnerStateView<Scalar> state{.router = router_,
                                 .handles = now->handles(),
                                 .subspaces = subspaces_,
                                 .changes = now->changes(),
                                 .policy = now->policy(),
                                 .usage = now->records().usage(now->tasks()),
                                 .originals = now->records().originals(now->tasks())};
  if (const detail::DataWatch* const watch = now->records().watch()) {
    state.inspector = watch->copy().state();
  }
  return state;
}

template <Backbone B>
void ContinualLearner<B>::set_policy(RoutingPolicy policy) {
  (void)PolicyTable(policy, *router_.table());
  republish_with(policy_, std::move(policy));
}

template <Backbone B>
UsageMeter::Counts ContinualLearner<B>::usage() const {
  const auto now = published_.load();
  return now->records().usage(now->tasks());
}

template <Backbone B>
std::optional<DataInspector> ContinualLearner<B>::inspector() const {
  const auto now = published_.load();
  const detail::DataWatch* const watch = now->records().watch();
  if (!watch) return std::nullopt;
  DataInspector copy = watch->copy();
  std::map<std::string, std::vector<std::string>> joins;
  for (const RoutedTask& task : now->tasks()) {
    for (const RoutedTask& part : task.parts) joins[task.name].push_back(part.name);
  }
  copy.set_joins(std::move(joins));
  return copy;
}

template <Backbone B>
void ContinualLearner<B>::observe_outcomes(
    const std::map<std::string, std::vector<std::string>>& groups,
    std::span<const std::uint8_t> correct) {
  const auto now = published_.load();
  detail::DataWatch* const watch = now->records().watch();
  detail::expect(watch != nullptr, "nothing is watched: set LearnerOptions::inspector");
  watch->observe_outcomes(groups, correct);
}

template <Backbone B>
std::vector<TaskSummary> ContinualLearner<B>::tasks() const {
  const auto now = published_.load();
  std::vector<TaskSummary> result;
  for (std::size_t t = 0; t < now->tasks().size(); ++t) {
    const RoutedTask& task = now->tasks()[t];
    const AdapterInfo& adapter = now->records()[t].adapter->info();
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

template <Backbone B>
StorageReport ContinualLearner<B>::storage() const {
  StorageReport report{.router_bytes = router_.bytes(), .subspace_bytes = subspaces_.bytes()};
  const auto now = published_.load();
  for (std::size_t t = 0; t < now->records().size(); ++t) {
    const auto& record = now->records()[t];
    report.adapter_bytes.push_back(record.adapter->info().bytes);
    for (const auto& part : record.parts) report.waiting_bytes += part.adapter->info().bytes;
  }
  if (const detail::DataWatch* const watch = now->records().watch()) {
    report.inspector_bytes = watch->copy().bytes();
  }
  return report;
}

template <Backbone B>
void ContinualLearner<B>::expect_not_torn() const {
  detail::expect<NumericalError>(!is_torn_,
                                 "the learner is poisoned by an earlier change that failed "
                                 "half-way: load its last save");
}

template <Backbone B>
template <class Change>
void ContinualLearner<B>::commit(Records next, const Change& change, std::uint64_t steps) {
  expect_not_torn();
  const std::scoped_lock lock(change_mutex_);
  const auto table = router_.table();
  try {
    change();
    next.settle(hooks_.reviews.get());
    published_.store(make_snapshot(std::move(next), published_.load()->changes() + steps));
  } catch (...) {
    is_torn_ = router_.table() != table;
    throw;
  }
}

template <Backbone B>
template <class T>
void ContinualLearner<B>::republish_with(T& part, T value) {
  expect_not_torn();
  const std::scoped_lock lock(change_mutex_);
  std::swap(part, value);
  try {
    published_.store(make_snapshot(records(), published_.load()->changes()));
  } catch (...) {
    std::swap(part, value);
    throw;
  }
}

template <Backbone B>
std::shared_ptr<const Snapshot<typename ContinualLearner<B>::Adaptable>>
ContinualLearner<B>::make_snapshot(Records records, std::uint64_t changes) const {
  auto serving = std::make_shared<typename Snapshot<Adaptable>::Serving>();
  serving->policy = PolicyTable(policy_, *router_.table());
  serving->hooks = hooks_;
  if (hooks_.audit) serving->router_digest = detail::digest_of(router_.table()->weights());
  return std::make_shared<const Snapshot<Adaptable>>(backbone_, router_.table(), std::move(records),
                                                     changes, std::move(serving));
}

template <Backbone B>
std::shared_ptr<detail::DataWatch> ContinualLearner<B>::make_watch(
    std::optional<InspectorState> state) const {
  if (!options_.inspector) return nullptr;
  if (state) {
    return std::make_shared<detail::DataWatch>(
        DataInspector(std::move(*state), *options_.inspector));
  }
  return std::make_shared<detail::DataWatch>(
      DataInspector(static_cast<Index>(backbone_->feature_dim()), *options_.inspector));
}

template <Backbone B>
void ContinualLearner<B>::tell(ChangeEvent event) const {
  if (!hooks_.audit) return;
  event.changes = published_.load()->changes();
  event.router_digest = detail::digest_of(router_.table()->weights());
  hooks_.audit(event);
}

}  // namespace anyssr::inline ANYSSR_ABI
