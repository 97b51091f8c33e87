// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The frozen model of `cl_benchmark` and what it makes of the texts, once for all methods of a run.

#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/learner/continual_learner.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cl_benchmark/settings.hpp"
#include "cl_benchmark/tasks.hpp"

namespace cl_benchmark {

using Learner = anyssr::ContinualLearner<anyssr::TextHashingBackbone<float>>;
/// Hashed words, and a frozen layer on them that adapters attach to.
using Model = Learner::Adaptable;
using Trunk = Model::Trunk;

struct EncodedRows {
  Trunk trunk;
  std::vector<anyssr::Index> answers;
};

struct EncodedTask {
  const Task* task = nullptr;  ///< of the benchmark, which must outlive it
  EncodedRows train = {};
  EncodedRows test = {};
  anyssr::Index rows_to_come = 0;  ///< of its second visit
};

struct Encoded {
  Model model;
  std::vector<EncodedTask> tasks = {};
  std::optional<EncodedTask> second_visit = {};  ///< Benchmark::second_visit

  /// Of a task of that name.
  [[nodiscard]] anyssr::Index place_of(const std::string& task) const;
};

/// Rows of a task, as they come.
struct Lesson {
  anyssr::Index place = 0;  ///< of the task in the order of learning
  const EncodedTask* rows = nullptr;
};

/// The tasks, and their second visit.
[[nodiscard]] std::vector<Lesson> lessons_of(const Encoded& encoded);

[[nodiscard]] anyssr::TextHashingBackbone<float> hashed_words(const MethodSettings& settings);
[[nodiscard]] anyssr::LearnerOptions learner_options(const MethodSettings& settings);
[[nodiscard]] Encoded encode(const Benchmark& benchmark, const MethodSettings& settings);

/// The rows of both, one after the other.
[[nodiscard]] anyssr::SparseRows<float> joined_features(const anyssr::SparseRows<float>& first,
                                                        const anyssr::SparseRows<float>& second);
[[nodiscard]] Trunk joined(const Trunk& first, const Trunk& second);

}  // namespace cl_benchmark
