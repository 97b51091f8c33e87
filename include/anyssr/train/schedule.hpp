// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The learning rate of a step, t = 0..total-1, after w = ceil(warmup * total) steps that rise to
/// it, with p = (t - w) / (total - w):
///
///   t < w     rate (t + 1) / w
///   constant  rate        linear  rate (1 - p)        cosine  rate (1 + cos(pi p)) / 2
///
/// And the clipping of a gradient by its norm over all numbers.

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {

enum class Schedule : std::uint8_t { constant, linear, cosine };

namespace detail {
template <>
inline constexpr Schedule last_enumerator<Schedule> = Schedule::cosine;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(Schedule schedule) {
  switch (schedule) {
    case Schedule::constant:
      return "constant";
    case Schedule::linear:
      return "linear";
    case Schedule::cosine:
      return "cosine";
  }
  detail::raise_no_enumerator("schedule", schedule);
}

/// @param name  constant, linear or cosine
/// @param what  how a message names it
/// @throws ArgumentError  which lists the known names
[[nodiscard]] inline Schedule parse_schedule(std::string_view name,
                                             std::string_view what = "schedule") {
  return detail::parse_enumerator<Schedule>(what, name);
}

struct ScheduleOptions {
  double rate = 1e-2;                    ///< above 0, the largest rate
  Schedule schedule = Schedule::linear;  ///< linear and cosine fall towards 0
  double warmup = 0;                     ///< share of the steps that rise to the rate, [0, 1)
};

/// The rate of step `step` of `total`.
/// @throws ArgumentError  step outside 0..total-1 or an option out of its range
[[nodiscard]] inline double rate_at(Index step, Index total, const ScheduleOptions& options) {
  detail::expect(step >= 0 && step < total, "step is ", step, ", expected 0 to ", total - 1);
  detail::expect_positive("rate", options.rate);
  detail::expect(detail::is_finite(options.warmup) && options.warmup >= 0 && options.warmup < 1,
                 "warmup is ", options.warmup, ", expected at least 0 and below 1");
  const double rise = std::ceil(options.warmup * static_cast<double>(total));
  const auto t = static_cast<double>(step);
  if (t < rise) return options.rate * (t + 1) / rise;
  const double p = (t - rise) / (static_cast<double>(total) - rise);
  switch (options.schedule) {
    case Schedule::linear:
      return options.rate * (1 - p);
    case Schedule::cosine:
      return options.rate * (1 + std::cos(std::numbers::pi * p)) / 2;
    case Schedule::constant:
      break;
  }
  return options.rate;
}

/// Euclidean norm of all numbers of a gradient, summed in double.
template <RealScalar S>
[[nodiscard]] double gradient_norm(const AdapterGradient<S>& gradient) {
  double sum = 0;
  for_each_block(gradient,
                 [&](const auto& block) { sum += block.template cast<double>().squaredNorm(); });
  return std::sqrt(sum);
}

/// Scales a gradient down to norm `max_norm` where it is longer. A gradient that is not finite
/// stays.
/// @return the norm before
/// @throws ArgumentError  max_norm is not above 0
template <RealScalar S>
double clip_gradient(AdapterGradient<S>& gradient, double max_norm) {
  detail::expect_positive("max_norm", max_norm);
  const double norm = gradient_norm(gradient);
  if (detail::is_finite(norm) && norm > max_norm) {
    const auto factor = static_cast<S>(max_norm / norm);
    for_each_block(gradient, [&](auto block) { block *= factor; });
  }
  return norm;
}

}  // namespace anyssr::inline ANYSSR_ABI
