// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What predictions read: the learner's state of one moment, immutable. Any number of threads may
/// use one; it stays as it was while the learner goes on learning.

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/lora/adapter_handle.hpp"
#include "anyssr/router/routing_table.hpp"

namespace anyssr::inline v0 {

/// The answer to one query and how it came about.
template <class Output>
struct Prediction {
  std::string task;          ///< name of the chosen task
  RoutingDecision decision;  ///< scores, margin, confidence
  Output output;             ///< what the backbone answers under the task's adapter
};

template <AdaptableBackbone B>
class Snapshot {
 public:
  using Scalar = typename B::Scalar;
  using Input = typename B::Input;
  using Output = typename B::Output;
  using PredictOptions = typename B::PredictOptions;
  using AdapterPointer = typename AdapterHandle<Scalar>::Pointer;
  /// One a task, in the table's order.
  using Handles = std::vector<std::shared_ptr<const AdapterHandle<Scalar>>>;

  Snapshot(std::shared_ptr<const B> backbone, std::shared_ptr<const RoutingTable<Scalar>> table,
           Handles handles, std::uint64_t generation) noexcept
      : backbone_(std::move(backbone)),
        table_(std::move(table)),
        handles_(std::move(handles)),
        generation_(generation) {}

  // A temporary snapshot hands out copies, or nothing: a reference would dangle.
  [[nodiscard]] const B& backbone() const& noexcept { return *backbone_; }
  [[nodiscard]] const std::vector<RoutedTask>& tasks() const& noexcept { return table_->tasks(); }
  [[nodiscard]] const RoutingTable<Scalar>& table() const& noexcept { return *table_; }
  [[nodiscard]] const Handles& handles() const& noexcept { return handles_; }
  void backbone() const&& = delete;
  void table() const&& = delete;
  [[nodiscard]] std::vector<RoutedTask> tasks() const&& { return table_->tasks(); }
  [[nodiscard]] Handles handles() const&& { return handles_; }

  /// Grows by one with every change of the learner.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }

  /// The adapter of a task; it stays in memory as long as the pointer lives.
  /// @throws TaskError  for an unknown name; FileError, FormatError where it has to be loaded and
  ///         cannot be
  [[nodiscard]] AdapterPointer adapter(std::string_view task) const {
    return handles_[index_of(task)]->get();
  }

  /// Routes every query and answers it under the adapter of its task; the trunk is computed once.
  /// The adapters of all tasks that come out are in memory at once, for the time of the call.
  /// @throws TaskError  before the first task; what the backbone throws for a bad input; FileError,
  ///         FormatError where an adapter has to be loaded and cannot be
  [[nodiscard]] std::vector<Prediction<Output>> predict(std::span<const Input> inputs,
                                                        const PredictOptions& options = {}) const {
    if (inputs.empty()) return {};
    const typename B::Trunk trunk = backbone_->trunk(inputs);
    std::vector<RoutingDecision> decisions = decide_on(trunk);
    std::vector<AdapterPointer> held(tasks().size());  // null: not needed
    std::vector<AdapterMix<Scalar>> mixes;
    mixes.reserve(decisions.size());
    for (const RoutingDecision& decision : decisions) {
      const auto task = static_cast<std::size_t>(decision.task);
      if (!held[task]) held[task] = handles_[task]->get();
      mixes.emplace_back(*held[task]);
    }
    std::vector<Output> outputs = backbone_->forward(trunk, mixes, options);
    std::vector<Prediction<Output>> predictions;
    predictions.reserve(decisions.size());
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      const RoutedTask& task = tasks()[static_cast<std::size_t>(decisions[i].task)];
      predictions.push_back({task.name, std::move(decisions[i]), std::move(outputs[i])});
    }
    return predictions;
  }

  /// Answers under the adapter of a named task, without routing.
  /// @throws as adapter()
  [[nodiscard]] std::vector<Output> predict_as(std::string_view task, std::span<const Input> inputs,
                                               const PredictOptions& options = {}) const {
    const AdapterPointer chosen = adapter(task);
    if (inputs.empty()) return {};
    const std::vector<AdapterMix<Scalar>> mixes(inputs.size(), AdapterMix<Scalar>(*chosen));
    return backbone_->forward(backbone_->trunk(inputs), mixes, options);
  }

  /// Routes without answering.
  [[nodiscard]] std::vector<RoutingDecision> decide(std::span<const Input> inputs) const {
    if (inputs.empty()) return {};
    return decide_on(backbone_->trunk(inputs));
  }

 private:
  [[nodiscard]] std::vector<RoutingDecision> decide_on(const typename B::Trunk& trunk) const {
    RoutingWorkspace<Scalar> workspace;
    std::vector<RoutingDecision> decisions;
    table_->decide(backbone_->features(trunk), workspace, decisions);
    return decisions;
  }

  [[nodiscard]] std::size_t index_of(std::string_view name) const {
    for (std::size_t t = 0; t < tasks().size(); ++t) {
      if (tasks()[t].name == name) return t;
    }
    std::string known;
    for (const RoutedTask& task : tasks()) known += (known.empty() ? "" : ", ") + task.name;
    detail::raise<TaskError>("task '", name, "' is unknown, expected one of: ",
                             known.empty() ? "(none learned yet)" : known);
  }

  std::shared_ptr<const B> backbone_;
  std::shared_ptr<const RoutingTable<Scalar>> table_;
  Handles handles_;
  std::uint64_t generation_;
};

namespace detail {

/// A mutex of whoever has it: a copy of its owner gets one of its own.
class OwnMutex : public std::mutex {
 public:
  OwnMutex() = default;
  OwnMutex(const OwnMutex& /*other*/) noexcept {}
  OwnMutex& operator=(const OwnMutex& /*other*/) noexcept { return *this; }
};

/// A cell that one thread writes and any number read. (std::atomic<std::shared_ptr> of libstdc++ 12
/// fails ThreadSanitizer.)
template <class T>
class Published {
 public:
  explicit Published(std::shared_ptr<const T> value) noexcept : value_(std::move(value)) {}
  Published(const Published& other) : value_(other.load()) {}
  Published(Published&& other) noexcept : value_(other.load()) {}
  Published& operator=(const Published& other) noexcept {
    store(other.load());
    return *this;
  }
  Published& operator=(Published&& other) noexcept {
    store(other.load());
    return *this;
  }
  ~Published() = default;

  [[nodiscard]] std::shared_ptr<const T> load() const noexcept {
    const std::scoped_lock lock(mutex_);
    return value_;
  }
  void store(std::shared_ptr<const T> value) noexcept {
    const std::scoped_lock lock(mutex_);
    value_.swap(value);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace detail

}  // namespace anyssr::inline v0
