// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The top of the page: what came out, in words with the figures filled in. Where another method is
/// more accurate than anyssr, they say so.

#include <string>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

[[nodiscard]] std::string title_of(const Benchmark& benchmark, const Options& options,
                                   const Results& results);
/// Paragraphs of a few sentences that compare the methods.
[[nodiscard]] std::string lead_of(const Options& options, const Results& results);
/// The main figures in large letters.
[[nodiscard]] std::string heads_of(const Options& options, const Results& results);

}  // namespace cl_benchmark
