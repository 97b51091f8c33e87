// SPDX-License-Identifier: MIT
#include "anyssr/metrics/data_drift.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;
using DriftCounts = std::map<std::string, Index>;

constexpr double drift_rounding = 1e4 * std::numeric_limits<double>::epsilon();
const DriftOptions any_shift{.alarm_p = 0.05, .smallest_shift = 0, .smallest_share_shift = 0};

bool agrees(double a, double b) {
  return std::abs(a - b) <= drift_rounding * std::max(std::abs(b), 1e-3);
}

/// Welch's t and degrees of freedom of two columns, from their rows.
struct SlowWelch {
  double t = 0;
  double freedom = 0;

  SlowWelch(const Vector<double>& before, const Vector<double>& now) {
    const auto part = [](const Vector<double>& x, double& mean, double& error) {
      const auto n = static_cast<double>(x.size());
      mean = x.sum() / n;
      error = (x.array() - mean).square().sum() / (n - 1) / n;
      return error * error / (n - 1);
    };
    double mean_before = 0, mean_now = 0, error_before = 0, error_now = 0;
    double freedoms = part(before, mean_before, error_before);
    freedoms += part(now, mean_now, error_now);
    t = (mean_now - mean_before) / std::sqrt(error_before + error_now);
    freedom = (error_before + error_now) * (error_before + error_now) / freedoms;
  }
};

Drift drift_of(const Matrix<double>& before, const Matrix<double>& now,
               const DriftOptions& options) {
  return drift_between(detail::moments_of(before), {{"a", before.rows()}}, detail::moments_of(now),
                       {{"a", now.rows()}}, options);
}

/// Counts of n draws from shares 1 : 2 : 3 : ... : tasks.
DriftCounts drawn_counts(int tasks, int n, RandomStream& random) {
  DriftCounts counts;
  const auto all = static_cast<std::uint32_t>(tasks * (tasks + 1) / 2);
  for (int i = 0; i < n; ++i) {
    std::uint32_t left = random.below(all);
    std::uint32_t task = 0;
    while (left > task) left -= ++task;
    ++counts["task " + std::to_string(task)];
  }
  return counts;
}

}  // namespace

TEST_CASE("the drift of features is the largest of plain Welch statistics", "[metrics][property]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 11)));
  CAPTURE(seed);
  const Matrix<double> before = random_normal<double>(60, 6, seed, 1);
  Matrix<double> now = 2 * random_normal<double>(35, 6, seed, 2);
  now.col(3).array() += 0.8;
  const FeatureDrift drift = drift_of(before, now, any_shift).features;
  double squares = 0;
  double smallest_p = 1;
  Index largest = 0;
  for (Index j = 0; j < 6; ++j) {
    const SlowWelch slow(before.col(j), now.col(j));
    squares += slow.t * slow.t / 6;
    smallest_p = std::min(smallest_p, student_two_sided(slow.t, slow.freedom));
    if (std::abs(slow.t) > std::abs(SlowWelch(before.col(largest), now.col(largest)).t))
      largest = j;
  }
  const SlowWelch slow(before.col(largest), now.col(largest));
  CHECK(drift.coordinate == largest);
  // the floor for features that are constant but for round-off adds 1e-12 of the squared means
  CHECK(std::abs(drift.t - slow.t) < 1e-9);
  CHECK(std::abs(drift.degrees_of_freedom - slow.freedom) < 1e-7);
  CHECK(std::abs(drift.mean_squared_t - squares) < 1e-9);
  CHECK(std::abs(drift.p - std::min(1.0, 6 * smallest_p)) < 1e-9);
}

TEST_CASE("a mean over strata has the errors of its parts", "[metrics][property]") {
  const FeatureMoments first = detail::moments_of(random_normal<double>(20, 3, 1));
  const FeatureMoments second =
      detail::moments_of<double>((random_normal<double>(50, 3, 2).array() * 3 + 5).matrix());
  const detail::EstimatedMean mean = detail::estimated_mean({{&first, 0.25}, {&second, 0.75}});
  for (Index j = 0; j < 3; ++j) {
    CAPTURE(j);
    const double m = 0.25 * first.mean(j) + 0.75 * second.mean(j);
    const double v = first.m2(j) / 19;
    const double w = second.m2(j) / 49;
    CHECK(agrees(mean.mean(j), m));
    CHECK(agrees(mean.variance(j), 0.25 * (v + std::pow(first.mean(j) - m, 2)) +
                                       0.75 * (w + std::pow(second.mean(j) - m, 2))));
    CHECK(agrees(mean.parts[0].squared_error(j), 0.0625 * v / 20));
    CHECK(agrees(mean.parts[1].squared_error(j), 0.5625 * w / 50));
  }
}

TEST_CASE("rows of one distribution alarm as rarely as promised", "[metrics][property]") {
  // 500 comparisons at alarm_p 0.05: 25 alarms expected at most; 44 are exceeded once in 10000
  // times. Bonferroni over independent coordinates is all but exact: fewer than 8 would be wrong.
  int alarms = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    RandomStream random(seed, 9);
    const Drift drift = drift_between(detail::moments_of(random_normal<double>(80, 10, seed, 1)),
                                      drawn_counts(4, 80, random),
                                      detail::moments_of(random_normal<double>(40, 10, seed, 2)),
                                      drawn_counts(4, 40, random), any_shift);
    alarms += drift.alarm ? 1 : 0;
  }
  CHECK(alarms <= 44);
  CHECK(alarms >= 8);
}

TEST_CASE("a shifted feature alarms", "[metrics][property]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 21)));
  CAPTURE(seed);
  const Matrix<double> before = random_normal<double>(300, 20, seed, 1);
  Matrix<double> now = random_normal<double>(300, 20, seed, 2);
  CHECK_FALSE(drift_of(before, now, {}).alarm);
  now.col(13).array() -= 0.6;  // 7 standard errors
  const Drift drift = drift_of(before, now, {});
  CHECK(drift.alarm);
  CHECK(drift.features.coordinate == 13);
  CHECK(std::abs(drift.features.shift + 0.6) < 0.25);
  CHECK(drift.p < 0.001);
}

TEST_CASE("a shift too small to matter does not alarm however sure", "[metrics][property]") {
  const Matrix<double> before = random_normal<double>(200000, 1, 1);
  const Matrix<double> now = (random_normal<double>(200000, 1, 2).array() + 0.05).matrix();
  const Drift drift = drift_of(before, now, {});
  CHECK(drift.p < 1e-9);
  CHECK_FALSE(drift.alarm);
  CHECK(drift_of(before, now, {.smallest_shift = 0.01}).alarm);
}

TEST_CASE("the drift of shares is the plain chi square of their counts", "[metrics][golden]") {
  // 100 rows of 50 30 20 against 50 of 10 20 20: expected (40 33.3 26.7) and (20 16.7 13.3), so
  // 2.5 + 1/3 + 5/3 + 5 + 2/3 + 10/3 = 13.5
  const ShareDrift drift =
      detail::share_drift({{"a", 50}, {"b", 30}, {"c", 20}}, {{"a", 10}, {"b", 20}, {"c", 20}});
  CHECK(agrees(drift.chi_square, 13.5));
  CHECK(drift.degrees_of_freedom == 2);
  CHECK(agrees(drift.p, std::exp(-13.5 / 2)));
  CHECK(agrees(drift.distance, 0.3));  // (0.3 + 0.1 + 0.2) / 2
  CHECK(drift.task == "a");
  CHECK(drift.before == 0.5);
  CHECK(drift.now == 0.2);
}

TEST_CASE("rare tasks share a cell of the chi square", "[metrics][golden]") {
  // of 100 and 100 rows a cell needs 10 in both together: d, c (3 + 4), then b joins them to 17
  const DriftCounts before{{"a", 90}, {"b", 6}, {"c", 3}, {"d", 1}};
  const DriftCounts now{{"a", 93}, {"b", 4}, {"c", 1}, {"d", 2}};
  const ShareDrift drift = detail::share_drift(before, now);
  CHECK(drift.degrees_of_freedom == 1);
  CHECK(agrees(drift.chi_square, 9.0 / 183 + 9.0 / 17));  // (90 - 93)^2 / 183 + (10 - 7)^2 / 17
}

TEST_CASE("shares of one distribution differ as rarely as their p-value says",
          "[metrics][property]") {
  int below = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    RandomStream random(seed);
    const DriftCounts before = drawn_counts(6, 300, random);
    below += detail::share_drift(before, drawn_counts(6, 120, random)).p < 0.05 ? 1 : 0;
  }
  // 50 expected; outside 25..80 about once in 10000 times
  CHECK(below >= 25);
  CHECK(below <= 80);
}

TEST_CASE("a changed share alarms", "[metrics][property]") {
  const FeatureMoments same = detail::moments_of(random_normal<double>(400, 3, 1));
  const Drift drift = drift_between(same, {{"a", 200}, {"b", 200}}, same, {{"a", 100}, {"b", 300}});
  CHECK(drift.alarm);
  CHECK(drift.features.p == 1);
  CHECK(drift.features.coordinate == -1);
  CHECK(drift.p < 1e-9);
  CHECK(drift.shares.task == "a");
}

TEST_CASE("features that are constant but for round-off do not drift", "[metrics][regression]") {
  Matrix<double> before = Matrix<double>::Constant(50, 2, 0.1);
  Matrix<double> now = Matrix<double>::Constant(70, 2, static_cast<double>(0.1F));
  now(3, 0) += 1e-9;
  before.col(1).setZero();
  now.col(1).setZero();
  const Drift drift = drift_of(before, now, any_shift);
  CHECK_FALSE(drift.alarm);
  CHECK(drift.p > 0.1);
  now.col(0).setConstant(0.2);
  CHECK(drift_of(before, now, any_shift).alarm);
  now.col(0).setConstant(0.1);
  now.col(1).setConstant(1e-3);
  CHECK(drift_of(before, now, any_shift).features.coordinate == 1);
}

TEST_CASE("too few rows are not tested", "[metrics][property]") {
  const Matrix<double> rows = random_normal<double>(100, 2, 1);
  const Drift drift = drift_of(rows, rows.topRows(29), {});
  CHECK_FALSE(drift.tested);
  CHECK_FALSE(drift.alarm);
  CHECK(drift.p == 1);
  CHECK(drift.rows_now == 29);
  CHECK(drift_of(rows, rows.topRows(30), {}).tested);
}

TEST_CASE("drift options out of range are refused", "[metrics][error]") {
  const Matrix<double> rows = random_normal<double>(40, 2, 1);
  const auto refused = [&](const DriftOptions& options) {
    return message_of<ArgumentError>([&] { (void)drift_of(rows, rows, options); });
  };
  CHECK(refused({.alarm_p = 0}) == "alarm_p is 0, expected above 0 and below 1");
  CHECK(refused({.smallest_shift = -1}) ==
        "smallest_shift is -1, expected a finite number, at least 0");
  CHECK(refused({.smallest_share_shift = 2}) == "smallest_share_shift is 2, expected 0 to 1");
  CHECK(refused({.min_rows = 1}) == "min_rows is 1, expected at least 2");
  CHECK(message_of<ShapeError>([&] {
          (void)drift_of(rows, random_normal<double>(40, 3, 1), {});
        }) == "moments now have 3 coordinates, expected 2 as before");
}
