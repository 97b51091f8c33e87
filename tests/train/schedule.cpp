// SPDX-License-Identifier: MIT
#include "anyssr/train/schedule.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using namespace anyssr::test;

bool is_near(double a, double b) { return std::abs(a - b) <= 1e-15 + 1e-12 * std::abs(b); }

}  // namespace

TEST_CASE("rates without warmup follow their formula", "[train][property]") {
  const ScheduleOptions constant{.rate = 0.4, .schedule = Schedule::constant};
  const ScheduleOptions linear{.rate = 0.4, .schedule = Schedule::linear};
  const ScheduleOptions cosine{.rate = 0.4, .schedule = Schedule::cosine};
  for (Index t = 0; t < 4; ++t) CHECK(rate_at(t, 4, constant) == 0.4);
  CHECK(is_near(rate_at(0, 4, linear), 0.4));
  CHECK(is_near(rate_at(1, 4, linear), 0.3));
  CHECK(is_near(rate_at(2, 4, linear), 0.2));
  CHECK(is_near(rate_at(3, 4, linear), 0.1));
  CHECK(is_near(rate_at(0, 4, cosine), 0.4));
  CHECK(is_near(rate_at(1, 4, cosine), 0.2 * (1 + std::sqrt(0.5))));
  CHECK(is_near(rate_at(2, 4, cosine), 0.2));
  CHECK(is_near(rate_at(3, 4, cosine), 0.2 * (1 - std::sqrt(0.5))));
}

TEST_CASE("warmup rises to the rate and the fall starts there", "[train][property]") {
  const ScheduleOptions options{.rate = 1, .schedule = Schedule::linear, .warmup = 0.35};
  // ceil(0.35 * 10) = 4 steps rise, 6 fall.
  const double expected[] = {0.25, 0.5, 0.75, 1, 1, 5.0 / 6, 4.0 / 6, 3.0 / 6, 2.0 / 6, 1.0 / 6};
  for (Index t = 0; t < 10; ++t) {
    CAPTURE(t);
    CHECK(is_near(rate_at(t, 10, options), expected[t]));
  }
}

TEST_CASE("a bad step or schedule is refused", "[train][error]") {
  CHECK(message_of<ArgumentError>([] { (void)rate_at(4, 4, {}); }) == "step is 4, expected 0 to 3");
  CHECK(message_of<ArgumentError>([] { (void)rate_at(-1, 4, {}); }) ==
        "step is -1, expected 0 to 3");
  CHECK(message_of<ArgumentError>([] { (void)rate_at(0, 4, {.rate = 0}); }) ==
        "rate is 0, expected a finite number above 0");
  CHECK(message_of<ArgumentError>([] { (void)rate_at(0, 4, {.warmup = 1}); }) ==
        "warmup is 1, expected at least 0 and below 1");
}

TEMPLATE_TEST_CASE("clipping scales a long gradient and keeps a short one", "[train][property]",
                   float, double) {
  AdapterGradient<TestType> gradient;
  gradient.modules["s"] = {Matrix<TestType>::Constant(1, 2, 1),
                           Matrix<TestType>::Constant(2, 1, -2)};
  gradient.heads["h"] = {Matrix<TestType>::Constant(3, 1, 3), RowVector<TestType>::Constant(1, -3)};
  const double norm = std::sqrt(2.0 + 8 + 27 + 9);
  CHECK(is_near(clip_gradient(gradient, 7), norm));
  CHECK(gradient.modules["s"].b(1, 0) == -2);
  CHECK(is_near(clip_gradient(gradient, 2), norm));
  CHECK(std::abs(gradient_norm(gradient) - 2) < round_off<TestType>(10));
  const double ratio =
      static_cast<double>(gradient.modules["s"].b(1, 0) / gradient.heads["h"].bias(0));
  CHECK(std::abs(ratio - 2.0 / 3) < round_off<TestType>(4));
  CHECK(message_of<ArgumentError>([&] { (void)clip_gradient(gradient, 0); }) ==
        "max_norm is 0, expected a finite number above 0");
}

TEST_CASE("a gradient that is not finite is reported and not scaled", "[train][property]") {
  AdapterGradient<double> gradient;
  gradient.heads["h"] = {Matrix<double>::Constant(1, 1, std::numeric_limits<double>::quiet_NaN()),
                         RowVector<double>::Constant(1, 9)};
  CHECK_FALSE(std::isfinite(clip_gradient(gradient, 1)));
  CHECK(gradient.heads["h"].bias(0) == 9);
}
