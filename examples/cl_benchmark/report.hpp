// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a run of `cl_benchmark` says: a table, and a JSON file.

#include <string>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

void print_table(const Benchmark& benchmark, const Options& options, const Results& results);

/// Keys: methods.NAME.{average_accuracy, forgetting, ...}, each {"mean", "half_width", "values"}.
void write_json(const std::string& path, const Benchmark& benchmark, const Options& options,
                const Results& results);

}  // namespace cl_benchmark
