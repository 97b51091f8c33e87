// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Tasks that are one for a router: what suggest_merges says of them, and what merging them gives.

#include <string>
#include <vector>

#include "cl_benchmark/experiment.hpp"
#include "cl_benchmark/routed.hpp"

namespace cl_benchmark {

/// Pairs are merged in a copy of the learner as long as there is one to suggest; groups of tasks
/// come out. In another copy the wished tasks are merged.
/// @param learner  that has learned all tasks
/// @param wished   names of tasks; empty: none
[[nodiscard]] std::vector<MergeFinding> merge_findings(const Encoded& encoded,
                                                       const RoutedLearner& learner,
                                                       const std::vector<std::string>& wished,
                                                       const MethodSettings& settings);

}  // namespace cl_benchmark
