// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Ways to teach one frozen model tasks one after another. All get the same features of the same
/// texts, and adapters of one shape: a LoRA module on a frozen layer, and heads.

#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/learner/continual_learner.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cl_benchmark/tasks.hpp"

namespace cl_benchmark {

using Learner = anyssr::ContinualLearner<anyssr::TextHashingBackbone<float>>;

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

  virtual void learn(const Task& task) = 0;
  /// @param right_task  place of the task in the order of learning, for a method that is told
  [[nodiscard]] virtual std::vector<Answer> answer(std::span<const std::string> texts,
                                                   anyssr::Index right_task) = 0;
  /// What has to be kept between two tasks, without the frozen model and texts.
  [[nodiscard]] virtual std::size_t stored_bytes() const = 0;
  /// Texts of users that are kept for later tasks.
  [[nodiscard]] virtual std::size_t retained_data_bytes() const { return 0; }
  /// Whether it learns once, when all tasks have come, and has no answers before.
  [[nodiscard]] virtual bool learns_at_the_end() const { return false; }
};

struct MethodSettings {
  std::int64_t dim = 8192;  ///< buckets of the hashed features
  double ridge = 0.3;       ///< of the router, absolute
  std::uint64_t seed = 0;
  int threads = 0;
};

/// A name and what the method does, in one line.
struct MethodName {
  std::string_view name;
  std::string_view meaning;
};

/// All methods, in the order of a report.
[[nodiscard]] std::span<const MethodName> method_names();

/// Methods that share what they learn: `oracle` answers with the adapters of `anyssr`.
class MethodFactory {
 public:
  MethodFactory(const Benchmark& benchmark, const MethodSettings& settings)
      : benchmark_(benchmark), settings_(settings) {}
  /// @throws anyssr::ArgumentError  for an unknown name
  [[nodiscard]] std::unique_ptr<Method> make(std::string_view name);

 private:
  [[nodiscard]] std::shared_ptr<class RoutedLearner> routed(bool balanced);

  const Benchmark& benchmark_;
  MethodSettings settings_;
  std::shared_ptr<class RoutedLearner> plain_;
  std::shared_ptr<class RoutedLearner> balanced_;
};

}  // namespace cl_benchmark
