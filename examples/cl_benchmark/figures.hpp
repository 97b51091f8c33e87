// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The figures of a run that are reported; none where a method has no such figure.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

using Figure = std::function<std::optional<double>(const MethodRun&)>;

[[nodiscard]] std::optional<double> average_accuracy_of(const MethodRun& run);
[[nodiscard]] std::optional<double> forgetting_of(const MethodRun& run);
[[nodiscard]] std::optional<double> backward_of(const MethodRun& run);
[[nodiscard]] std::optional<double> forward_of(const MethodRun& run);
[[nodiscard]] std::optional<double> learning_of(const MethodRun& run);
[[nodiscard]] std::optional<double> routing_of(const MethodRun& run);
/// What the method lost against itself when it learns all tasks at once.
[[nodiscard]] std::optional<double> forgetting_vs_joint_of(const MethodRun& run);
/// Of the questions at the end, those that a router of all rows at once takes for another task.
[[nodiscard]] std::optional<double> changed_decisions_of(const MethodRun& run);
[[nodiscard]] double learn_seconds_of(const MethodRun& run);
[[nodiscard]] double learn_cpu_seconds_of(const MethodRun& run);
[[nodiscard]] double learn_peak_bytes_of(const MethodRun& run);

/// All of them by their names in the JSON.
[[nodiscard]] const std::vector<std::pair<std::string, Figure>>& figures();

/// One per run; empty where the method has no such figure.
[[nodiscard]] std::vector<double> values_of(const std::vector<MethodRun>& runs,
                                            const Figure& figure);

}  // namespace cl_benchmark
