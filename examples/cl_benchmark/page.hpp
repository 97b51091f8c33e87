// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Results as a page for a browser, one file without scripts and without anything to load, and as
/// one figure.

#include <string>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

/// @throws anyssr::FileError  where it cannot be written
void write_page(const std::string& path, const Benchmark& benchmark, const Options& options,
                const Results& results);

/// An SVG file: mean accuracy over the tasks learned so far, for the methods that matter most.
[[nodiscard]] std::string summary_figure(const Benchmark& benchmark, const Options& options,
                                         const Results& results);

/// @throws anyssr::FileError  where it cannot be written
void write_figure(const std::string& path, const Benchmark& benchmark, const Options& options,
                  const Results& results);

}  // namespace cl_benchmark
