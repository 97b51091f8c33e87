// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Made-up tasks, for growth beyond real data: as many as asked for, each with words of its own
/// among words that all share.

#include <cstdint>
#include <string>

#include "cl_benchmark/tasks.hpp"

namespace cl_benchmark {

struct SyntheticOptions {
  anyssr::Index tasks = 10;   ///< 1 to 10000
  anyssr::Index answers = 3;  ///< per task, 1 to 1000
  anyssr::Index rows = 60;    ///< per task for training, at least one per answer, to 100000
};

/// "100", "100,5" or "100,5,200": tasks, answers, rows.
/// @throws anyssr::ArgumentError  naming --synthetic, for another form or a number out of range
[[nodiscard]] SyntheticOptions parse_synthetic(const std::string& text);

/// Texts of 8 words: one of 5 words of the answer at a random place; each of the others is one of
/// 30 words of the task with probability 1/4, else one of 200 common words. A third as many rows
/// are made for testing, at least one per answer. The first tasks are the same however many follow,
/// on every compiler.
[[nodiscard]] Benchmark make_synthetic(const SyntheticOptions& options, std::uint64_t seed);

}  // namespace cl_benchmark
