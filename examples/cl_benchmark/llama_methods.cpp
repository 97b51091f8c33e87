// SPDX-License-Identifier: MIT
#include "cl_benchmark/llama_methods.hpp"

#include <algorithm>
#include <anyssr/core/random.hpp>
#include <anyssr/core/stopwatch.hpp>
#include <anyssr/learner/continual_learner.hpp>
#include <anyssr/learner/task_subspaces.hpp>
#include <anyssr/train/train_adapter.hpp>
#include <deque>
#include <utility>

#include "support/process_costs.hpp"

namespace cl_benchmark {

using namespace anyssr;
using support::Tokens;

namespace {

template <class Learn>
LearningCosts costs_of(const Learn& learn) {
  const support::PeakMemory peak;
  const double cpu = support::cpu_seconds();
  const Stopwatch clock;
  learn();
  return {.seconds = clock.seconds(),
          .cpu_seconds = support::cpu_seconds() - cpu,
          .peak_bytes = peak.bytes()};
}

}  // namespace

/// The learner of this library and its state after each task, so that methods share it in any
/// order. A state is adapters and the router's weights: the sums that it learns by are not in it.
class LlamaLearnerStates {
 public:
  struct State {
    Snapshot<Llama> snapshot;
    LearningCosts costs;
    std::size_t bytes = 0;          ///< in all
    std::size_t adapter_bytes = 0;  ///< of these
  };

  explicit LlamaLearnerStates(const LlamaStage& stage)
      : stage_(stage), learner_(stage.backbone, stage.learner) {}

  /// After the task, which is learned once, whoever asks first.
  const State& after(std::size_t task) {
    while (states_.size() <= task) learn(*stage_.tasks[states_.size()]);
    return states_[task];
  }

 private:
  void learn(const llama_continual::Task& task) {
    const LearningCosts costs = costs_of([&] {
      const std::vector<Tokens> prompts = llama_continual::prompts_of(task.train);
      const std::vector<Tokens> answers = llama_continual::answers_of(task.train);
      learner_.learn_task(task.name, prompts, answers);
    });
    const StorageReport storage = learner_.storage();
    State state{.snapshot = learner_.snapshot(), .costs = costs, .bytes = storage.total()};
    for (const std::size_t bytes : storage.adapter_bytes) state.adapter_bytes += bytes;
    states_.push_back(std::move(state));
  }

  const LlamaStage& stage_;
  ContinualLearner<Llama> learner_;
  std::deque<State> states_ = {};  // methods point into it
};

namespace {

/// anyssr, and with the right task told, oracle. Both report what it took to learn with the router.
class RoutedLlama : public LlamaMethod {
 public:
  RoutedLlama(const LlamaStage& stage, std::shared_ptr<LlamaLearnerStates> states, bool is_told)
      : stage_(stage), states_(std::move(states)), is_told_(is_told) {}

  LearningCosts learn(std::size_t task) override {
    state_ = &states_->after(task);
    return state_->costs;
  }
  [[nodiscard]] std::vector<LlamaReply> answer(std::span<const Tokens> prompts,
                                               std::size_t right_task) const override {
    std::vector<LlamaReply> replies;
    if (is_told_) {
      const std::string& name = stage_.tasks[right_task]->name;
      for (LlamaOutput& output : state_->snapshot.predict_as(name, prompts, stage_.answers)) {
        replies.push_back({std::move(output), static_cast<Index>(right_task)});
      }
    } else {
      for (auto& prediction : state_->snapshot.predict(prompts, stage_.answers)) {
        replies.push_back({std::move(prediction.output), prediction.decision.task});
      }
    }
    return replies;
  }
  [[nodiscard]] std::size_t stored_bytes() const override {
    return is_told_ ? state_->adapter_bytes : state_->bytes;
  }

 private:
  const LlamaStage& stage_;
  std::shared_ptr<LlamaLearnerStates> states_;
  bool is_told_;
  const LlamaLearnerStates::State* state_ = nullptr;  // after the last task that was learned
};

/// Prompts with their answers.
struct LlamaRows {
  std::vector<Tokens> prompts;
  std::vector<Tokens> answers;
  std::size_t bytes = 0;

  void add(const llama_continual::Item& item) {
    prompts.push_back(item.prompt.ids);
    answers.push_back(item.answer.ids);
    bytes += kept_bytes(item);
  }
  void add(const std::vector<llama_continual::Item>& items) {
    for (const llama_continual::Item& item : items) add(item);
  }
};

/// One adapter for all tasks.
class SingleAdapter : public LlamaMethod {
 public:
  explicit SingleAdapter(const LlamaStage& stage)
      : stage_(stage),
        adapter_(stage.backbone.make_adapter({}, stage.learner.adapter,
                                             hash_bytes("single adapter", stage.learner.seed))) {}

  [[nodiscard]] std::vector<LlamaReply> answer(std::span<const Tokens> prompts,
                                               std::size_t /*right_task*/) const override {
    const std::vector<AdapterMix<float>> mixes(prompts.size(), AdapterMix<float>(adapter_));
    std::vector<LlamaReply> replies;
    for (LlamaOutput& output :
         stage_.backbone.forward(stage_.backbone.trunk(prompts), mixes, stage_.answers)) {
      replies.push_back({.output = std::move(output)});
    }
    return replies;
  }
  [[nodiscard]] std::size_t stored_bytes() const override { return adapter_.bytes(); }

 protected:
  [[nodiscard]] const LlamaStage& stage() const { return stage_; }

  /// The first time in the subspace of the rows, as the learner has it, then on from there with
  /// all directions free: another task has others.
  void train(const LlamaRows& rows, std::string_view name) {
    const Llama::Trunk trunk = stage_.backbone.training_trunk(rows.prompts, rows.answers);
    if (!is_trained_) {
      TaskSubspaces<float>().confine(stage_.backbone, trunk, stage_.learner.subspace,
                                     stage_.learner.subspace_fit, adapter_);
    }
    TrainOptions options = stage_.learner.train;
    options.seed = hash_bytes(name, stage_.learner.seed);
    train_adapter(stage_.backbone, trunk, std::span<const Tokens>(rows.answers), adapter_, options);
    for (auto& [site, module] : adapter_.modules) module.materialise();
    is_trained_ = true;
  }

 private:
  const LlamaStage& stage_;
  Adapter<float> adapter_;
  bool is_trained_ = false;
};

/// Trains on task after task, with so many rows of each earlier one; 0: none.
class ReplayedRows : public SingleAdapter {
 public:
  ReplayedRows(const LlamaStage& stage, Index rows_per_task)
      : SingleAdapter(stage), rows_per_task_(rows_per_task), random_(stage.learner.seed, 1) {}

  LearningCosts learn(std::size_t task) override {
    return costs_of([&] {
      const llama_continual::Task& current = *stage().tasks[task];
      LlamaRows rows = kept_;
      rows.add(current.train);
      train(rows, current.name);
      if (rows_per_task_ > 0) keep(current.train);
    });
  }
  [[nodiscard]] std::size_t retained_data_bytes() const override { return kept_.bytes; }
  [[nodiscard]] bool answers_ahead() const override { return true; }

 private:
  void keep(const std::vector<llama_continual::Item>& items) {
    auto order = random_permutation(static_cast<Index>(items.size()), random_);
    order.resize(std::min(order.size(), static_cast<std::size_t>(rows_per_task_)));
    for (const Index row : order) kept_.add(items[static_cast<std::size_t>(row)]);
  }

  Index rows_per_task_;
  RandomStream random_;
  LlamaRows kept_ = {};
};

/// Sees the rows of all tasks at once.
class JointAdapter : public SingleAdapter {
 public:
  using SingleAdapter::SingleAdapter;

  LearningCosts learn(std::size_t task) override {
    return costs_of([&] {
      kept_.add(stage().tasks[task]->train);
      if (task + 1 == stage().tasks.size()) train(kept_, "joint");
    });
  }
  [[nodiscard]] bool learns_at_the_end() const override { return true; }
  [[nodiscard]] std::size_t retained_data_bytes() const override { return kept_.bytes; }

 private:
  LlamaRows kept_ = {};
};

}  // namespace

std::unique_ptr<LlamaMethod> LlamaMethodFactory::make(std::string_view name) {
  expect_llama_method(name);
  if (name == "joint") return std::make_unique<JointAdapter>(stage_);
  if (name == "seq_lora") return std::make_unique<ReplayedRows>(stage_, 0);
  if (name == "replay_20") return std::make_unique<ReplayedRows>(stage_, 20);
  if (name == "replay_100") return std::make_unique<ReplayedRows>(stage_, 100);
  if (!states_) states_ = std::make_shared<LlamaLearnerStates>(stage_);
  return std::make_unique<RoutedLlama>(stage_, states_, name == "oracle");
}

}  // namespace cl_benchmark
