// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What both the JSON of --json and the files of --state hold.

#include <anyssr/io/guarded_json.hpp>
#include <vector>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

/// T rows of T entries; null where nothing was measured.
[[nodiscard]] anyssr::Json json_of(const anyssr::AccuracyMatrix& accuracy);
[[nodiscard]] anyssr::Json json_of(const anyssr::ConfusionMatrix& confusion);
[[nodiscard]] anyssr::Json json_of(const std::vector<MergeFinding>& merges);

}  // namespace cl_benchmark
