// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The charts of the page, as markup; "" where the methods that were run give nothing to show.

#include <string>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

/// Mean accuracy, and mean loss since each task was learned, by number of tasks learned.
[[nodiscard]] std::string curves(const Options& options, const Results& results);
/// Accuracy matrices of the first run, side by side.
[[nodiscard]] std::string accuracy_maps(const Benchmark& benchmark, const Options& options,
                                        const Results& results);
/// Tasks that the questions of each task were taken for, in the first run of a method.
[[nodiscard]] std::string confusion_map(const Benchmark& benchmark, const Results& results,
                                        const std::string& method);
/// A chart of bars for each kind of cost.
[[nodiscard]] std::string cost_bars(const Options& options, const Results& results);
/// Seconds for the next task and bytes stored, by number of tasks learned.
[[nodiscard]] std::string growth(const Options& options, const Results& results);

}  // namespace cl_benchmark
