// SPDX-License-Identifier: MIT
#include "cl_benchmark/single_module.hpp"

#include <algorithm>
#include <anyssr/baselines/orthogonal_subspaces.hpp>
#include <anyssr/baselines/quadratic_anchor.hpp>
#include <anyssr/core/random.hpp>
#include <anyssr/learner/task_subspaces.hpp>
#include <anyssr/train/train_adapter.hpp>
#include <functional>
#include <map>
#include <utility>

#include "cl_benchmark/kept_rows.hpp"

namespace cl_benchmark {

using namespace anyssr;

namespace {

using Gradient = AdapterGradient<float>;
using AddPenalty = std::function<void(const Adapter<float>&, Gradient&)>;

/// One adapter for all answers of all tasks.
class SingleModule : public Method {
 public:
  SingleModule(const Encoded& encoded, const MethodSettings& settings)
      : model_(encoded.model), settings_(settings) {
    // the width of the head is that of the largest answer that is learned, as the closed form has it
    std::vector<Index> targets{0, 1};
    for (const EncodedTask& task : encoded.tasks) targets.push_back(task.task->answers.back());
    adapter_ = model_.make_adapter(targets, LearnerOptions().adapter,
                                   hash_bytes("single module", settings.seed));
  }

  [[nodiscard]] std::vector<Answer> answer(const Trunk& questions, Index /*right_task*/) override {
    const std::vector<AdapterMix<float>> mixes(static_cast<std::size_t>(questions.features.rows()),
                                               AdapterMix<float>(adapter_));
    std::vector<Answer> answers;
    for (const auto& output : model_.forward(questions, mixes)) {
      Index best = 0;
      output.maxCoeff(&best);
      answers.push_back({.answer = best});
    }
    return answers;
  }
  [[nodiscard]] Answer ask(const std::string& text, Index right_task) override {
    return answer(model_.trunk(std::span(&text, 1)), right_task).front();
  }
  [[nodiscard]] std::size_t stored_bytes() const override { return adapter_.bytes(); }
  [[nodiscard]] bool answers_ahead() const override { return true; }

 protected:
  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] const MethodSettings& settings() const { return settings_; }
  [[nodiscard]] Adapter<float>& adapter() { return adapter_; }
  [[nodiscard]] const Adapter<float>& adapter() const { return adapter_; }

  void train(const Trunk& trunk, const std::vector<Index>& answers, std::string_view name) {
    train(model_, trunk, answers, name);
  }
  void train(const EncodedTask& task, const AddPenalty& add) {
    const PenalisedBackbone<Model, AddPenalty> penalised(model_, add);
    train(penalised, task.train.trunk, task.train.answers, task.task->name);
  }

 private:
  /// The first time in the subspace of the rows, as the learner does it, then on from there with
  /// all directions free: another task has others.
  template <class Trained>
  void train(const Trained& trained, const Trunk& trunk, const std::vector<Index>& answers,
             std::string_view name) {
    if (!is_trained_) {
      const LearnerOptions as_learner;
      TaskSubspaces<float>().confine(model_, trunk, as_learner.subspace, as_learner.subspace_fit,
                                     adapter_);
    }
    train_adapter(trained, trunk, std::span<const Index>(answers), adapter_, options(name));
    for (auto& [site, module] : adapter_.modules) module.materialise();
    is_trained_ = true;
  }
  [[nodiscard]] TrainOptions options(std::string_view name) const {
    TrainOptions options;
    options.epochs = static_cast<int>(settings_["epochs"]);
    options.rate = settings_["rate"];
    options.seed = hash_bytes(name, settings_.seed);
    return options;
  }

  const Model& model_;
  MethodSettings settings_;
  Adapter<float> adapter_;
  bool is_trained_ = false;
};

/// Rows that were learned, and what they are as texts of users.
class KeptRows {
 public:
  void add(const EncodedTask& task, const Model& model, std::span<const Index> rows) {
    const Trunk picked = model.select(task.train.trunk, rows);
    trunk_ = answers_.empty() ? picked : joined(trunk_, picked);
    for (const Index row : rows) {
      answers_.push_back(task.train.answers[static_cast<std::size_t>(row)]);
      bytes_ += task.task->train.texts[static_cast<std::size_t>(row)].size() + sizeof(Index);
    }
  }
  [[nodiscard]] bool is_empty() const { return answers_.empty(); }
  [[nodiscard]] const Trunk& trunk() const { return trunk_; }
  [[nodiscard]] const std::vector<Index>& answers() const { return answers_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  Trunk trunk_;
  std::vector<Index> answers_;
  std::size_t bytes_ = 0;
};

/// Trains on task after task, with so many rows per answer of each earlier one; 0: none.
class Replay : public SingleModule {
 public:
  Replay(const Encoded& encoded, const MethodSettings& settings, Index kept_per_answer)
      : SingleModule(encoded, settings),
        kept_per_answer_(kept_per_answer),
        random_(settings.seed, 1) {}

  void learn(const EncodedTask& task) override {
    if (kept_.is_empty()) {
      train(task.train.trunk, task.train.answers, task.task->name);
    } else {
      std::vector<Index> answers = task.train.answers;
      answers.insert(answers.end(), kept_.answers().begin(), kept_.answers().end());
      train(joined(task.train.trunk, kept_.trunk()), answers, task.task->name);
    }
    if (kept_per_answer_ == 0) return;
    kept_.add(task, model(), rows_to_keep(task.train.answers, kept_per_answer_, random_));
  }
  [[nodiscard]] std::size_t retained_data_bytes() const override { return kept_.bytes(); }

 private:
  Index kept_per_answer_;
  RandomStream random_;
  KeptRows kept_;
};

/// Sees the rows of all tasks at once.
class Joint : public SingleModule {
 public:
  Joint(const Encoded& encoded, const MethodSettings& settings)
      : SingleModule(encoded, settings), to_come_(lessons_of(encoded).size()) {}

  void learn(const EncodedTask& task) override {
    std::vector<Index> all(task.train.answers.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<Index>(i);
    kept_.add(task, model(), all);
    if (--to_come_ > 0) return;
    train(kept_.trunk(), kept_.answers(), "joint");
    model().fit_closed_form(kept_.trunk(), std::span<const Index>(kept_.answers()), adapter());
  }
  [[nodiscard]] bool learns_at_the_end() const override { return true; }
  [[nodiscard]] bool answers_ahead() const override { return false; }
  [[nodiscard]] std::size_t retained_data_bytes() const override { return kept_.bytes(); }

 private:
  std::size_t to_come_;
  KeptRows kept_;
};

/// Trains on task after task, held near what it was (ewc, l2).
class Anchored : public SingleModule {
 public:
  Anchored(const Encoded& encoded, const MethodSettings& settings, bool by_fisher)
      : SingleModule(encoded, settings),
        anchor_(settings[by_fisher ? "ewc" : "l2"]),
        by_fisher_(by_fisher) {}

  void learn(const EncodedTask& task) override {
    train(task, [this](const Adapter<float>& adapter, Gradient& gradient) {
      anchor_.add_gradient(adapter, gradient);
    });
    if (by_fisher_) {
      anchor_.add(adapter(),
                  fisher_information(model(), task.train.trunk,
                                     std::span<const Index>(task.train.answers), adapter()));
    } else {
      anchor_.add(adapter());
    }
  }
  [[nodiscard]] std::size_t stored_bytes() const override {
    return SingleModule::stored_bytes() + anchor_.bytes();
  }

 private:
  QuadraticAnchor<float> anchor_;
  bool by_fisher_;
};

/// Another block of rank for each task, apart from those before (o_lora).
class BlockPerTask : public SingleModule {
 public:
  using SingleModule::SingleModule;

  void learn(const EncodedTask& task) override {
    Index earlier = 0;
    for (auto& [site, module] : adapter().modules) {
      if (!is_first_) {
        earlier = module.rank();
        module = with_another_block(module, LearnerOptions().adapter.lora.rank,
                                    hash_bytes(task.task->name + site, settings().seed));
      }
    }
    is_first_ = false;
    const OrthogonalSubspaces<float> apart(settings()["o_lora"], earlier);
    train(task, [&apart](const Adapter<float>& adapter, Gradient& gradient) {
      apart.add_gradient(adapter, gradient);
    });
  }

 private:
  bool is_first_ = true;
};

}  // namespace

std::unique_ptr<Method> make_single_module(std::string_view name, const Encoded& encoded,
                                           const MethodSettings& settings) {
  if (name == "joint") return std::make_unique<Joint>(encoded, settings);
  if (name == "seq_lora") return std::make_unique<Replay>(encoded, settings, 0);
  if (name == "replay_20") return std::make_unique<Replay>(encoded, settings, 20);
  if (name == "replay_100") return std::make_unique<Replay>(encoded, settings, 100);
  if (name == "ewc") return std::make_unique<Anchored>(encoded, settings, true);
  if (name == "l2") return std::make_unique<Anchored>(encoded, settings, false);
  if (name == "o_lora") return std::make_unique<BlockPerTask>(encoded, settings);
  return nullptr;
}

}  // namespace cl_benchmark
