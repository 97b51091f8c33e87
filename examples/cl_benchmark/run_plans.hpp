// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the runs on features and on a language model share: which runs there are, and what is told
/// meanwhile.

#include <anyssr/core/stopwatch.hpp>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

/// Every seed in every order.
[[nodiscard]] std::vector<RunPlan> plans_of(const Benchmark& benchmark, const Options& options);

/// Measures what a question costs: asks up to 200 of them one by one, of all tasks in turn.
/// @param counts  questions of each task
/// @param ask     called with a task and the number of a question of it
void measure_questions(const std::vector<std::size_t>& counts,
                       const std::function<void(std::size_t task, std::size_t question)>& ask,
                       MethodRun& run);

/// What one adapter that learned all tasks at once answers right is what the methods with one
/// adapter lose against: fills MethodRun::at_once of the last run of each.
void fill_at_once(Results& results);

/// Tells how far the run is, and about how long it will take.
class ProgressLine {
 public:
  ProgressLine(bool quiet, std::size_t steps) : quiet_(quiet), steps_(steps) {}

  void done(const std::string& method, const std::string& task, double accuracy);
  /// Steps that an earlier run has done.
  void skip(std::size_t steps) { steps_ -= steps; }

 private:
  bool quiet_;
  std::size_t steps_;
  std::size_t done_ = 0;
  anyssr::Stopwatch clock_;
};

}  // namespace cl_benchmark
