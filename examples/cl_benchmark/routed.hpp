// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The learner of this library as `cl_benchmark` uses it, and methods that share its adapters.

#include <memory>
#include <string>
#include <vector>

#include "cl_benchmark/methods.hpp"

namespace cl_benchmark {

/// The task that the router takes each row for.
[[nodiscard]] std::vector<anyssr::Index> tasks_for(const anyssr::AnalyticRouter<float>& router,
                                                   const anyssr::SparseRows<float>& features);

/// Numbers of the answers of a task's training rows within the task.
[[nodiscard]] std::vector<anyssr::Index> labels_of(const Task& task);

/// Labels of a task are numbered within it.
class RoutedLearner {
 public:
  RoutedLearner(const Model& model, const MethodSettings& settings);

  /// Another method that shares the learner finds the task learned.
  void learn(const EncodedTask& task);
  /// More rows of a task; also once, whoever shares the learner. Its adapter stays as it is.
  void extend(const EncodedTask& task);

  [[nodiscard]] std::vector<anyssr::Index> route(const Trunk& questions) const;
  /// Each question by the adapter of the task that it is taken for.
  [[nodiscard]] std::vector<Answer> answer_as(const Trunk& questions,
                                              std::span<const anyssr::Index> tasks) const;
  /// From a text, by Learner::predict and Learner::predict_as.
  [[nodiscard]] Answer ask(const std::string& text) const;
  [[nodiscard]] Answer ask_as(const std::string& text, anyssr::Index task) const;

  [[nodiscard]] const Learner& learner() const { return learner_; }
  [[nodiscard]] const Model& model() const { return model_; }
  /// Answers of the places of a task's head.
  [[nodiscard]] const std::vector<anyssr::Index>& answers_of(anyssr::Index task) const {
    return tasks_[static_cast<std::size_t>(task)].answers;
  }
  /// Of the adapters of the first tasks.
  [[nodiscard]] std::size_t adapter_bytes(anyssr::Index tasks) const;
  [[nodiscard]] std::size_t bytes() const { return learner_.storage().total(); }

 private:
  [[nodiscard]] Answer answer_of(anyssr::Index task, const anyssr::Vector<float>& output) const;

  struct Known {
    std::string name;
    std::vector<anyssr::Index> answers;
  };
  const Model& model_;
  Learner learner_;
  std::vector<Known> tasks_ = {};
  bool is_extended_ = false;
};

/// A method of `method_names` that answers with the adapters of the learner; none: another name.
[[nodiscard]] std::unique_ptr<Method> make_routed(std::string_view name,
                                                  std::shared_ptr<RoutedLearner> learner,
                                                  const MethodSettings& settings);

}  // namespace cl_benchmark
