// SPDX-License-Identifier: MIT
#include "anyssr/metrics/tail_probability.hpp"

#include <cmath>
#include <numbers>

#include "support/catch.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;

/// Integral of f over begin..end by Simpson's rule.
template <class F>
double simpson(const F& f, double begin, double end, int steps = 200000) {
  const double h = (end - begin) / steps;
  double sum = f(begin) + f(end);
  for (int i = 1; i < steps; ++i) sum += (i % 2 == 0 ? 2 : 4) * f(begin + i * h);
  return sum * h / 3;
}

/// 2 P(T >= t) by integration: x = tan(u) sqrt(v) turns the density into cos(u)^(v - 1).
double slow_student(double t, double v) {
  const auto density = [&](double u) { return std::pow(std::cos(u), v - 1); };
  const double half = std::numbers::pi / 2;
  return simpson(density, std::atan(t / std::sqrt(v)), half) / simpson(density, 0, half);
}

/// P(X >= x) by integration of y = sqrt(x): the density is then smooth at 0.
double slow_chi_square(double x, double v) {
  const auto density = [&](double y) { return std::pow(y, v - 1) * std::exp(-y * y / 2); };
  const double far = std::sqrt(v) + 40;
  return simpson(density, std::sqrt(x), far) / simpson(density, 0, far);
}

/// P(X <= k), term by term from the largest.
double slow_binomial(Index k, Index n, double p) {
  double sum = 0;
  double term = std::pow(1 - p, static_cast<double>(n));
  for (Index i = 0; i <= k; ++i) {
    sum += term;
    term *= static_cast<double>(n - i) / static_cast<double>(i + 1) * p / (1 - p);
  }
  return sum;
}

bool is_close(double a, double b, double relative) {
  return std::abs(a - b) <= relative * std::abs(b);
}

}  // namespace

TEST_CASE("tails agree with printed tables", "[metrics][golden]") {
  // two-sided 5 and 0.1 per cent points of t and 5 per cent points of chi-square, as printed to
  // three digits after the point; a Cauchy and a normal tail in closed form
  CHECK(is_close(student_two_sided(2.228, 10), 0.05, 1e-3));
  CHECK(is_close(student_two_sided(3.646, 30), 0.001, 1e-3));
  CHECK(is_close(student_two_sided(1, 1), 0.5, 1e-13));
  CHECK(is_close(student_two_sided(-2, 1e9), std::erfc(std::numbers::sqrt2), 1e-12));
  CHECK(is_close(chi_square_tail(3.841, 1), 0.05, 1e-3));
  CHECK(is_close(chi_square_tail(124.342, 100), 0.05, 1e-3));
  CHECK(is_close(chi_square_tail(50, 2), std::exp(-25.0), 1e-13));
}

TEST_CASE("the logarithm of the gamma function is that of factorials", "[metrics][property]") {
  double log_factorial = 0;
  for (int n = 1; n < 60; ++n) {
    CAPTURE(n);
    CHECK(std::abs(detail::log_gamma(n) - log_factorial) < 1e-13 * (1 + log_factorial));
    log_factorial += std::log(n);
  }
  CHECK(is_close(detail::log_gamma(0.5), std::log(std::numbers::pi) / 2, 1e-13));
}

TEST_CASE("the tail of Student is the integral of its density", "[metrics][property]") {
  const double v = GENERATE(1.0, 2.5, 10.0, 300.0);
  for (const double t : {0.01, 0.5, 1.0, 1.7, 2.0, 3.5, 6.0}) {
    CAPTURE(v, t);
    CHECK(is_close(student_two_sided(t, v), slow_student(t, v), 1e-9));
    CHECK(student_two_sided(-t, v) == student_two_sided(t, v));
  }
  CHECK(student_two_sided(0, v) == 1);
}

TEST_CASE("the tail of Student meets the normal one", "[metrics][property]") {
  for (const double t : {0.5, 1.0, 3.0, 6.0}) {
    CAPTURE(t);
    CHECK(is_close(student_two_sided(t, 0.99e8), student_two_sided(t, 1.01e8), 1e-5));
  }
}

TEST_CASE("the tail of chi-square is the integral of its density", "[metrics][property]") {
  const double v = GENERATE(1.0, 2.0, 5.0, 40.0);
  for (const double ratio : {0.1, 0.7, 1.0, 1.5, 4.0}) {
    CAPTURE(v, ratio);
    CHECK(is_close(chi_square_tail(ratio * v, v), slow_chi_square(ratio * v, v), 1e-9));
  }
  CHECK(chi_square_tail(0, v) == 1);
}

TEST_CASE("the binomial tail is the sum of its terms", "[metrics][property]") {
  const Index n = GENERATE(1, 7, 200);
  for (Index k = 0; k < n; k += 1 + n / 9) {
    for (const double p : {0.001, 0.05, 0.3, 0.9}) {
      CAPTURE(n, k, p);
      CHECK(is_close(detail::binomial_at_most(k, n, p), slow_binomial(k, n, p), 1e-10));
    }
  }
}

TEST_CASE("the upper limit of a rate leaves its level to so few errors", "[metrics][property]") {
  // without errors: (1 - p)^n = 1 - level
  CHECK(is_close(binomial_upper_bound(0, 20, 0.95), 1 - std::pow(0.05, 1.0 / 20), 1e-12));
  // with a single right one: 1 - p^n = 1 - level
  CHECK(is_close(binomial_upper_bound(199, 200, 0.9), std::pow(0.9, 1.0 / 200), 1e-12));
  CHECK(binomial_upper_bound(20, 20, 0.95) == 1);
  for (const Index errors : {0, 1, 17, 150}) {
    for (const double level : {0.01, 0.5, 0.9, 0.999}) {
      CAPTURE(errors, level);
      const double bound = binomial_upper_bound(errors, 200, level);
      CHECK(is_close(slow_binomial(errors, 200, bound), 1 - level, 1e-9));
    }
  }
}

TEST_CASE("the upper limit of a rate holds at many draws", "[metrics][property]") {
  // a normal approximation: share + 1.6449 standard deviations
  const double bound = binomial_upper_bound(10000, 1000000, 0.95);
  CHECK(is_close(bound, 0.01 + 1.6449 * std::sqrt(0.01 * 0.99 / 1e6), 1e-3));
}

TEST_CASE("tails of what no distribution has are refused", "[metrics][error]") {
  CHECK(message_of<ArgumentError>([] { (void)student_two_sided(NAN, 3); }) ==
        "t is nan, expected a finite number");
  CHECK(message_of<ArgumentError>([] { (void)student_two_sided(1, 0); }) ==
        "degrees_of_freedom is 0, expected a finite number above 0");
  CHECK(message_of<ArgumentError>([] { (void)chi_square_tail(-1, 2); }) ==
        "x is -1, expected a finite number, at least 0");
  CHECK(message_of<ArgumentError>([] { (void)binomial_upper_bound(0, 0, 0.9); }) ==
        "count is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([] { (void)binomial_upper_bound(3, 2, 0.9); }) ==
        "errors is 3, expected 0..2");
  CHECK(message_of<ArgumentError>([] { (void)binomial_upper_bound(1, 2, 1); }) ==
        "level is 1, expected above 0 and below 1");
}
