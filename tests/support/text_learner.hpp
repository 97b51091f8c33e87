// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A learner of three small tasks of texts, and whether two learners predict alike.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/learner/continual_learner.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/small_learner.hpp"
#include "support/text_engine.hpp"

namespace anyssr::test {

struct TextLesson {
  std::string task;
  std::vector<std::string> texts;
  std::vector<Index> labels = {0, 1, 0};
};

inline std::vector<TextLesson> text_lessons() {
  return {{"bank", {"pay my bill", "what is my balance", "send money now"}},
          {"post", {"where is my parcel", "the parcel is late", "send a letter"}},
          {"food", {"a table for two", "is there any soup", "send the menu"}}};
}

template <class B>
ContinualLearner<B> text_learner(B backbone) {
  ContinualLearner<B> learner(std::move(backbone), small_learner_options());
  for (const TextLesson& lesson : text_lessons()) {
    learner.learn_task(lesson.task, lesson.texts, lesson.labels);
  }
  return learner;
}

/// Scores, outputs, margins and confidences, one after the other.
template <class Predictions>
Eigen::VectorXd numbers_of_predictions(const Predictions& predictions) {
  std::vector<double> numbers;
  for (const auto& prediction : predictions) {
    for (const double score : prediction.decision.scores) numbers.push_back(score);
    for (const auto value : prediction.output) numbers.push_back(static_cast<double>(value));
    numbers.push_back(prediction.decision.margin);
    numbers.push_back(prediction.decision.confidence);
  }
  return Eigen::Map<Eigen::VectorXd>(numbers.data(), static_cast<Index>(numbers.size()));
}

template <class Predictions>
std::vector<std::string> chosen_tasks(const Predictions& predictions) {
  std::vector<std::string> tasks;
  for (const auto& prediction : predictions) tasks.push_back(prediction.task);
  return tasks;
}

/// Same tasks, and all numbers the same to `tolerance`; 0: the same bits.
template <class A, class B>
void check_same_predictions(const A& a, const B& b, std::span<const std::string> queries,
                            double tolerance = 0) {
  const auto from_a = a.predict(queries);
  const auto from_b = b.predict(queries);
  CHECK(chosen_tasks(from_a) == chosen_tasks(from_b));
  const Eigen::VectorXd numbers = numbers_of_predictions(from_a);
  const Eigen::VectorXd expected = numbers_of_predictions(from_b);
  REQUIRE(numbers.size() == expected.size());
  if (tolerance == 0) {
    CHECK(numbers == expected);
  } else {
    CHECK(relative_error(numbers, expected) < tolerance);
  }
}

}  // namespace anyssr::test
