// SPDX-License-Identifier: MIT
#include "anyssr/router/leave_one_out.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// The tasks without row i of the last one.
template <class S>
LabelledTasks<S> without_row(LabelledTasks<S> tasks, Index i) {
  LabelledRows<S>& last = tasks.back();
  const Index end = last.x.rows() - 1;
  last.x.row(i).swap(last.x.row(end));
  std::swap(last.labels[static_cast<std::size_t>(i)], last.labels[static_cast<std::size_t>(end)]);
  last = last.part(0, end);
  return tasks;
}

/// Raw outputs for the rows of the last task, each by a joint fit without it: n x columns.
template <class S>
Eigen::MatrixXd left_out_outputs(const AnalyticRouter<S>& router, const LabelledTasks<S>& tasks,
                                 double ridge, const std::vector<double>& weights) {
  const Matrix<S>& x = tasks.back().x;
  Eigen::MatrixXd raw(x.rows(), router.regression().targets());
  for (Index i = 0; i < x.rows(); ++i) {
    raw.row(i) =
        x.row(i).template cast<double>() * joint_of(router, without_row(tasks, i), ridge, weights);
  }
  return raw;
}

/// Task scores of raw outputs of tasks with two labels: n x T.
template <class S>
Eigen::MatrixXd slow_task_scores(const AnalyticRouter<S>& router, const Eigen::MatrixXd& raw) {
  Eigen::MatrixXd scores(raw.rows(), static_cast<Index>(router.tasks().size()));
  for (Index t = 0; t < scores.cols(); ++t) {
    const RoutedTask& task = router.tasks()[static_cast<std::size_t>(t)];
    scores.col(t) = raw.col(task.column) +
                    raw.col(task.label_columns[0]).cwiseMax(raw.col(task.label_columns[1]));
  }
  return scores;
}

/// d^2 L / d(log b)^2 at a minimum b of the log loss: b^2 times the variances of the scores under
/// their own softmax, summed over the rows.
double slow_information(const Eigen::MatrixXd& scores, double b) {
  double sum = 0;
  for (Index i = 0; i < scores.rows(); ++i) {
    double total = 0;
    double first = 0;
    double second = 0;
    for (Index t = 0; t < scores.cols(); ++t) {
      const double odds = std::exp(b * scores(i, t));
      total += odds;
      first += odds * scores(i, t);
      second += odds * scores(i, t) * scores(i, t);
    }
    sum += b * b * (second / total - first / total * (first / total));
  }
  return sum;
}

}  // namespace

TEMPLATE_TEST_CASE("held-out scores are those of a regression without the row",
                   "[router][property]", float, double) {
  using S = TestType;
  const bool balanced = GENERATE(false, true);
  CAPTURE(balanced);
  const LabelledTasks<S> tasks{LabelledRows<S>(0, 18), LabelledRows<S>(1, 12)};
  AnalyticRouter<S> router(labelled_dim, {.rls = labelled_rls, .balanced = balanced});
  for (const auto& task : tasks) router.learn(task.name, task.x, task.labels);
  const std::vector<Index> rows(12, 1);
  const SparseRows<S> targets = detail::router_targets<S>(router.tasks(), rows, tasks[1].labels, 6);
  const std::vector<double> row_weights(12, balanced ? 1.0 / 12 : 1.0);
  const HeldOutScores scores =
      held_out_scores(router.regression(), router.tasks(), tasks[1].x, targets, rows, row_weights);
  const std::vector<double> weights{balanced ? 1.0 / 18 : 1.0, row_weights[0]};
  const double ridge = balanced ? 0.7 * 2 / 30 : 0.7;
  const Eigen::MatrixXd raw = left_out_outputs(router, tasks, ridge, weights);
  for (Index i = 0; i < 12; ++i) {
    const auto own_label = static_cast<std::size_t>(tasks[1].labels[static_cast<std::size_t>(i)]);
    CHECK(std::abs(scores.own_label(i) - raw(i, router.tasks()[1].label_columns[own_label])) <
          router_tolerance<S>());
    for (Index t = 0; t < 2; ++t) {
      const RoutedTask& task = router.tasks()[static_cast<std::size_t>(t)];
      const double best = std::max(raw(i, task.label_columns[0]), raw(i, task.label_columns[1]));
      CHECK(std::abs(scores.own(t, i) - raw(i, task.column)) < router_tolerance<S>());
      CHECK(std::abs(scores.best_label(t, i) - best) < router_tolerance<S>());
    }
  }
}

TEST_CASE("the temperature pools what leave-one-out says of each task", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({14, 16, 15, 18});
  AnalyticRouter<double> router(labelled_dim, {.rls = labelled_rls});
  LabelledTasks<double> known;
  double weight = 0;
  double sum = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    router.learn(tasks[t].name, tasks[t].x, tasks[t].labels);
    known.push_back(tasks[t]);
    if (t == 0) continue;  // without a rival nothing is measured
    const std::vector<double> ones(known.size(), 1.0);
    const Eigen::MatrixXd scores =
        slow_task_scores(router, left_out_outputs(router, known, 0.7, ones));
    const std::vector<Index> truth(tasks[t].labels.size(), static_cast<Index>(t));
    const double own = fit_temperature(scores, truth);
    const double information = slow_information(scores, own);
    const TaskCalibration& kept = router.tasks()[t].calibration;
    CHECK(kept.rows == tasks[t].x.rows());
    CHECK(std::abs(kept.temperature - own) < 1e-6 * own);
    CHECK(std::abs(kept.temperature_weight - information) < 1e-6 * information);
    weight += information;
    sum += information * std::log(own);
    const double expected = std::exp(sum / weight);
    CHECK(std::abs(router.table()->temperature() - expected) < 1e-6 * expected);
  }
}

TEST_CASE("archived tasks are no rivals when a task is calibrated", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({14, 16, 15, 18});
  AnalyticRouter<double> router = router_of(LabelledTasks<double>{tasks[0], tasks[1], tasks[2]});
  router.set_active("task-1", false);
  router.learn(tasks[3].name, tasks[3].x, tasks[3].labels);
  const Eigen::MatrixXd all =
      slow_task_scores(router, left_out_outputs(router, tasks, 0.7, {1, 1, 1, 1}));
  Eigen::MatrixXd active(all.rows(), 3);
  active << all.col(0), all.col(2), all.col(3);
  const std::vector<Index> truth(18, 2);
  const double own = fit_temperature(active, truth);
  const TaskCalibration& kept = router.tasks()[3].calibration;
  CHECK(kept.rows == 18);
  CHECK(std::abs(kept.temperature - own) < 1e-6 * own);
  CHECK(router.tasks()[1].calibration.rows == 16);  // as it was
}

TEST_CASE("an archived task is calibrated on rows of its own", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({14, 16, 15});
  AnalyticRouter<double> archived = router_of(tasks);
  AnalyticRouter<double> active = archived;
  archived.set_active("task-1", false);
  const LabelledRows<double> more(1, 12, 1);
  archived.extend("task-1", more.x, more.labels);
  active.extend("task-1", more.x, more.labels);
  const TaskCalibration& mine = archived.tasks()[1].calibration;
  CHECK(mine.rows == 28);
  CHECK(mine.temperature == active.tasks()[1].calibration.temperature);
  CHECK(mine.residuals == active.tasks()[1].calibration.residuals);
}

TEST_CASE("each task keeps the quantiles of its held-out residuals", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({20, 16});
  const AnalyticRouter<double> router = router_of(tasks);
  const RoutedTask& task = router.tasks()[1];
  const Eigen::MatrixXd raw = left_out_outputs(router, tasks, 0.7, {1, 1});
  std::vector<double> residuals;
  for (Index i = 0; i < 16; ++i) {
    const auto label = static_cast<std::size_t>(tasks[1].labels[static_cast<std::size_t>(i)]);
    residuals.push_back(2 - raw(i, task.column) - raw(i, task.label_columns[label]));
  }
  const auto expected = detail::sketch_residuals(residuals);
  CHECK(task.calibration.rows == 16);
  for (std::size_t k = 0; k < residual_levels; ++k) {
    CHECK(std::abs(task.calibration.residuals[k] - expected[k]) < 1e-9);
  }
}

TEST_CASE("a large batch is calibrated on rows that are spread over it", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({20, 64});
  const AnalyticRouter<double> router =
      router_of(tasks, {.rls = labelled_rls, .calibration_rows = 16});
  CHECK(router.tasks()[0].calibration.rows == 16);
  CHECK(router.tasks()[1].calibration.rows == 16);
  CHECK(router.tasks()[1].rows == 64);
}

TEST_CASE("the suggested label weight is the one that routes most held-out rows", "[router]") {
  AnalyticRouter<double> router(labelled_dim, {.rls = labelled_rls, .label_weight = 0.75});
  CHECK(router.suggest_label_weight() == 0.75);  // nothing measured yet
  for (Index t = 0; t < 5; ++t) {
    const LabelledRows<double> rows(t, 40);
    router.learn(rows.name, rows.x, rows.labels);
  }
  const LabelWeightCounts& counts = router.label_weight_counts();
  CHECK(counts.rows == 160);  // the first task had no rival
  const auto most = std::max_element(counts.right.begin(), counts.right.end());
  CHECK(router.suggest_label_weight() ==
        label_weight_grid[static_cast<std::size_t>(most - counts.right.begin())]);
  CHECK(router.options().label_weight == 0.75);
}
