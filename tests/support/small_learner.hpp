// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A learner that learns a task in a millisecond, and what must be equal where two are the same.

#include <cstdint>
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

/// Rows of a small task. Sample 0 are those that it learns.
struct SmallRows {
  Index task = 0;
  Index rows = 24;
  std::uint64_t sample = 0;
};

template <class S>
PointTask<S> small_rows(const SmallRows& asked) {
  return point_task<S>(asked.task, asked.rows, small_dim, 5, asked.sample);
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

/// Words and numbers of what is no matrix, to be compared bit for bit.
struct Particulars {
  void add(const std::string& word) { words.push_back(word); }
  void add(double number) { numbers.push_back(number); }
  void add(Index number) { words.push_back(std::to_string(number)); }
  void add(const RoutedTask& task) {
    add(task.name + (task.active ? "" : " disabled") + (task.frozen ? " frozen" : ""));
    add(task.rows);
    add(task.row_weight);
    add(task.column);
    for (const Index column : task.label_columns) add(column);
    add(std::string("further"));
    for (const Index column : task.further_columns) add(column);
    add(task.calibration.rows);
    add(task.calibration.temperature);
    add(task.calibration.temperature_weight);
    add(task.calibration.mean_score);
    for (const double residual : task.calibration.residuals) add(residual);
    for (const RoutedTask& part : task.parts) add(part);
  }
  void add(const RoutingPolicy& policy) {
    add(policy.name);
    for (const double number : {policy.min_confidence, policy.min_margin, policy.max_novelty,
                                policy.coverage, policy.blend_confidence}) {
      add(number);
    }
    add(policy.max_candidates);
    add(std::string(policy.blend ? "blend" : "no blend"));
    add(static_cast<Index>(policy.fallback));
    add(policy.default_task);
    for (const auto& [task, least] : policy.tasks) {
      add(task);
      add(least.min_confidence);
      add(least.min_margin);
    }
  }
  void add(const UsageMeter::Counts& counts) {
    for (const auto& [task, usage] : counts) {
      add(task);
      add(static_cast<Index>(usage.count));
      add(static_cast<Index>(usage.answered));
      add(usage.confidence_sum);
      add(usage.last_use);
    }
  }
  void add(const FeatureMoments& moments) {
    add(moments.rows);
    for (const double number : moments.mean) add(number);
    for (const double number : moments.m2) add(number);
  }
  void add(const InspectorState& state) {
    for (const Index number : {state.dim, state.sketch, state.dropped_query_rows}) add(number);
    add(std::to_string(state.seed));
    add(state.window_seconds);
    for (const auto& [task, sums] : state.learned) {
      add(task);
      add(sums.features);
      for (const auto& [label, rows] : sums.labels) add(std::to_string(label) + " of"), add(rows);
    }
    for (const QueryWindow& window : state.windows) {
      add(window.number);
      add(window.features);
      for (const auto& [task, rows] : window.tasks) add(task), add(rows);
    }
    for (const auto& [column, values] : state.groups) {
      add(column);
      for (const auto& [value, count] : values) add(value), add(count.right), add(count.total);
    }
  }
  [[nodiscard]] bool operator==(const Particulars& other) const = default;

  std::vector<std::string> words = {};
  std::vector<double> numbers = {};
};

/// All that a learner has learned, to be compared bit for bit.
template <class S>
struct Learned {
  explicit Learned(const PointLearner<S>& learner)
      : changes(learner.snapshot().changes()),
        moment(learner.router().regression().second_moment()),
        cross(learner.router().regression().cross_correlation()),
        energy(learner.router().regression().target_energy()),
        temperature(learner.router().table()->temperature()),
        suggested(learner.router().suggest_label_weight()),
        removed_rows(learner.router().removed_rows()) {
    for (const RoutedTask& task : learner.router().tasks()) {
      states.add(task);
      tasks.push_back(task.name + " " + std::to_string(task.rows) + " " +
                      std::to_string(task.row_weight) + " " + std::to_string(task.column));
      for (const Index column : task.label_columns) {
        tasks.back() += " " + std::to_string(column);
      }
    }
    const auto snapshot = learner.snapshot();
    for (const auto& handle : snapshot.handles()) adapters.push_back(*handle->get());
    for (const auto& [task, handles] : learner.merged()) {
      states.add(task);
      for (const auto& handle : handles) merged.push_back(*handle->get());
    }
    for (const auto& [site, span] : learner.subspaces().spans()) {
      tasks.push_back(site);
      spans.push_back(span);
    }
    serving.add(snapshot.policy());
    serving.add(learner.usage());
    if (const auto inspector = learner.inspector()) serving.add(inspector->state());
    if (!tasks.empty()) serving.add(snapshot.table().candidate_threshold(0.75));
  }
  [[nodiscard]] bool operator==(const Learned& other) const {
    return changes == other.changes && same_sums(other) && temperature == other.temperature &&
           suggested == other.suggested && adapters == other.adapters && spans == other.spans &&
           removed_rows == other.removed_rows && states == other.states && merged == other.merged &&
           serving == other.serving;
  }
  [[nodiscard]] bool same_sums(const Learned& other) const {
    return tasks == other.tasks && moment == other.moment && cross.cols() == other.cross.cols() &&
           cross == other.cross && energy.size() == other.energy.size() && energy == other.energy;
  }

  std::uint64_t changes;
  Matrix<S> moment;
  Matrix<S> cross;
  Eigen::VectorXd energy;
  double temperature;
  double suggested;
  Index removed_rows;
  std::vector<std::string> tasks;
  std::vector<Adapter<S>> adapters;
  std::vector<Adapter<S>> merged;  ///< of tasks that a merge joined and that wait
  std::vector<Matrix<S>> spans;
  Particulars states;   ///< of the tasks
  Particulars serving;  ///< policy, usage, inspector
};

/// Options under which all is kept that a learner can keep.
inline LearnerOptions busy_learner_options() {
  LearnerOptions options = small_learner_options();
  options.subspace = SubspaceChoice::complement;
  options.router.novelty = {.mode = NoveltyMode::leverage, .leverage_weight = 0.7};
  options.inspector = InspectorOptions{.sketch = 4, .seed = 0xF0F0F0F0F0F0F0F0U};
  return options;
}

/// @param careful  the task of which more is asked
inline RoutingPolicy busy_policy(const std::string& careful = "task-4") {
  return {.name = "careful",
          .min_confidence = 0.1 + 0.2,
          .min_margin = 1e-3,
          .max_novelty = 4.0 / 3,
          .coverage = 0.9,
          .max_candidates = 2,
          .blend = true,
          .blend_confidence = 0.7,
          .fallback = FallbackKind::default_task,
          .default_task = "task-0",
          .tasks = {{careful, {.min_confidence = 0.8, .min_margin = 0.05}}}};
}

/// A learner of tasks in every state: task-0 is frozen, task-1 archived, task-2 and task-3 wait in
/// "both" for a merge, task-4 is as it was learned, task-5 was removed.
template <class S>
PointLearner<S> busy_learner(const LearnerOptions& options = busy_learner_options()) {
  auto learner = small_learner<S>(options);
  learn_small_tasks(learner, 0, 6);
  learner.freeze_task("task-0");
  learner.archive_task("task-1");
  learner.merge_tasks("task-2", "task-3", "both");
  learner.remove_task("task-5");
  learner.set_policy(busy_policy());
  for (const Index t : {0, 3, 4}) {
    (void)learner.predict(small_rows<S>({.task = t, .rows = 10, .sample = 80}).inputs);
  }
  if (options.inspector) {
    learner.observe_outcomes({{"region", {"eu", "us", "eu"}}}, std::vector<std::uint8_t>{1, 0, 1});
  }
  return learner;
}

/// Decisions on fresh queries of the first tasks. The learner counts no use of them.
template <class S>
std::vector<Index> decisions_of(const PointLearner<S>& asked, Index tasks) {
  const PointLearner<S> learner = asked;
  std::vector<Index> decisions;
  for (Index t = 0; t < tasks; ++t) {
    const PointTask<S> fresh = small_rows<S>({.task = t, .rows = 20, .sample = 50});
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
