// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the tests of a task's life share: a learner of small tasks, the joint fit of what it was
/// taught, its answers to fresh queries, and what a refused call must leave as it was.

#include <initializer_list>
#include <string>
#include <vector>

#include "anyssr/learner/continual_learner.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/small_learner.hpp"

namespace anyssr::test {

/// A learner of task-0 .. task-(count - 1), 24 rows and two labels each: columns 3 t to 3 t + 2.
template <class S>
PointLearner<S> living_learner(Index count = 3) {
  auto learner = small_learner<S>();
  learn_small_tasks<S>(learner, 0, count);
  return learner;
}

/// Rows with their columns of ones, fitted at once the slow way.
class LifeFit {
 public:
  template <class X>
  void add(const X& row, std::initializer_list<Index> columns) {
    rows_.push_back(row.template cast<double>());
    ones_.emplace_back(columns);
  }
  /// All rows of a task at columns first, and first + 1 + label.
  template <class S>
  void add(const PointTask<S>& task, Index first) {
    for (std::size_t i = 0; i < task.inputs.size(); ++i) {
      add(task.inputs[i], {first, first + 1 + task.labels[i]});
    }
  }
  [[nodiscard]] Eigen::MatrixXd weights(Index columns) const {
    const auto count = static_cast<Index>(rows_.size());
    Eigen::MatrixXd x(count, small_dim);
    Eigen::MatrixXd y = Eigen::MatrixXd::Zero(count, columns);
    for (Index i = 0; i < count; ++i) {
      x.row(i) = rows_[static_cast<std::size_t>(i)];
      for (const Index column : ones_[static_cast<std::size_t>(i)]) y(i, column) = 1;
    }
    return joint_fit(x, y, 0.3);
  }

 private:
  std::vector<RowVector<double>> rows_;
  std::vector<std::vector<Index>> ones_;
};

/// Of task-0 .. task-(count - 1) as living_learner learns them.
template <class S>
LifeFit fit_of_tasks(Index count) {
  LifeFit fit;
  for (Index t = 0; t < count; ++t) fit.add(small_task<S>(t), 3 * t);
  return fit;
}

template <class S>
double weight_error(const PointLearner<S>& learner, const LifeFit& fit) {
  const auto& weights = learner.router().table()->weights();
  return relative_error(weights, fit.weights(weights.cols()));
}

/// eps times the condition of the Gram, about 1e5 here.
template <class S>
double life_tolerance() {
  return round_off<S>(1e5);
}

/// All decisions, scores and answers for fresh queries of some tasks.
template <class S>
std::vector<Prediction<Vector<S>>> fresh_predictions(const PointLearner<S>& learner, Index tasks) {
  std::vector<RowVector<S>> queries;
  for (Index t = 0; t < tasks; ++t) {
    const auto fresh = small_rows<S>({.task = t, .rows = 10, .sample = 50});
    queries.insert(queries.end(), fresh.inputs.begin(), fresh.inputs.end());
  }
  return learner.predict(queries);
}

template <class Predictions>
bool same_predictions(const Predictions& left, const Predictions& right) {
  bool same = left.size() == right.size();
  for (std::size_t i = 0; same && i < left.size(); ++i) {
    same = left[i].task == right[i].task && left[i].decision.scores == right[i].decision.scores &&
           left[i].decision.confidence == right[i].decision.confidence &&
           left[i].output == right[i].output;
  }
  return same;
}

/// The message of a refused call, and that it left the learner as it was.
template <class E, class S, class Action>
std::string refusal_of(const PointLearner<S>& learner, const Action& action) {
  const Learned<S> before(learner);
  const std::string message = message_of<E>(action);
  CHECK((Learned<S>(learner) == before));
  return message;
}

}  // namespace anyssr::test
