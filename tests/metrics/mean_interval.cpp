// SPDX-License-Identifier: MIT
#include "anyssr/metrics/mean_interval.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"

namespace anyssr {
namespace {

using test::message_of;

TEST_CASE("the interval of a mean has the width of printed tables", "[metrics][golden]") {
  // half-width over standard error: the 97.5 per cent points of t as printed
  for (const auto& [count, t] : {std::pair{2, 12.706}, {3, 4.303}, {10, 2.262}, {31, 2.042}}) {
    CAPTURE(count);
    std::vector<double> values(static_cast<std::size_t>(count), 5.0);
    values[0] = 6;
    const MeanInterval interval = mean_interval(values);
    const double n = count;
    CHECK(std::abs(interval.mean - (5 + 1 / n)) < 1e-14);
    const double deviation = std::sqrt((1 - 1 / n) * (1 - 1 / n) / (n - 1) + 1 / (n * n));
    CHECK(std::abs(interval.half_width - t * deviation / std::sqrt(n)) < 5e-4);
  }
  const std::vector<double> values{1, 2, 3, 4};
  CHECK(std::abs(mean_interval(values, 0.9).half_width - 2.353 * std::sqrt(5.0 / 12)) < 5e-4);
}

TEST_CASE("one value has a mean and nothing to say of its spread", "[metrics][property]") {
  const std::vector<double> one{0.7};
  CHECK(mean_interval(one).mean == 0.7);
  CHECK(mean_interval(one).half_width == std::numeric_limits<double>::infinity());
  CHECK(paired_difference(one, one).p_value == 1);
}

TEST_CASE("the interval holds the true mean as often as it says", "[metrics][property]") {
  int held = 0;
  const int draws = 4000;
  const Matrix<double> values = random_normal<double>(5, draws, 11);
  for (int i = 0; i < draws; ++i) {
    const MeanInterval interval = mean_interval(std::span(&values(0, i), 5), 0.8);
    held += std::abs(interval.mean) <= interval.half_width ? 1 : 0;
  }
  CHECK(std::abs(held / double(draws) - 0.8) < 0.025);
}

TEST_CASE("pairs are compared by their differences", "[metrics][property]") {
  const std::vector<double> first{0.71, 0.42, 0.93, 0.64};
  std::vector<double> second;
  for (const double value : first) second.push_back(value - 0.25);  // far smaller than the spread
  const PairedDifference apart = paired_difference(first, second);
  CHECK(std::abs(apart.difference.mean - 0.25) < 1e-15);
  CHECK(apart.difference.half_width < 1e-14);
  CHECK(apart.p_value < 1e-10);
  CHECK(paired_difference(first, first).p_value == 1);
  const std::vector<double> other{0.7, 0.5, 0.9, 0.6};  // differences 0.01, -0.08, 0.03, 0.04
  const PairedDifference close = paired_difference(first, other);
  CHECK(std::abs(close.difference.mean) < 1e-15);
  CHECK(close.p_value > 0.999);
  CHECK(paired_difference(other, first).difference.half_width == close.difference.half_width);
}

TEST_CASE("an interval refuses what has none", "[metrics][error]") {
  const std::vector<double> none;
  const std::vector<double> two{1, 2};
  const std::vector<double> bad{1, std::numeric_limits<double>::quiet_NaN()};
  CHECK(message_of<ShapeError>([&] { (void)mean_interval(none); }) ==
        "values are empty, expected at least 1");
  CHECK(message_of<NonFiniteError>([&] { (void)mean_interval(bad); }) ==
        "values hold nan at 1, expected finite numbers");
  CHECK(message_of<ArgumentError>([&] { (void)mean_interval(two, 1); }) ==
        "level is 1, expected above 0 and below 1");
  CHECK(message_of<ShapeError>([&] { (void)paired_difference(two, std::vector<double>(3)); }) ==
        "first and second have 2 and 3 values, expected one per run each");
}

}  // namespace
}  // namespace anyssr
