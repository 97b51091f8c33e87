// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How unlikely a figure is by chance: tails of the distributions that tests and bounds need.
///
///   Student   P(|T| >= t) = I_x(v/2, 1/2),  x = v / (v + t^2)        v degrees of freedom
///   chi-square  P(X >= x) = Q(v/2, x/2)
///   binomial    P(X <= k) = I_{1-p}(n - k, k + 1)                    n draws of probability p
///
/// I is the regularised incomplete beta function (continued fraction, DLMF 8.17.22), Q the
/// regularised upper incomplete gamma function (series DLMF 8.7.1, continued fraction 8.9.2). The
/// logarithm of the gamma function is a series of our own: the C library's writes a global.
/// Relative error: below 1e-9 up to a million degrees of freedom or draws.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// ln Gamma(x), x > 0: Stirling's series (DLMF 5.11.1) where x is large, reached by the recurrence
/// Gamma(x + 1) = x Gamma(x).
[[nodiscard]] inline double log_gamma(double x) noexcept {
  double shift = 0;
  for (; x < 16; x += 1) shift += std::log(x);
  constexpr std::array<double, 6> terms{1.0 / 12,    -1.0 / 360, 1.0 / 1260,
                                        -1.0 / 1680, 1.0 / 1188, -691.0 / 360360};
  double series = 0;
  for (std::size_t i = terms.size(); i-- > 0;) series = series / (x * x) + terms[i];
  return (x - 0.5) * std::log(x) - x + 0.5 * std::log(2 * std::numbers::pi) + series / x - shift;
}

/// Steps of a continued fraction b0 + a1 / (b1 + a2 / (b2 + ...)), by the modified Lentz method.
class ContinuedFraction {
 public:
  explicit ContinuedFraction(double first) noexcept : value_(nonzero(first)), c_(value_) {}

  /// Takes a_i and b_i.
  /// @return whether the value moved
  bool step(double a, double b) noexcept {
    d_ = 1 / nonzero(b + a * d_);
    c_ = nonzero(b + a / c_);
    const double change = c_ * d_;
    value_ *= change;
    return std::abs(change - 1) > 4 * std::numeric_limits<double>::epsilon();
  }
  [[nodiscard]] double value() const noexcept { return value_; }

 private:
  [[nodiscard]] static double nonzero(double x) noexcept {
    constexpr double tiny = 1e-300;
    return std::abs(x) < tiny ? tiny : x;
  }

  double value_;
  double c_;
  double d_ = 0;
};

/// A fraction takes about the root of its largest parameter in steps: this many end any.
inline constexpr int most_fraction_steps = 1000000;

/// I_x(a, b) where x <= (a + 1) / (a + b + 2): there its fraction converges fast.
[[nodiscard]] inline double beta_by_fraction(double a, double b, double x, double y) noexcept {
  const auto log_of = [](double u, double rest) {
    return rest < 0.5 ? std::log1p(-rest) : std::log(u);
  };
  const double log_front =
      a * log_of(x, y) + b * log_of(y, x) + log_gamma(a + b) - log_gamma(a) - log_gamma(b);
  ContinuedFraction fraction(1);
  bool moves = true;
  for (int i = 1; i < most_fraction_steps && moves; ++i) {
    const int half = i / 2;
    const double m = half;
    const double twice = a + 2 * m;
    moves = fraction.step(i % 2 == 0 ? m * (b - m) * x / ((twice - 1) * twice)
                                     : -(a + m) * (a + b + m) * x / (twice * (twice + 1)),
                          1);
  }
  return std::clamp(std::exp(log_front) / (a * fraction.value()), 0.0, 1.0);
}

/// I_x(a, b) for a, b > 0; x and y = 1 - x, both given so that a small one keeps its digits.
[[nodiscard]] inline double regularised_beta(double a, double b, double x, double y) noexcept {
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  return x > (a + 1) / (a + b + 2) ? 1 - beta_by_fraction(b, a, y, x)
                                   : beta_by_fraction(a, b, x, y);
}

/// Q(a, x) for a > 0, x >= 0.
[[nodiscard]] inline double regularised_upper_gamma(double a, double x) noexcept {
  if (x <= 0) return 1;
  const double front = std::exp(a * std::log(x) - x - log_gamma(a));
  if (x < a + 1) {
    double term = 1 / a;
    double sum = term;
    for (int i = 1; i < most_fraction_steps && term > sum * 1e-17; ++i) {
      term *= x / (a + i);
      sum += term;
    }
    return std::clamp(1 - front * sum, 0.0, 1.0);
  }
  ContinuedFraction fraction(x + 1 - a);
  bool moves = true;
  for (int i = 1; i < most_fraction_steps && moves; ++i) {
    moves = fraction.step(-i * (i - a), x + 2 * i + 1 - a);
  }
  return std::clamp(front / fraction.value(), 0.0, 1.0);
}

/// P(X <= k) of n draws, 0 <= k <= n, 0 <= p <= 1.
[[nodiscard]] inline double binomial_at_most(Index k, Index n, double p) noexcept {
  if (k >= n) return 1;
  return regularised_beta(static_cast<double>(n - k), static_cast<double>(k + 1), 1 - p, p);
}

}  // namespace detail

/// P(|T| >= |t|) under Student's distribution: the two-sided p-value.
/// @param t                   finite
/// @param degrees_of_freedom  > 0, need not be whole; above 1e8 the normal distribution stands in
/// @throws ArgumentError
[[nodiscard]] inline double student_two_sided(double t, double degrees_of_freedom) {
  detail::expect(detail::is_finite(t), "t is ", t, ", expected a finite number");
  detail::expect_positive("degrees_of_freedom", degrees_of_freedom);
  if (degrees_of_freedom > 1e8) return std::erfc(std::abs(t) / std::numbers::sqrt2);
  const double square = t * t;
  if (!detail::is_finite(square)) return 0;
  const double whole = degrees_of_freedom + square;
  return detail::regularised_beta(degrees_of_freedom / 2, 0.5, degrees_of_freedom / whole,
                                  square / whole);
}

/// P(X >= x) under the chi-square distribution.
/// @param x                   finite, at least 0
/// @param degrees_of_freedom  > 0
/// @throws ArgumentError
[[nodiscard]] inline double chi_square_tail(double x, double degrees_of_freedom) {
  detail::expect(detail::is_finite(x) && x >= 0, "x is ", x,
                 ", expected a finite number, at least 0");
  detail::expect_positive("degrees_of_freedom", degrees_of_freedom);
  return detail::regularised_upper_gamma(degrees_of_freedom / 2, x / 2);
}

/// Upper limit of an error rate of which `errors` in `count` draws were seen: the p at which so few
/// errors have probability 1 - level (Clopper and Pearson 1934, one-sided, exact).
/// @param errors  0..count
/// @param count   at least 1
/// @param level   confidence, above 0 and below 1
/// @throws ArgumentError
/// Cost: about 60 incomplete beta functions.
[[nodiscard]] inline double binomial_upper_bound(Index errors, Index count, double level) {
  detail::expect(count >= 1, "count is ", count, ", expected at least 1");
  detail::expect(errors >= 0 && errors <= count, "errors is ", errors, ", expected 0..", count);
  detail::expect(detail::is_finite(level) && level > 0 && level < 1, "level is ", level,
                 ", expected above 0 and below 1");
  if (errors == count) return 1;
  double low = static_cast<double>(errors) / static_cast<double>(count);
  // at the share seen, so few errors have probability near 1/2, which a low level may ask less of
  if (detail::binomial_at_most(errors, count, low) < 1 - level) low = 0;
  double high = 1;
  for (int step = 0; step < 200 && high - low > 1e-15 * high; ++step) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    (detail::binomial_at_most(errors, count, middle) > 1 - level ? low : high) = middle;
  }
  return high;
}

}  // namespace anyssr::inline ANYSSR_ABI
