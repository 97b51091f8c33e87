// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Ways to teach one frozen language model tasks one after another. All share the model, and train
/// LoRA adapters of one shape by the same settings.

#include <anyssr/backbone/llama/llama_backbone.hpp>
#include <anyssr/learner/learner_options.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cl_benchmark/llama_data.hpp"

namespace cl_benchmark {

using Llama = anyssr::LlamaBackbone<float>;

/// What all methods of a run share.
struct LlamaStage {
  const Llama& backbone;
  std::vector<const llama_continual::Task*> tasks;  ///< in the order of learning
  anyssr::LearnerOptions learner;                   ///< with the seed of the run
  anyssr::LlamaPredictOptions answers;              ///< how prompts are answered
};

struct LlamaReply {
  anyssr::LlamaOutput output;
  anyssr::Index task = -1;  ///< the task that it was taken for; -1: the method does not ask
};

/// What learning a task took.
struct LearningCosts {
  double seconds = 0;
  double cpu_seconds = 0;      ///< of all threads
  std::size_t peak_bytes = 0;  ///< of the whole process
};

/// A model that learns. Tasks are numbered by their places in the stage.
class LlamaMethod {
 public:
  LlamaMethod() = default;
  LlamaMethod(const LlamaMethod&) = delete;
  LlamaMethod& operator=(const LlamaMethod&) = delete;
  virtual ~LlamaMethod() = default;

  /// @param task  the one after those learned so far
  virtual LearningCosts learn(std::size_t task) = 0;
  /// @param right_task  for a method that is told
  [[nodiscard]] virtual std::vector<LlamaReply> answer(std::span<const support::Tokens> prompts,
                                                       std::size_t right_task) const = 0;
  /// What has to be kept between two tasks, without the frozen model and texts.
  [[nodiscard]] virtual std::size_t stored_bytes() const = 0;
  /// Texts of users that are kept for later tasks.
  [[nodiscard]] virtual std::size_t retained_data_bytes() const { return 0; }
  /// Whether it learns once, when all tasks have come, and has no answers before.
  [[nodiscard]] virtual bool learns_at_the_end() const { return false; }
  /// Whether one module answers all tasks, those not learned yet too.
  [[nodiscard]] virtual bool answers_ahead() const { return false; }
};

class LlamaLearnerStates;

/// Methods that share what they learn: `oracle` answers with the adapters of `anyssr`.
class LlamaMethodFactory {
 public:
  explicit LlamaMethodFactory(const LlamaStage& stage) : stage_(stage) {}
  /// @param name  one of llama_method_names
  [[nodiscard]] std::unique_ptr<LlamaMethod> make(std::string_view name);

 private:
  const LlamaStage& stage_;
  std::shared_ptr<LlamaLearnerStates> states_ = {};
};

}  // namespace cl_benchmark
