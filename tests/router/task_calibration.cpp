// SPDX-License-Identifier: MIT
#include "anyssr/router/task_calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "anyssr/router/routing_policy.hpp"
#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

using Sketch = std::array<double, residual_levels>;

/// Residuals from `lowest` up, denser there.
std::vector<double> random_residuals(std::size_t count, double lowest, std::uint64_t seed) {
  RandomStream random(seed, 1);
  std::vector<double> residuals(count);
  for (double& r : residuals) {
    const double u = random.uniform();
    r = lowest + 1.4 * u * u;
  }
  return residuals;
}

/// The number at place u (n - 1) of n sorted ones, on the line between its neighbours.
double slow_quantile(std::vector<double> values, double u) {
  std::sort(values.begin(), values.end());
  std::size_t low = 0;
  while (low + 2 < values.size() &&
         static_cast<double>(low + 1) <= u * static_cast<double>(values.size() - 1)) {
    ++low;
  }
  if (values.size() == 1) return values[0];
  const double part = u * static_cast<double>(values.size() - 1) - static_cast<double>(low);
  return values[low] + part * (values[low + 1] - values[low]);
}

/// Q(u) of a sketch: linear between its levels, level beyond the last.
double value_at(const Sketch& sketch, double u) {
  for (std::size_t k = 1; k < residual_levels; ++k) {
    const double left = 1 - std::pow(2, -static_cast<double>(k - 1) / 4);
    const double right = 1 - std::pow(2, -static_cast<double>(k) / 4);
    if (u > right) continue;
    return sketch[k - 1] + (u - left) / (right - left) * (sketch[k] - sketch[k - 1]);
  }
  return sketch.back();
}

/// Integral of Q(u) over 0..1 by exact trapezoids.
double mean_of(const Sketch& sketch) {
  double mean = 0;
  double left = 0;
  for (std::size_t k = 1; k < residual_levels; ++k) {
    const double right =
        k + 1 == residual_levels ? 1 : 1 - std::pow(2, -static_cast<double>(k) / 4);
    mean += (right - left) * (sketch[k] + sketch[k - 1]) / 2;
    left = right;
  }
  return mean;
}

/// Mean over the rows of a task of its score by a joint fit of all tasks, in double.
/// @param labelled  whether the tasks have label columns
template <class S>
double slow_mean_score(const AnalyticRouter<S>& router, const LabelledTasks<S>& tasks,
                       const Eigen::MatrixXd& weights, std::size_t number, double label_weight) {
  const RoutedTask& task = router.tasks()[number];
  double sum = 0;
  for (Index i = 0; i < tasks[number].x.rows(); ++i) {
    const Eigen::RowVectorXd raw = tasks[number].x.row(i).template cast<double>() * weights;
    const auto label = static_cast<std::size_t>(tasks[number].labels[static_cast<std::size_t>(i)]);
    const Index second = task.label_columns.empty() ? task.column : task.label_columns[label];
    sum += raw(task.column) + label_weight * raw(second);
  }
  return sum / static_cast<double>(tasks[number].x.rows());
}

/// 0.7 and the row weights, as a balanced router of these tasks scales them.
template <class S>
std::pair<double, std::vector<double>> balance_of(const LabelledTasks<S>& tasks, bool balanced) {
  std::vector<double> weights(tasks.size(), 1.0);
  if (!balanced) return {0.7, weights};
  double rows = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    weights[t] = 1 / static_cast<double>(tasks[t].x.rows());
    rows += static_cast<double>(tasks[t].x.rows());
  }
  return {0.7 * static_cast<double>(tasks.size()) / rows, weights};
}

/// Shares of fresh rows whose right task is a candidate, and whose right task reaches the
/// threshold.
std::pair<double, double> covered_shares(std::uint64_t seed, double coverage, bool labelled) {
  std::vector<std::string> names;
  Matrix<double> x(320, labelled_dim);
  std::vector<Index> truth;
  std::vector<Index> labels;
  LabelledTasks<double> fresh;
  for (Index t = 0; t < 4; ++t) {
    const LabelledRows<double> rows(t, 80, 2 * seed);
    fresh.emplace_back(t, 100, 2 * seed + 1);
    names.push_back(rows.name);
    x.middleRows(80 * t, 80) = rows.x;
    truth.insert(truth.end(), 80, t);
    labels.insert(labels.end(), rows.labels.begin(), rows.labels.end());
  }
  AnalyticRouter<double> router(labelled_dim, {.rls = labelled_rls});
  router.learn_together(std::span<const std::string>(names), x, truth,
                        labelled ? std::span<const Index>(labels) : std::span<const Index>{});
  const double threshold = router.table()->candidate_threshold(coverage);
  double among = 0;
  double reached = 0;
  for (Index t = 0; t < 4; ++t) {
    for (const RoutingDecision& decision :
         decisions_of(router, fresh[static_cast<std::size_t>(t)].x)) {
      const std::vector<Index> set = candidates(decision, threshold);
      among += std::find(set.begin(), set.end(), t) == set.end() ? 0 : 1;
      reached += decision.scores(t) >= threshold ? 1 : 0;
    }
  }
  return {among / 400, reached / 400};
}

}  // namespace

TEST_CASE("a residual sketch holds the quantiles of the sorted residuals", "[router][property]") {
  const std::size_t count = GENERATE(1U, 2U, 3U, 17U, 400U, 5000U);
  CAPTURE(count);
  const std::vector<double> residuals = random_residuals(count, -0.2, count);
  const Sketch sketch = detail::sketch_residuals(residuals);
  for (std::size_t k = 0; k < residual_levels; ++k) {
    const double u = k + 1 == residual_levels ? 1 : 1 - std::pow(2, -static_cast<double>(k) / 4);
    CHECK(std::abs(residual_level(k) - u) < 1e-15);
    CHECK(std::abs(sketch[k] - slow_quantile(residuals, u)) < 1e-12);
  }
  CHECK(sketch.front() == *std::min_element(residuals.begin(), residuals.end()));
  CHECK(sketch.back() == *std::max_element(residuals.begin(), residuals.end()));
  CHECK(std::is_sorted(sketch.begin(), sketch.end()));
}

TEST_CASE("carried residuals raise their mean by exactly the fall", "[router][property]") {
  const double lowest = GENERATE(0.0, 0.05, -0.02, -0.3);
  const double fall = GENERATE(1e-3, 0.05, 0.2);
  CAPTURE(lowest, fall);
  const Sketch sketch = detail::sketch_residuals(random_residuals(300, lowest, 3));
  const Sketch carried = detail::carry_residuals(sketch, fall, 2.5);
  CHECK(std::abs(mean_of(carried) - mean_of(sketch) - fall) < 1e-10);
  CHECK(std::is_sorted(carried.begin(), carried.end()));
}

TEST_CASE("carrying moves residuals by odds and leaves those at the top", "[router]") {
  Sketch sketch{};
  for (std::size_t k = 0; k < residual_levels; ++k) sketch[k] = 0.07 * static_cast<double>(k);
  const Sketch carried = detail::carry_residuals(sketch, 0.1, 2.5);
  const auto odds = [](double r) { return r / (2.5 - r); };
  const double g = odds(carried[1]) / odds(sketch[1]);
  CHECK(g > 1);
  CHECK(carried[0] == 0);
  for (std::size_t k = 1; k < residual_levels; ++k) {
    CAPTURE(k);
    if (sketch[k] >= 2.5) CHECK(carried[k] == sketch[k]);
    if (sketch[k] < 2.4) CHECK(std::abs(odds(carried[k]) / odds(sketch[k]) - g) < 1e-9 * g);
  }
}

TEST_CASE("residuals stay where the mean score did not fall", "[router]") {
  const Sketch sketch = detail::sketch_residuals(random_residuals(50, 0, 4));
  CHECK(detail::carry_residuals(sketch, 0, 2.5) == sketch);
  CHECK(detail::carry_residuals(sketch, -0.3, 2.5) == sketch);
  CHECK(detail::carry_residuals(sketch, std::numeric_limits<double>::quiet_NaN(), 2.5) == sketch);
}

TEST_CASE("residuals that no odds can raise enough rise alike", "[router][property]") {
  const double lowest = GENERATE(-3.0, -1.5, -0.7, 2.0);  // about 0 and below, and near the top
  const double fall = GENERATE(1e-9, 0.5, 3.0);
  CAPTURE(lowest, fall);
  const Sketch sketch = detail::sketch_residuals(random_residuals(40, lowest, 6));
  const Sketch carried = detail::carry_residuals(sketch, fall, 2.5);
  CHECK(std::abs(mean_of(carried) - mean_of(sketch) - fall) < 1e-10);
  CHECK(std::is_sorted(carried.begin(), carried.end()));
  for (std::size_t k = 0; k < residual_levels; ++k) {
    CHECK(std::abs(carried[k] - sketch[k]) < 4);
  }
}

TEST_CASE("a pooled quantile is that of the pooled sample", "[router][property]") {
  const unsigned seed = GENERATE(range(1U, 6U));
  CAPTURE(seed);
  const std::vector sketches{detail::sketch_residuals(random_residuals(30, -0.1, seed)),
                             detail::sketch_residuals(random_residuals(200, 0.2, seed + 10)),
                             detail::sketch_residuals(random_residuals(90, 0.5, seed + 20))};
  const std::vector<double> weights{30, 200, 90};
  // Many points of each sketch, evenly over its shares: an independent sample of the mixture.
  std::vector<std::pair<double, double>> sample;
  constexpr int points = 20000;
  for (std::size_t t = 0; t < 3; ++t) {
    for (int i = 0; i < points; ++i) {
      sample.emplace_back(value_at(sketches[t], (i + 0.5) / points), weights[t] / points / 320);
    }
  }
  for (const double level : {0.1, 0.5, 0.9, 0.95, 0.99}) {
    const double quantile = detail::pooled_quantile(sketches, weights, level);
    double below = 0;
    for (const auto& [value, weight] : sample) below += value <= quantile ? weight : 0;
    CAPTURE(level, quantile);
    CHECK(std::abs(below - level) < 2e-4);
  }
}

TEST_CASE("the quantile at a coverage is raised as conformal prediction asks", "[router]") {
  const Index rows = GENERATE(19, 40, 333);
  CAPTURE(rows);
  TaskCalibration task{.rows = rows, .mean_score = 1.5};
  task.residuals = detail::sketch_residuals(random_residuals(static_cast<std::size_t>(rows), 0, 9));
  const std::vector calibrations{TaskCalibration{}, task};
  const ResidualQuantiles quantiles(calibrations, std::vector<double>{0, 1.5}, 1);
  CHECK_FALSE(quantiles.empty());
  for (const double coverage : {0.5, 0.8, 0.95}) {
    const auto n = static_cast<double>(rows);
    const double level = std::min(1.0, std::ceil((n + 1) * coverage) / n);
    CHECK(std::abs(quantiles.at(coverage).value() - value_at(task.residuals, level)) < 1e-9);
  }
}

TEST_CASE("a task counts by the rows it learned, not by those it was calibrated on", "[router]") {
  std::vector<TaskCalibration> tasks(2);
  tasks[0].rows = 100;
  tasks[0].residuals.fill(1.5);
  tasks[1].rows = 900;
  tasks[1].residuals.fill(0.5);
  const std::vector<double> scores(2, 0.0);
  CHECK(std::abs(ResidualQuantiles(tasks, scores, 1).at(0.8).value() - 0.5) < 1e-9);
  const std::vector<double> rows{900, 900};
  CHECK(std::abs(ResidualQuantiles(tasks, scores, 1, rows).at(0.8).value() - 1.5) < 1e-9);
}

TEST_CASE("a coverage near 1 is kept up to the largest residual", "[router]") {
  constexpr Index rows = 30000;
  const std::vector<double> residuals = random_residuals(rows, 0, 9);
  TaskCalibration task{.rows = rows, .mean_score = 1.5};
  task.residuals = detail::sketch_residuals(residuals);
  const ResidualQuantiles quantiles(std::vector{task}, std::vector<double>{1.5}, 1);
  for (const double coverage : {0.999, 0.9998, 0.9999, 0.99996}) {
    CAPTURE(coverage);
    const double quantile = quantiles.at(coverage).value();
    const auto covered =
        std::count_if(residuals.begin(), residuals.end(), [&](double r) { return r <= quantile; });
    CHECK(static_cast<double>(covered) >= coverage * rows);
  }
  const double largest = *std::max_element(residuals.begin(), residuals.end());
  CHECK(std::abs(quantiles.at(1 - 1.0 / rows).value() - largest) < 1e-12);
  CHECK_FALSE(quantiles.at(0.99999).has_value());
}

TEST_CASE("a coverage that the rows cannot promise has no quantile", "[router]") {
  CHECK(ResidualQuantiles().empty());
  CHECK_FALSE(ResidualQuantiles().at(0.5).has_value());
  std::vector<TaskCalibration> calibrations(1);
  const auto at_rows = [&](Index rows, double coverage) {
    calibrations[0].rows = rows;
    return ResidualQuantiles(calibrations, std::vector<double>{0}, 1).at(coverage);
  };
  CHECK_FALSE(at_rows(18, 0.95).has_value());
  CHECK(at_rows(19, 0.95).has_value());
  CHECK_FALSE(at_rows(98, 0.99).has_value());
  CHECK(at_rows(99, 0.99).has_value());
}

TEST_CASE("rows measured apart say together what both say, by their numbers", "[router]") {
  TaskCalibration few{.rows = 60, .temperature = 8, .temperature_weight = 3, .mean_score = 1.7};
  few.residuals = detail::sketch_residuals(random_residuals(60, 0, 11));
  TaskCalibration more{.rows = 20, .temperature = 12, .temperature_weight = 1, .mean_score = 1.5};
  more.residuals = detail::sketch_residuals(random_residuals(20, 0.1, 12));
  const TaskCalibration pooled = detail::pooled_calibration(few, more);
  CHECK(pooled.rows == 80);
  CHECK(pooled.temperature_weight == 4);
  CHECK(std::abs(pooled.temperature - std::pow(8.0, 0.75) * std::pow(12.0, 0.25)) < 1e-12);
  CHECK(std::abs(pooled.mean_score - 1.65) < 1e-12);
  const double mean = (60 * mean_of(few.residuals) + 20 * mean_of(more.residuals)) / 80;
  CHECK(std::abs(mean_of(pooled.residuals) - mean) < 5e-3);  // a sketch of sketches
  CHECK(detail::pooled_calibration({}, more).residuals == more.residuals);
  CHECK(detail::pooled_calibration(few, {}).residuals == few.residuals);
}

TEST_CASE("a calibration is carried to the mean score of today", "[router]") {
  TaskCalibration task{.rows = 60, .temperature = 8, .temperature_weight = 3, .mean_score = 1.7};
  task.residuals = detail::sketch_residuals(random_residuals(60, 0, 11));
  const TaskCalibration carried = detail::carried_calibration(task, 1.6, 1);
  CHECK(carried.mean_score == 1.6);
  CHECK(std::abs(mean_of(carried.residuals) - mean_of(task.residuals) - 0.1) < 1e-9);
  CHECK(carried.rows == 60);
  CHECK(carried.temperature == 8);
}

TEST_CASE("temperatures pool by their weights on a logarithmic scale", "[router]") {
  const std::vector<TaskCalibration> tasks{{.temperature = 99},
                                           {.temperature = 4, .temperature_weight = 1},
                                           {.temperature = 16, .temperature_weight = 3}};
  CHECK(std::abs(pooled_temperature(tasks, 5) - std::pow(4.0, 0.25) * std::pow(16.0, 0.75)) <
        1e-12);
  CHECK(pooled_temperature(std::span(tasks).first(1), 5) == 5);
  CHECK(pooled_temperature({}, 7) == 7);
}

TEST_CASE("the order of tasks changes no bit of what they say together", "[router][property]") {
  std::vector<TaskCalibration> tasks;
  for (unsigned t = 0; t < 5; ++t) {
    TaskCalibration task{.rows = 40 + 7 * static_cast<Index>(t),
                         .temperature = 3 + 1.1 * t,
                         .temperature_weight = 0.3 + 0.7 * t,
                         .mean_score = 1.7};
    task.residuals = detail::sketch_residuals(
        random_residuals(static_cast<std::size_t>(task.rows), 0.01 * t, 20 + t));
    tasks.push_back(task);
  }
  const std::vector<double> means(tasks.size(), 1.6);
  const ResidualQuantiles quantiles(tasks, means, 1);
  const double temperature = pooled_temperature(tasks, 5);
  for (int turn = 1; turn < 5; ++turn) {
    // clang 14 has no std::ranges::rotate
    std::rotate(tasks.begin(), tasks.begin() + 1, tasks.end());
    CAPTURE(turn);
    CHECK(pooled_temperature(tasks, 5) == temperature);
    for (const double coverage : {0.1, 0.5, 0.8, 0.9, 0.95}) {
      CHECK(ResidualQuantiles(tasks, means, 1).at(coverage) == quantiles.at(coverage));
    }
  }
}

TEMPLATE_TEST_CASE("the mean score that sums give is that of the rows", "[router][property]", float,
                   double) {
  using S = TestType;
  const bool labelled = GENERATE(true, false);
  const bool balanced = GENERATE(false, true);
  const double label_weight = GENERATE(1.0, 0.5);
  CAPTURE(labelled, balanced, label_weight);
  const LabelledTasks<S> tasks = labelled_tasks<S>({30, 17, 24});
  AnalyticRouter<S> router(
      labelled_dim, {.rls = labelled_rls, .label_weight = label_weight, .balanced = balanced});
  LabelledTasks<S> known;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    router.learn(tasks[t].name, tasks[t].x, labelled ? tasks[t].labels : std::vector<Index>{});
    known.push_back(tasks[t]);
    const auto [ridge, weights] = balance_of(known, balanced);
    const Eigen::MatrixXd joint = joint_of(router, known, ridge, weights);
    const double expected = slow_mean_score(router, known, joint, t, label_weight);
    CHECK(std::abs(router.tasks()[t].calibration.mean_score - expected) < router_tolerance<S>());
  }
}

TEST_CASE("candidates of fresh rows cover what was promised", "[router][property]") {
  const double coverage = GENERATE(0.8, 0.9, 0.95);
  const bool labelled = GENERATE(true, false);
  CAPTURE(coverage, labelled);
  constexpr unsigned seeds = 30;
  double among = 0;
  double reached = 0;
  for (unsigned seed = 0; seed < seeds; ++seed) {
    const auto [candidate, threshold] = covered_shares(seed, coverage, labelled);
    among += candidate / seeds;
    reached += threshold / seeds;
  }
  // Both the 320 rows that set the threshold and the 400 that judge it are a sample.
  const double deviation = std::sqrt(coverage * (1 - coverage) * (1 / 320.0 + 1 / 400.0) / seeds);
  CAPTURE(among, reached, deviation);
  CHECK(reached >= coverage - 4 * deviation);
  CHECK(among >= reached);
  // Without labels a score is the very number that was measured: no more than promised either.
  if (!labelled) CHECK(reached <= coverage + 4 * deviation + 0.01);
}

TEST_CASE("every active task is a candidate where too few rows were learned", "[router]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({4, 5, 6}));
  CHECK(router.table()->candidate_threshold(0.99) == std::numeric_limits<double>::lowest());
  CHECK(std::isfinite(router.table()->candidate_threshold(0.9)));
  router.set_active("task-1", false);
  for (const auto& decision : decisions_of(router, random_normal<double>(5, labelled_dim, 8))) {
    const std::vector<Index> all = candidates(decision, router.table()->candidate_threshold(0.99));
    CHECK(all == std::vector<Index>{decision.task, decision.runner_up});
  }
}

TEST_CASE("a coverage outside its range is refused", "[router][error]") {
  const AnalyticRouter<double> router = router_of(labelled_tasks<double>({9, 9}));
  for (const double coverage : {0.0, 1.0, -0.5, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(contains(
        message_of<ArgumentError>([&] { (void)router.table()->candidate_threshold(coverage); }),
        "expected above 0 and below 1"));
  }
}

TEST_CASE("a carried sketch rises where its levels are one rounding apart", "[router]") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    RandomStream random(seed, 0);
    std::array<double, residual_levels> sketch{};
    double r = 0.1 + 0.001 * static_cast<double>(random.below(900));
    for (double& level : sketch) {
      level = r;
      if (random.below(2) == 0) r = std::nextafter(r, 2.0);
    }
    const double fall = 0.001 * static_cast<double>(1 + random.below(300));
    const auto carried = detail::carry_residuals(sketch, fall, 2.5);
    CAPTURE(seed);
    CHECK(std::is_sorted(carried.begin(), carried.end()));
  }
}
