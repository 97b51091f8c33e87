// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Figures of a run that change with the number of tasks learned, as lines with their intervals.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cl_benchmark/experiment.hpp"
#include "support/plot.hpp"

namespace cl_benchmark {

/// One method's line.
struct Curve {
  std::string name;
  std::string kind;  ///< class of the style sheet, the same in all charts
  support::Plot::Points means = {};
  support::Plot::Points low = {};  ///< ends of the 95 % interval; empty for one run
  support::Plot::Points high = {};
};

/// A figure after task i of a run, none where it has no such.
using StepFigure = std::function<std::optional<double>(const MethodRun&, anyssr::Index i)>;

[[nodiscard]] Curve curve_of(const std::string& method, const std::vector<MethodRun>& runs,
                             const StepFigure& figure);

/// Mean accuracy over the tasks learned so far.
[[nodiscard]] std::optional<double> accuracy_so_far(const MethodRun& run, anyssr::Index i);

/// The curves in one plot: bands of the solid ones, lines, and markers where there are few tasks.
/// @param text  of a value in a tooltip
void add_curves(support::Plot& plot, const std::vector<Curve>& curves,
                const std::function<std::string(double)>& text, bool has_legend);

/// Least and largest value of all curves, with their intervals.
struct Range {
  double least = 0;
  double most = 0;
};
[[nodiscard]] Range range_of(const std::vector<Curve>& curves);

}  // namespace cl_benchmark
