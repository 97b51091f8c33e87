// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The tasks that `cl_benchmark` learns one after another: texts with answers.

#include <anyssr/core/types.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/warnings.hpp"

namespace cl_benchmark {

/// Warnings of this program.
inline constexpr support::Warner warn("cl_benchmark");

/// Texts, and the number of each one's answer among Benchmark::answers.
struct Rows {
  std::vector<std::string> texts;
  std::vector<anyssr::Index> answers;

  [[nodiscard]] anyssr::Index size() const { return static_cast<anyssr::Index>(texts.size()); }
  void add(std::string text, anyssr::Index answer) {
    texts.push_back(std::move(text));
    answers.push_back(answer);
  }
  void append(const Rows& other) {
    texts.insert(texts.end(), other.texts.begin(), other.texts.end());
    answers.insert(answers.end(), other.answers.begin(), other.answers.end());
  }
};

/// A test row may have an answer that no training row has: it is never answered right.
struct Task {
  std::string name;
  std::vector<anyssr::Index> answers = {};  ///< those of its training rows, ascending
  Rows train = {};
  Rows test = {};
  Rows val = {};  ///< for choosing settings; empty where the data have none
};

/// Sets Task::answers.
void collect_answers(Task& task);

/// Answers are texts, so "positive" of two tasks is one answer: what a language model would say.
struct Benchmark {
  std::vector<std::string> answers;
  std::vector<Task> tasks;                                 ///< in the order of learning
  std::map<std::string, std::vector<std::string>> orders;  ///< names of tasks, by name of the order
  std::vector<std::string> stripped_words = {};  ///< taken out of all texts (templates.hpp), sorted
  /// More training rows of one of the tasks, with the answers of it, that come after all tasks.
  std::optional<Task> second_visit = {};
};

/// A folder of folders, one per task, either TASK/{train,test}.jsonl of {"text", "label"} or the
/// files of TRACE (trace_folder.hpp); `tasks.json`, where there is one, names the tasks and orders
/// of them.
/// @throws anyssr::FormatError  naming every fault with file and line
Benchmark read_folder(const std::string& folder);

/// CLINC150 (data_full.json, domains.json): domains are tasks, intents answers.
/// @throws anyssr::FormatError
Benchmark read_clinc(const std::string& folder);

/// Puts the tasks into an order and drops those that are not in it: "" as they are, "random" by the
/// seed, a name of Benchmark::orders, or names with commas.
/// @throws anyssr::ArgumentError  for a name that is unknown or given twice
void reorder(Benchmark& benchmark, const std::string& order, std::uint64_t seed);

/// The named tasks in that order.
/// @throws anyssr::ArgumentError  for a name that is unknown or given twice
[[nodiscard]] std::vector<Task> in_order(const Benchmark& benchmark,
                                         std::span<const std::string> names);

/// The same tasks in the order that reorder(benchmark, "random", seed) gives.
[[nodiscard]] Benchmark reordered(const Benchmark& benchmark, std::uint64_t seed);

/// Refuses tasks without a row to learn from or to measure on.
/// @throws anyssr::FormatError  naming every one
void expect_measurable(const Benchmark& benchmark);

/// Measures on validation rows instead of the test rows, for choosing settings: on Task::val, or
/// where that is empty on a share of the training rows of each answer, which are not trained on.
void hold_out(Benchmark& benchmark, double share, std::uint64_t seed);

}  // namespace cl_benchmark
