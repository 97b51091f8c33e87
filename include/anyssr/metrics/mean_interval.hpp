// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The mean of repeated measurements and how far it may be off: for n values with mean m and
/// standard deviation s,
///
///   m +- t s / sqrt(n)      P(|T| >= t) = 1 - level under Student's distribution, n - 1 degrees
///
/// Two methods that were measured in the same runs are compared by their differences, one per run
/// (the paired t test): what the runs share falls out.
/// Source: Student, Biometrika 6 (1908), 1-25.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/metrics/tail_probability.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct MeanInterval {
  double mean = 0;
  double half_width = 0;  ///< infinite for one value, which says nothing of the others
};

struct PairedDifference {
  MeanInterval difference;  ///< of first - second
  double p_value = 1;       ///< two-sided; 1 for one pair
};

namespace detail {

inline void expect_measurements(std::string_view what, std::span<const double> values) {
  expect<ShapeError>(!values.empty(), what, " are empty, expected at least 1");
  for (std::size_t i = 0; i < values.size(); ++i) {
    expect<NonFiniteError>(is_finite(values[i]), what, " hold ", values[i], " at ", i,
                           ", expected finite numbers");
  }
}

struct MeanSpread {
  double mean = 0;
  double error = 0;  // s / sqrt(n); 0 for one value
};

[[nodiscard]] inline MeanSpread mean_spread(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0;
  for (const double value : values) mean += value / count;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, values.size() == 1 ? 0 : std::sqrt(squares / (count - 1) / count)};
}

/// The t with P(|T| >= t) = p.
[[nodiscard]] inline double student_quantile(double p, double degrees_of_freedom) {
  double high = 1;
  while (student_two_sided(high, degrees_of_freedom) > p) high *= 2;
  double low = 0;
  while (high - low > 1e-12 * high) {
    const double middle = low + (high - low) / 2;
    (student_two_sided(middle, degrees_of_freedom) > p ? low : high) = middle;
  }
  return high;
}

}  // namespace detail

/// @param values  at least 1
/// @param level   confidence, above 0 and below 1
/// @throws ShapeError, NonFiniteError, ArgumentError
[[nodiscard]] inline MeanInterval mean_interval(std::span<const double> values,
                                                double level = 0.95) {
  detail::expect_measurements("values", values);
  detail::expect(detail::is_finite(level) && level > 0 && level < 1, "level is ", level,
                 ", expected above 0 and below 1");
  const detail::MeanSpread spread = detail::mean_spread(values);
  if (values.size() == 1) return {spread.mean, std::numeric_limits<double>::infinity()};
  const double degrees = static_cast<double>(values.size()) - 1;
  return {spread.mean, detail::student_quantile(1 - level, degrees) * spread.error};
}

/// @param first, second  one value per run each, the same runs in the same order
/// @throws ShapeError, NonFiniteError, ArgumentError
[[nodiscard]] inline PairedDifference paired_difference(std::span<const double> first,
                                                        std::span<const double> second,
                                                        double level = 0.95) {
  detail::expect_measurements("first", first);
  detail::expect_measurements("second", second);
  detail::expect<ShapeError>(first.size() == second.size(), "first and second have ", first.size(),
                             " and ", second.size(), " values, expected one per run each");
  std::vector<double> differences(first.size());
  std::transform(first.begin(), first.end(), second.begin(), differences.begin(), std::minus<>());
  PairedDifference result{.difference = mean_interval(differences, level)};
  if (differences.size() == 1) return result;
  const detail::MeanSpread spread = detail::mean_spread(differences);
  const double degrees = static_cast<double>(differences.size()) - 1;
  // without any spread the difference is certain, if there is one
  if (spread.error > 0) {
    result.p_value = student_two_sided(spread.mean / spread.error, degrees);
  } else {
    result.p_value = spread.mean == 0 ? 1 : 0;
  }
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI
