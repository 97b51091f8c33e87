// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The run of `cl_benchmark`: every method learns the tasks in the same order, and answers the same
/// questions after each.

#include <anyssr/metrics/confusion.hpp>
#include <anyssr/metrics/continual.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cl_benchmark/settings.hpp"
#include "cl_benchmark/tasks.hpp"

namespace cl_benchmark {

struct Options {
  std::vector<std::string> methods;
  MethodSettings settings;
  int seeds = 3;   ///< runs of each order, by seeds settings.seed, settings.seed + 1, ...
  int orders = 0;  ///< random orders; 0: the one order of the benchmark
  std::vector<std::string> merged = {};  ///< tasks whose merging is looked at; empty: none
  std::string state;                     ///< folder of what is done; "": none
  bool quiet = false;
  bool is_llama = false;  ///< of a language model, which knows of MethodSettings the seed alone
  std::string command;    ///< that gives these results again
  std::string data;       ///< what the tasks are, in words
};

/// One run: a seed and an order of the tasks.
struct RunPlan {
  std::uint64_t seed = 0;
  std::vector<std::string> order;  ///< names of the tasks, first to last
};

/// What one method did in one run. Task numbers are places in the order of the run.
struct MethodRun {
  explicit MethodRun(anyssr::Index tasks) : accuracy(tasks), confusion(tasks) {}

  /// Row i: after task i. The first rows of a method that learns at the end are not set; above the
  /// diagonal stands a[j-1][j] of methods that can answer a task before it is learned.
  anyssr::AccuracyMatrix accuracy;
  std::vector<double> untrained = {};  ///< accuracies before the first task; empty: no answers then
  anyssr::ConfusionMatrix confusion;   ///< of the tasks that questions were taken for, at the end
  bool routes = false;
  std::vector<double> learn_seconds = {};          ///< one per task
  std::vector<double> learn_cpu_seconds = {};      ///< one per task, of all threads
  std::vector<std::size_t> learn_peak_bytes = {};  ///< one per task, of the whole process
  double query_microseconds = 0;                   ///< median, one text at a time, at the end
  double query_cpu_microseconds = 0;               ///< mean of the same questions
  std::vector<std::size_t> stored_bytes = {};      ///< after each task
  std::size_t retained_data_bytes = 0;             ///< at the end
  /// Accuracy on each task of the same method when it learned all tasks at once; empty: not known.
  std::vector<double> at_once = {};
  /// Of the questions at the end, those that a router of all rows at once takes for another task,
  /// both in double; none: not compared.
  std::optional<std::size_t> changed_decisions = {};
};

/// Tasks that could be one, and what merging them gives.
struct MergeFinding {
  bool is_suggested = false;  ///< by suggest_merges; else asked for
  std::vector<std::string> tasks;
  double misrouted = 0;        ///< share of their questions that are taken for another of them
  double accuracy_before = 0;  ///< mean over these tasks
  double accuracy_after = 0;   ///< the same, with one task learned of all their rows
  double average_before = 0;   ///< mean over all tasks
  double average_after = 0;
};

struct Results {
  std::vector<RunPlan> plans;
  std::map<std::string, std::vector<MethodRun>> runs;  ///< by method, one per plan
  std::vector<MergeFinding> merges;                    ///< of the first plan
  double seconds = 0;
  std::size_t peak_bytes = 0;
};

/// @throws anyssr::Error
Results run(const Benchmark& benchmark, const Options& options);

}  // namespace cl_benchmark
