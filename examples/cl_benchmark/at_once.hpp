// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What learning all tasks at once would have given the router of `anyssr`.

#include <cstddef>
#include <vector>

#include "cl_benchmark/routed.hpp"

namespace cl_benchmark {

/// Accuracy on each task, by the adapters of the learner and a router that gets all rows at once in
/// another order.
[[nodiscard]] std::vector<double> accuracies_at_once(const Encoded& encoded,
                                                     const RoutedLearner& learner,
                                                     const MethodSettings& settings);

/// Ridge regression in double, task after task and of all rows at once: test questions that one
/// takes for another task than the other.
[[nodiscard]] std::size_t count_changed_decisions(const Encoded& encoded,
                                                  const MethodSettings& settings);

}  // namespace cl_benchmark
