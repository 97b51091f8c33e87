// SPDX-License-Identifier: MIT
#include "cl_benchmark/at_once.hpp"

#include <anyssr/core/random.hpp>
#include <anyssr/core/rows.hpp>
#include <anyssr/rls/recursive_least_squares.hpp>

namespace cl_benchmark {

using namespace anyssr;

namespace {

/// All training rows, in a random order.
struct AllRows {
  SparseRows<float> features;
  std::vector<Index> tasks;
  std::vector<Index> labels;  // within the task
};

AllRows shuffled_rows(const Encoded& encoded, std::uint64_t seed) {
  AllRows all;
  for (const auto& [place, task] : lessons_of(encoded)) {
    all.features = all.tasks.empty() ? task->train.trunk.features
                                     : joined_features(all.features, task->train.trunk.features);
    for (const Index label : labels_of(*task->task)) {
      all.tasks.push_back(place);
      all.labels.push_back(label);
    }
  }
  RandomStream random(seed, 3);
  const std::vector<Index> order = random_permutation(static_cast<Index>(all.tasks.size()), random);
  AllRows mixed;
  mixed.features = select_rows(all.features, order);
  for (const Index row : order) {
    mixed.tasks.push_back(all.tasks[static_cast<std::size_t>(row)]);
    mixed.labels.push_back(all.labels[static_cast<std::size_t>(row)]);
  }
  return mixed;
}

Matrix<double> one_hot(const std::vector<Index>& tasks, Index count) {
  Matrix<double> y = Matrix<double>::Zero(static_cast<Index>(tasks.size()), count);
  for (std::size_t i = 0; i < tasks.size(); ++i) y(static_cast<Index>(i), tasks[i]) = 1;
  return y;
}

/// The task of each test question.
std::vector<Index> decisions_of(const Encoded& encoded,
                                const RecursiveLeastSquares<double>& regression) {
  std::vector<Index> decisions;
  for (const EncodedTask& task : encoded.tasks) {
    const Matrix<double> scores =
        SparseRows<double>(task.test.trunk.features.cast<double>()) * regression.weights();
    for (Index i = 0; i < scores.rows(); ++i) {
      Index best = 0;
      scores.row(i).maxCoeff(&best);
      decisions.push_back(best);
    }
  }
  return decisions;
}

}  // namespace

std::vector<double> accuracies_at_once(const Encoded& encoded, const RoutedLearner& learner,
                                       const MethodSettings& settings) {
  const AllRows all = shuffled_rows(encoded, settings.seed);
  std::vector<std::string> names;
  for (const EncodedTask& task : encoded.tasks) names.push_back(task.task->name);
  AnalyticRouter<float> router(encoded.model.feature_dim(), learner_options(settings).router);
  router.learn_together(names, all.features, all.tasks, all.labels);
  std::vector<double> accuracies;
  for (const EncodedTask& task : encoded.tasks) {
    const std::vector<Index> tasks = tasks_for(router, task.test.trunk.features);
    const std::vector<Answer> answers = learner.answer_as(task.test.trunk, tasks);
    double right = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      right += answers[i].answer == task.test.answers[i] ? 1 : 0;
    }
    accuracies.push_back(right / static_cast<double>(answers.size()));
  }
  return accuracies;
}

std::size_t count_changed_decisions(const Encoded& encoded, const MethodSettings& settings) {
  const auto count = static_cast<Index>(encoded.tasks.size());
  const RlsOptions options = learner_options(settings).router.rls;
  const auto learned = [&](const auto& feed) {
    RecursiveLeastSquares<double> regression(encoded.model.feature_dim(), options);
    feed(regression);
    return decisions_of(encoded, regression);
  };
  const std::vector<Index> in_turn = learned([&](auto& regression) {
    for (const auto& [place, task] : lessons_of(encoded)) {
      const auto& features = task->train.trunk.features;
      const std::vector<Index> tasks(static_cast<std::size_t>(features.rows()), place);
      regression.update(SparseRows<double>(features.template cast<double>()),
                        one_hot(tasks, count));
    }
  });
  const std::vector<Index> at_once = learned([&](auto& regression) {
    const AllRows all = shuffled_rows(encoded, settings.seed);
    regression.update(SparseRows<double>(all.features.cast<double>()), one_hot(all.tasks, count));
  });
  std::size_t changed = 0;
  for (std::size_t i = 0; i < in_turn.size(); ++i) changed += in_turn[i] != at_once[i] ? 1 : 0;
  return changed;
}

}  // namespace cl_benchmark
