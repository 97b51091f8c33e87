// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the tests of the router share: rows of tasks with labels, their joint fit, the numbers that
/// make up a router, and what a refused call must leave as it was.

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "anyssr/router/analytic_router.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr::test {

inline constexpr Index labelled_dim = 14;

/// An absolute ridge, and one thread: the sanitized runs are slow enough.
inline constexpr RlsOptions labelled_rls{
    .ridge = 0.7, .ridge_scale = RidgeScale::absolute, .threads = 1};

/// Rows of one task with two labels, around centres of their own.
template <class S>
struct LabelledRows {
  std::string name;
  Matrix<S> x;
  std::vector<Index> labels;

  LabelledRows(Index task, Index rows, std::uint64_t sample = 0)
      : name("task-" + std::to_string(task)), x(rows, labelled_dim) {
    const auto stream = static_cast<std::uint64_t>(10 * task);
    const Matrix<S> centres = random_normal<S>(2, labelled_dim, 5, stream);
    const Matrix<S> noise = random_normal<S>(rows, labelled_dim, 6 + sample, stream + 1);
    for (Index i = 0; i < rows; ++i) {
      labels.push_back(i % 2);
      x.row(i) = centres.row(i % 2) + S(0.4) * noise.row(i);
    }
  }
  [[nodiscard]] LabelledRows part(Index begin, Index count) const {
    LabelledRows result = *this;
    result.x = x.middleRows(begin, count);
    result.labels.assign(labels.begin() + begin, labels.begin() + begin + count);
    return result;
  }
};

template <class S>
using LabelledTasks = std::vector<LabelledRows<S>>;

/// Tasks 0, 1, ... of those numbers of rows.
template <class S>
LabelledTasks<S> labelled_tasks(const std::vector<Index>& rows) {
  LabelledTasks<S> tasks;
  for (std::size_t t = 0; t < rows.size(); ++t) tasks.emplace_back(static_cast<Index>(t), rows[t]);
  return tasks;
}

/// @param labelled  whether the tasks have label columns
template <class S>
AnalyticRouter<S> router_of(const LabelledTasks<S>& tasks,
                            const RouterOptions& options = {.rls = labelled_rls},
                            bool labelled = true) {
  AnalyticRouter<S> router(labelled_dim, options);
  for (const LabelledRows<S>& task : tasks) {
    router.learn(task.name, task.x, labelled ? task.labels : std::vector<Index>{});
  }
  return router;
}

/// Joint ridge regression of tasks in the column order of the router, by QR in double.
/// @param weights  s_i of the rows of each task
template <class S>
Eigen::MatrixXd joint_of(const AnalyticRouter<S>& router, const LabelledTasks<S>& tasks,
                         double ridge, const std::vector<double>& weights) {
  Index rows = 0;
  for (const auto& task : tasks) rows += task.x.rows();
  Eigen::MatrixXd x(rows, labelled_dim);
  Eigen::MatrixXd y = Eigen::MatrixXd::Zero(rows, router.regression().targets());
  Index at = 0;
  for (std::size_t k = 0; k < tasks.size(); ++k) {
    const double root = std::sqrt(weights[k]);
    const RoutedTask& routed =
        router.tasks()[static_cast<std::size_t>(*router.find(tasks[k].name))];
    for (Index i = 0; i < tasks[k].x.rows(); ++i, ++at) {
      x.row(at) = root * tasks[k].x.row(i).template cast<double>();
      y(at, routed.column) = root;
      if (routed.label_columns.empty()) continue;
      y(at, routed.label_columns[static_cast<std::size_t>(
                tasks[k].labels[static_cast<std::size_t>(i)])]) = root;
    }
  }
  return joint_fit(x, y, ridge);
}

template <class S>
double router_tolerance() {
  return std::is_same_v<S, double> ? 1e-9 : round_off<S>(2e3);
}

/// What a refused change must leave as it was.
template <class S>
struct RouterBefore {
  explicit RouterBefore(const AnalyticRouter<S>& router)
      : table(router.table()),
        second_moment(router.regression().second_moment()),
        cross(router.regression().cross_correlation()),
        rows(router.regression().rows()),
        removed_rows(router.removed_rows()),
        ridge(router.regression().ridge()) {}
  [[nodiscard]] bool operator==(const RouterBefore& other) const {
    return table == other.table && second_moment == other.second_moment && cross == other.cross &&
           rows == other.rows && removed_rows == other.removed_rows && ridge == other.ridge;
  }
  std::shared_ptr<const RoutingTable<S>> table;  // of tasks, weights, calibration and novelty
  Matrix<S> second_moment;
  Matrix<S> cross;
  Index rows;
  Index removed_rows;
  double ridge;
};

/// The message of the E that `action` throws; checks that the router stays as it was.
template <class E, class S, class Action>
std::string refusal(const AnalyticRouter<S>& router, const Action& action) {
  const RouterBefore<S> before(router);
  const std::string message = message_of<E>(action);
  CHECK(RouterBefore<S>(router) == before);
  return message;
}

/// What a checkpoint would keep.
template <class S>
RouterState<S> router_state_of(const AnalyticRouter<S>& router) {
  const RecursiveLeastSquares<S>& sums = router.regression();
  return {.tasks = router.tasks(),
          .regression = {.second_moment = sums.lower_second_moment(),
                         .cross_correlation = sums.cross_correlation(),
                         .target_energy = sums.target_energy(),
                         .rows = sums.rows(),
                         .bounds = sums.bounds()},
          .temperature = router.table()->temperature(),
          .removed_rows = router.removed_rows(),
          .label_weight_counts = router.label_weight_counts()};
}

/// Decisions on rows, all in one call.
template <class Source, class X>
std::vector<RoutingDecision> decisions_of(const Source& source, const X& features) {
  RoutingWorkspace<typename Source::Scalar> workspace;
  std::vector<RoutingDecision> decisions;
  source.decide(features, workspace, decisions);
  return decisions;
}

/// Task scores, n x T.
template <class Source, class X>
Eigen::MatrixXd scores_of(const Source& source, const X& features) {
  const std::vector<RoutingDecision> decisions = decisions_of(source, features);
  Eigen::MatrixXd scores(features.rows(), decisions.front().scores.size());
  for (Index i = 0; i < scores.rows(); ++i) {
    scores.row(i) = decisions[static_cast<std::size_t>(i)].scores.transpose();
  }
  return scores;
}

}  // namespace anyssr::test
