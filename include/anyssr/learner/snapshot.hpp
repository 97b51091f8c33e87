// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What predictions read: the learner's state of one moment, immutable. Any number of threads may
/// use one; it stays as it was while the learner goes on learning.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/threads.hpp"
#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/lora/adapter_handle.hpp"
#include "anyssr/router/routing_table.hpp"
#include "anyssr/serving/decision_record.hpp"
#include "anyssr/serving/task_records.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// The answer to one query and how it came about.
template <class Output>
struct Prediction {
  std::string task;          ///< name of the chosen task
  RoutingDecision decision;  ///< scores, margin, confidence, novelty, outcome
  Output output;  ///< what the backbone answers under the task's adapter, under two of them for
                  ///< blend; for review a proposal; for fallback what the policy says
};

template <AdaptableBackbone B>
class Snapshot {
 public:
  using Scalar = typename B::Scalar;
  using Input = typename B::Input;
  using Output = typename B::Output;
  using PredictOptions = typename B::PredictOptions;
  using AdapterPointer = typename AdapterHandle<Scalar>::Pointer;
  using Records = detail::TaskRecords<Scalar, Input>;
  using Serving = detail::Serving<Input, Output>;
  /// One per task, in the table's order.
  using Handles = AdapterHandles<Scalar>;

  Snapshot(std::shared_ptr<const B> backbone, std::shared_ptr<const RoutingTable<Scalar>> table,
           Records records, std::uint64_t changes, std::shared_ptr<const Serving> serving) noexcept
      : backbone_(std::move(backbone)),
        table_(std::move(table)),
        records_(std::move(records)),
        serving_(std::move(serving)),
        changes_(changes) {}

  // A temporary snapshot hands out copies, or nothing: a reference would dangle.
  [[nodiscard]] const B& backbone() const& noexcept { return *backbone_; }
  [[nodiscard]] const std::vector<RoutedTask>& tasks() const& noexcept { return table_->tasks(); }
  [[nodiscard]] const RoutingTable<Scalar>& table() const& noexcept { return *table_; }
  /// What follows each task: for the learner and its parts.
  [[nodiscard]] const Records& records() const& noexcept { return records_; }
  void backbone() const&& = delete;
  void table() const&& = delete;
  [[nodiscard]] std::vector<RoutedTask> tasks() const&& { return table_->tasks(); }
  [[nodiscard]] Records records() const&& { return records_; }
  [[nodiscard]] Handles handles() const { return records_.handles(); }

  /// What becomes of queries.
  [[nodiscard]] const RoutingPolicy& policy() const& noexcept { return serving_->policy.policy(); }
  [[nodiscard]] RoutingPolicy policy() const&& { return serving_->policy.policy(); }

  /// How many changes led to this state. Each change of the learner counts one; a consolidation
  /// counts the adapters that it changes.
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }

  /// The adapter of a task; it stays in memory as long as the pointer lives.
  /// @throws TaskError  for an unknown name; FileError, FormatError where it has to be loaded and
  ///         cannot be
  [[nodiscard]] AdapterPointer adapter(std::string_view task) const {
    return records_[index_of(task)].adapter->get();
  }

  /// Routes every query and answers it as the policy says; the trunk is computed once. The adapters
  /// of all tasks that come out are in memory at once, for the time of the call.
  /// @throws TaskError  before the first task; ShapeError for another number of ids; what the
  ///         backbone throws for a bad input; FileError, FormatError where an adapter has to be
  ///         loaded and cannot be
  [[nodiscard]] std::vector<Prediction<Output>> predict(std::span<const Input> inputs,
                                                        const PredictOptions& options = {},
                                                        const QueryContext& context = {}) const;

  /// Answers under the adapter of a named task, without routing.
  /// @throws as adapter()
  [[nodiscard]] std::vector<Output> predict_as(std::string_view task, std::span<const Input> inputs,
                                               const PredictOptions& options = {}) const;

  /// Routes without answering, and without a word to log, review or usage.
  [[nodiscard]] std::vector<RoutingDecision> decide(std::span<const Input> inputs) const;

 private:
  template <class F>
  [[nodiscard]] std::vector<RoutingDecision> decide_on(const F& features) const;

  [[nodiscard]] bool is_callers(const RoutingDecision& decision) const {
    return decision.outcome == RoutingOutcome::fallback &&
           policy().fallback == FallbackKind::caller && serving_->hooks.fallback;
  }

  /// The adapters that answer after a decision, held in memory.
  [[nodiscard]] AdapterMix<Scalar> mix_for(const RoutingDecision& decision,
                                           std::vector<AdapterPointer>& held) const;

  [[nodiscard]] std::size_t index_of(std::string_view name) const;

  std::shared_ptr<const B> backbone_;
  std::shared_ptr<const RoutingTable<Scalar>> table_;
  Records records_;                         // one per task of the table, in its order
  std::shared_ptr<const Serving> serving_;  // never null
  std::uint64_t changes_;
};

template <AdaptableBackbone B>
std::vector<Prediction<typename Snapshot<B>::Output>> Snapshot<B>::predict(
    std::span<const Input> inputs, const PredictOptions& options,
    const QueryContext& context) const {
  if (!context.ids.empty()) {
    detail::expect_count("ids", context.ids.size(), static_cast<Index>(inputs.size()));
  }
  if (inputs.empty()) return {};
  const detail::SerialEigen serial;
  const typename B::Trunk trunk = backbone_->trunk(inputs);
  const auto& features = backbone_->features(trunk);
  std::vector<RoutingDecision> decisions = decide_on(features);
  std::vector<AdapterPointer> held(records_.size());  // null: not needed
  std::vector<AdapterMix<Scalar>> mixes;
  mixes.reserve(decisions.size());
  for (const RoutingDecision& decision : decisions) mixes.push_back(mix_for(decision, held));
  std::vector<Output> outputs = backbone_->forward(trunk, mixes, options);
  std::vector<Prediction<Output>> predictions;
  predictions.reserve(decisions.size());
  for (std::size_t i = 0; i < decisions.size(); ++i) {
    const RoutedTask& task = tasks()[static_cast<std::size_t>(decisions[i].task)];
    if (is_callers(decisions[i])) outputs[i] = serving_->hooks.fallback(inputs[i], decisions[i]);
    predictions.push_back({task.name, std::move(decisions[i]), std::move(outputs[i])});
  }
  // what of the caller's may throw is before what is counted and logged
  const std::vector<std::string> bytes = serving_->bytes_of(inputs);
  records_.observe(features, predictions);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    records_.count(predictions[i].decision);
    serving_->tell(tasks(), changes_, inputs[i], bytes[i],
                   context.ids.empty() ? std::string_view() : context.ids[i],
                   predictions[i].decision);
  }
  return predictions;
}

template <AdaptableBackbone B>
std::vector<typename Snapshot<B>::Output> Snapshot<B>::predict_as(
    std::string_view task, std::span<const Input> inputs, const PredictOptions& options) const {
  const AdapterPointer chosen = adapter(task);
  if (inputs.empty()) return {};
  const detail::SerialEigen serial;
  const std::vector<AdapterMix<Scalar>> mixes(inputs.size(), AdapterMix<Scalar>(*chosen));
  return backbone_->forward(backbone_->trunk(inputs), mixes, options);
}

template <AdaptableBackbone B>
std::vector<RoutingDecision> Snapshot<B>::decide(std::span<const Input> inputs) const {
  if (inputs.empty()) return {};
  return decide_on(backbone_->features(backbone_->trunk(inputs)));
}

template <AdaptableBackbone B>
template <class F>
std::vector<RoutingDecision> Snapshot<B>::decide_on(const F& features) const {
  RoutingWorkspace<Scalar> workspace;
  std::vector<RoutingDecision> decisions;
  table_->decide(features, workspace, decisions);
  for (RoutingDecision& decision : decisions) serving_->policy.apply(decision);
  return decisions;
}

template <AdaptableBackbone B>
AdapterMix<typename Snapshot<B>::Scalar> Snapshot<B>::mix_for(
    const RoutingDecision& decision, std::vector<AdapterPointer>& held) const {
  const auto adapter_of = [&](Index task) -> const Adapter<Scalar>& {
    AdapterPointer& adapter = held[static_cast<std::size_t>(task)];
    if (!adapter) adapter = records_[static_cast<std::size_t>(task)].adapter->get();
    return *adapter;
  };
  AdapterMix<Scalar> mix;
  if (decision.outcome == RoutingOutcome::fallback) {
    const bool by_task = policy().fallback == FallbackKind::default_task;
    if (by_task) mix.add(&adapter_of(serving_->policy.default_task()));
  } else if (decision.outcome == RoutingOutcome::blend) {
    const double second = serving_->policy.runner_up_confidence(decision);
    const double total = decision.confidence + second;
    mix.add(&adapter_of(decision.task), decision.confidence / total);
    mix.add(&adapter_of(decision.runner_up), second / total);
  } else {
    mix.add(&adapter_of(decision.task));
  }
  return mix;
}

template <AdaptableBackbone B>
std::size_t Snapshot<B>::index_of(std::string_view name) const {
  for (std::size_t t = 0; t < tasks().size(); ++t) {
    if (tasks()[t].name == name) return t;
  }
  std::string known;
  for (const RoutedTask& task : tasks()) known += (known.empty() ? "" : ", ") + task.name;
  detail::raise<TaskError>("task '", name, "' is unknown, expected one of: ",
                           known.empty() ? "(none learned yet)" : known);
}

}  // namespace anyssr::inline ANYSSR_ABI
