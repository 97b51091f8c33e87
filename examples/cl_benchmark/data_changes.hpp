// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Harder versions of a benchmark: more tasks, few rows, wrong answers, unequal tasks. Each changes
/// training rows alone, but for cut_tasks, and one seed gives one result on every machine.

#include <cstdint>
#include <string>

#include "cl_benchmark/tasks.hpp"

namespace cl_benchmark {

/// Cuts every task with more than `count` answers into tasks of `count` answers, the last of which
/// may have fewer: NAME/1, NAME/2, ... A test row whose answer no training row has goes to the last
/// of them. The orders of the benchmark are gone, for they name the tasks as they were.
void cut_tasks(Benchmark& benchmark, anyssr::Index count);

/// Keeps at most `count` training rows of each task, equally many of each answer as far as they go.
/// Answers that are left without a row leave Task::answers.
void keep_rows(Benchmark& benchmark, anyssr::Index count, std::uint64_t seed);

/// Task k of T, from 0, keeps the share ratio^(-k / (T - 1)) of its training rows, but at least one
/// row per answer.
/// @param ratio  1 or more: the first task keeps all, the last one in `ratio`
void make_unequal(Benchmark& benchmark, double ratio, std::uint64_t seed);

/// Gives a share of each task's training rows another answer of that task.
/// @param share  0 to 1
/// @throws anyssr::ArgumentError  where no task has two answers
void add_label_noise(Benchmark& benchmark, double share, std::uint64_t seed);

/// Half of a task's training rows, of each answer the smaller half, become Benchmark::second_visit.
/// @throws anyssr::ArgumentError  for an unknown task, or one with no answer of two rows
void split_visits(Benchmark& benchmark, const std::string& task, std::uint64_t seed);

}  // namespace cl_benchmark
