// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Ways to teach one frozen model tasks one after another. All get the same features of the same
/// texts, and adapters of one shape: a LoRA module on a frozen layer, and heads.

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cl_benchmark/encoded.hpp"

namespace cl_benchmark {

struct Answer {
  anyssr::Index answer = -1;  ///< number among Benchmark::answers
  anyssr::Index task = -1;    ///< the task that it was taken for; -1: the method does not ask
};

/// A model that learns.
class Method {
 public:
  Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;
  virtual ~Method() = default;

  /// Before the first task, for a method that answers with the adapters of `anyssr` and does not
  /// count their time as its own.
  virtual void get_adapters(const Encoded& /*encoded*/) {}
  virtual void learn(const EncodedTask& task) = 0;
  /// More rows of a task that it has learned, which stands at that place.
  virtual void learn_more(anyssr::Index /*place*/, const EncodedTask& task) { learn(task); }
  /// @param right_task  place of the task in the order of learning, for a method that is told
  [[nodiscard]] virtual std::vector<Answer> answer(const Trunk& questions,
                                                   anyssr::Index right_task) = 0;
  /// From a text to its answer: what a query costs.
  [[nodiscard]] virtual Answer ask(const std::string& text, anyssr::Index right_task) = 0;
  /// What has to be kept between two tasks, without the frozen model and texts.
  [[nodiscard]] virtual std::size_t stored_bytes() const = 0;
  /// Texts of users that are kept for later tasks.
  [[nodiscard]] virtual std::size_t retained_data_bytes() const { return 0; }
  /// Whether it learns once, when all tasks have come, and has no answers before.
  [[nodiscard]] virtual bool learns_at_the_end() const { return false; }
  /// Whether one module answers all tasks, those not learned yet too.
  [[nodiscard]] virtual bool answers_ahead() const { return false; }
};

class RoutedLearner;

/// Methods that share what they learn: `oracle` answers with the adapters of `anyssr`.
class MethodFactory {
 public:
  MethodFactory(const Encoded& encoded, const MethodSettings& settings)
      : encoded_(encoded), settings_(settings) {}
  /// @throws anyssr::ArgumentError  for an unknown name
  [[nodiscard]] std::unique_ptr<Method> make(std::string_view name);
  /// The learner behind `anyssr` and what shares its adapters.
  [[nodiscard]] std::shared_ptr<RoutedLearner> routed();

 private:
  const Encoded& encoded_;
  MethodSettings settings_;
  std::shared_ptr<RoutedLearner> learner_;
};

}  // namespace cl_benchmark
