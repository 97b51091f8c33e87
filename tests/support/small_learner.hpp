// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A learner that learns a task in a millisecond, and what must be equal where two are the same.

#include <string>
#include <vector>

#include "anyssr/learner/continual_learner.hpp"
#include "support/points.hpp"

namespace anyssr::test {

template <class S>
using PointLearner = ContinualLearner<PointBackbone<S>>;

inline constexpr Index small_dim = 18;

inline LearnerOptions small_learner_options() {
  LearnerOptions options;
  options.router.rls = {.ridge = 0.3, .ridge_scale = RidgeScale::absolute, .threads = 1};
  options.adapter.lora = {.rank = 2, .alpha = 3};
  options.train.epochs = 2;
  options.train.batch = 16;
  options.subspace_fit.rank = 3;
  options.lift.dim = 10;
  options.seed = 0xFEDCBA9876543210U;
  return options;
}

template <class S>
PointLearner<S> small_learner(const LearnerOptions& options = small_learner_options()) {
  return PointLearner<S>(PointBackbone<S>(small_dim), options);
}

template <class S>
PointTask<S> small_task(Index number, Index rows = 24) {
  return point_task<S>(number, rows, small_dim, 5);
}

/// Learns tasks begin..end-1.
template <class S>
void learn_small_tasks(PointLearner<S>& learner, Index begin, Index end) {
  for (Index t = begin; t < end; ++t) {
    const PointTask<S> task = small_task<S>(t);
    learner.learn_task(task.name, task.inputs, task.labels,
                       {.metadata = {{"number", std::to_string(t)}}});
  }
}

/// All that a learner has learned, to be compared bit for bit.
template <class S>
struct Learned {
  explicit Learned(const PointLearner<S>& learner)
      : generation(learner.snapshot().generation()),
        moment(learner.router().regression().second_moment()),
        cross(learner.router().regression().cross_correlation()),
        energy(learner.router().regression().target_energy()),
        temperature(learner.router().table()->temperature()),
        suggested(learner.router().suggest_label_weight()) {
    for (const RoutedTask& task : learner.router().tasks()) {
      tasks.push_back(task.name + " " + std::to_string(task.rows) + " " +
                      std::to_string(task.row_weight) + " " + std::to_string(task.column));
      for (const Index column : task.label_columns) {
        tasks.back() += " " + std::to_string(column);
      }
    }
    const auto snapshot = learner.snapshot();
    for (const auto& handle : snapshot.handles()) adapters.push_back(*handle->get());
    for (const auto& [site, span] : learner.subspaces().spans()) {
      tasks.push_back(site);
      spans.push_back(span);
    }
  }
  [[nodiscard]] bool operator==(const Learned& other) const {
    return generation == other.generation && same_sums(other) && temperature == other.temperature &&
           suggested == other.suggested && adapters == other.adapters && spans == other.spans;
  }
  [[nodiscard]] bool same_sums(const Learned& other) const {
    return tasks == other.tasks && moment == other.moment && cross.cols() == other.cross.cols() &&
           cross == other.cross && energy.size() == other.energy.size() && energy == other.energy;
  }

  std::uint64_t generation;
  Matrix<S> moment;
  Matrix<S> cross;
  Eigen::VectorXd energy;
  double temperature;
  double suggested;
  std::vector<std::string> tasks;
  std::vector<Adapter<S>> adapters;
  std::vector<Matrix<S>> spans;
};

/// Decisions on fresh queries of the first tasks.
template <class S>
std::vector<Index> decisions_of(const PointLearner<S>& learner, Index tasks) {
  std::vector<Index> decisions;
  for (Index t = 0; t < tasks; ++t) {
    const PointTask<S> fresh = point_task<S>(t, 20, small_dim, 5, 50);
    for (const auto& prediction : learner.predict(fresh.inputs)) {
      decisions.push_back(prediction.decision.task);
      Index label = 0;
      prediction.output.maxCoeff(&label);
      decisions.push_back(label);
    }
  }
  return decisions;
}

}  // namespace anyssr::test
