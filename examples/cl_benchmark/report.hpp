// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a run of `cl_benchmark` says: a table, a JSON file, and tables for other programs.

#include <string>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

void print_table(const Benchmark& benchmark, const Options& options, const Results& results);

/// Keys: methods.NAME.{average_accuracy, forgetting, ...}, each {"mean", "half_width", "values"}.
void write_json(const std::string& path, const Benchmark& benchmark, const Options& options,
                const Results& results);

/// figures.csv: one line per method and run; accuracy.csv: one per entry of the accuracy matrices.
/// @param folder  made where it is not there
/// @throws anyssr::FileError
void write_csv(const std::string& folder, const Options& options, const Results& results);

}  // namespace cl_benchmark
