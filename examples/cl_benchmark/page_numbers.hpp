// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The figures of several runs as they stand on the page. Texts are markup.

#include <algorithm>
#include <anyssr/core/text.hpp>
#include <anyssr/metrics/mean_interval.hpp>
#include <cmath>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "cl_benchmark/experiment.hpp"
#include "support/page_text.hpp"

namespace cl_benchmark {

/// The methods asked for that have results, in the order of the options.
[[nodiscard]] inline std::vector<std::string> methods_run(const Options& options,
                                                          const Results& results) {
  std::vector<std::string> methods;
  for (const std::string& name : options.methods) {
    const auto found = results.runs.find(name);
    if (found != results.runs.end() && !found->second.empty()) methods.push_back(name);
  }
  return methods;
}

/// Of these names, in this order, those that were run; at most so many. Where none was, the first
/// that were.
[[nodiscard]] inline std::vector<std::string> selected(const std::vector<std::string>& wanted,
                                                       const std::vector<std::string>& run,
                                                       std::size_t most) {
  std::vector<std::string> names;
  for (const std::string& name : wanted) {
    if (std::ranges::find(run, name) != run.end()) names.push_back(name);
  }
  if (names.empty()) names = run;
  if (names.size() > most) names.resize(most);
  return names;
}

/// @param values  at least one
[[nodiscard]] inline double mean_of(const std::vector<double>& values) {
  return anyssr::mean_interval(values).mean;
}

/// With a minus sign instead of a hyphen.
[[nodiscard]] inline std::string signed_text(double value, int digits) {
  const std::string text = support::number(value, digits);
  return text.starts_with('-') ? "&minus;" + text.substr(1) : text;
}

/// The same with the digits that it has, at most three.
[[nodiscard]] inline std::string signed_text(double value) {
  const std::string text = anyssr::number_text(value);
  return text.starts_with('-') ? "&minus;" + text.substr(1) : text;
}

/// "81.23 +- 0.45" of shares, as per cent or points; a dash where there is none, no interval for
/// one run.
[[nodiscard]] inline std::string interval_text(const anyssr::MeanInterval& interval, int digits = 2,
                                               double scale = 100) {
  std::string text = signed_text(scale * interval.mean, digits);
  if (!std::isfinite(interval.half_width)) return text;
  return text + " <span class=\"pm\">&plusmn;&nbsp;" +
         support::number(scale * interval.half_width, digits) + "</span>";
}

[[nodiscard]] inline std::string interval_text(const std::vector<double>& values, int digits = 2,
                                               double scale = 100) {
  if (values.empty()) return "&ndash;";
  return interval_text(anyssr::mean_interval(values), digits, scale);
}

/// "1.2 points"
[[nodiscard]] inline std::string points_text(double share, int digits = 1) {
  return signed_text(100 * share, digits) + "&nbsp;points";
}

/// "3 tasks", "1 task"
[[nodiscard]] inline std::string counted(std::size_t count, const std::string& thing) {
  return support::grouped(count) + "&nbsp;" + thing + (count == 1 ? "" : "s");
}

[[nodiscard]] inline std::string seconds_text(double seconds) {
  if (seconds < 1e-3)
    return support::number(1e6 * seconds, seconds < 1e-5 ? 1 : 0) + "&nbsp;&micro;s";
  if (seconds < 0.1) return support::number(1e3 * seconds, seconds < 0.01 ? 1 : 0) + "&nbsp;ms";
  if (seconds < 600) return support::number(seconds, seconds < 10 ? 2 : 0) + "&nbsp;s";
  return support::number(seconds / 60, 0) + "&nbsp;min";
}

/// Names of the tasks in the order of one run.
[[nodiscard]] inline std::vector<std::string> order_of(const Benchmark& benchmark,
                                                       const Results& results, std::size_t run) {
  if (run < results.plans.size() && !results.plans[run].order.empty()) {
    return results.plans[run].order;
  }
  std::vector<std::string> names;
  for (const Task& task : benchmark.tasks) names.push_back(task.name);
  return names;
}

}  // namespace cl_benchmark
