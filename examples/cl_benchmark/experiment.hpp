// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The run of `cl_benchmark`: every method learns the tasks in the same order, and answers the same
/// questions after each.

#include <anyssr/metrics/confusion.hpp>
#include <anyssr/metrics/continual.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cl_benchmark/methods.hpp"
#include "cl_benchmark/tasks.hpp"

namespace cl_benchmark {

struct Options {
  std::vector<std::string> methods;
  MethodSettings settings;
  int seeds = 1;  ///< runs, by seeds settings.seed, settings.seed + 1, ...
  bool quiet = false;
};

/// What one method did in one run.
struct MethodRun {
  explicit MethodRun(anyssr::Index tasks) : accuracy(tasks), confusion(tasks) {}

  /// Row i: after task i. The first rows of a method that learns at the end are not set; above the
  /// diagonal stands a[j-1][j] of methods that can answer a task before it is learned.
  anyssr::AccuracyMatrix accuracy;
  std::vector<double> untrained = {};  ///< accuracies before the first task; empty: no answers then
  anyssr::ConfusionMatrix confusion;   ///< of the tasks that questions were taken for, at the end
  bool routes = false;
  std::vector<double> learn_seconds = {};      ///< one per task
  double query_microseconds = 0;               ///< median, one text at a time, at the end
  std::vector<std::size_t> stored_bytes = {};  ///< after each task
  std::size_t retained_data_bytes = 0;         ///< at the end
};

struct Results {
  std::map<std::string, std::vector<MethodRun>> runs;  ///< by method, one per seed
  double seconds = 0;
  std::size_t peak_bytes = 0;
};

/// @throws anyssr::Error
Results run(const Benchmark& benchmark, const Options& options);

}  // namespace cl_benchmark
