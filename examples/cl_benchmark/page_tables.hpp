// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The tables of the page, as markup; "" where the methods that were run give nothing to show.

#include <string>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

/// One row per method: what it reaches, how far it is from anyssr, what it costs.
[[nodiscard]] std::string methods_table(const Options& options, const Results& results);
/// The pairs of tasks that questions were confused between most often, in the first run.
[[nodiscard]] std::string mistakes_table(const Benchmark& benchmark, const Results& results,
                                         const std::string& method);
/// Accuracy on each task at the end.
[[nodiscard]] std::string tasks_table(const Benchmark& benchmark, const Options& options,
                                      const Results& results);
/// Learning one after another beside learning all at once.
[[nodiscard]] std::string at_once_table(const Options& options, const Results& results);
[[nodiscard]] std::string merges_table(const Results& results);
/// Figures of the paper, for the benchmark TRACE.
[[nodiscard]] std::string published_table();
[[nodiscard]] std::string meanings_table(const Options& options, const Results& results);
[[nodiscard]] std::string settings_table(const Benchmark& benchmark, const Options& options,
                                         const Results& results);
/// What --tune sets, folded up.
[[nodiscard]] std::string tuned_table(const Options& options);
/// The order of the tasks in each run.
[[nodiscard]] std::string orders_list(const Results& results);

}  // namespace cl_benchmark
