// SPDX-License-Identifier: MIT
#include "cl_benchmark/run_plans.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "support/process_costs.hpp"
#include "support/shown.hpp"

namespace cl_benchmark {

namespace {

/// @param values  at least one
double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

std::vector<RunPlan> plans_of(const Benchmark& benchmark, const Options& options) {
  std::vector<RunPlan> plans;
  for (int order = 0; order < std::max(1, options.orders); ++order) {
    const std::uint64_t order_seed = options.settings.seed + static_cast<std::uint64_t>(order);
    const std::vector<Task> tasks =
        options.orders == 0 ? benchmark.tasks : reordered(benchmark, order_seed).tasks;
    std::vector<std::string> names;
    for (const Task& task : tasks) names.push_back(task.name);
    for (int seed = 0; seed < options.seeds; ++seed) {
      plans.push_back({options.settings.seed + static_cast<std::uint64_t>(seed), names});
    }
  }
  return plans;
}

void measure_questions(const std::vector<std::size_t>& counts,
                       const std::function<void(std::size_t task, std::size_t question)>& ask,
                       MethodRun& run) {
  constexpr std::size_t most = 200;
  std::vector<double> microseconds;
  const double cpu = support::cpu_seconds();
  for (std::size_t i = 0; microseconds.size() < most; ++i) {
    const std::size_t before = microseconds.size();
    for (std::size_t t = 0; t < counts.size() && microseconds.size() < most; ++t) {
      if (i >= counts[t]) continue;
      const anyssr::Stopwatch clock;
      ask(t, i);
      microseconds.push_back(1e6 * clock.seconds());
    }
    if (microseconds.size() == before) break;  // all have been asked
  }
  const auto asked = static_cast<double>(microseconds.size());
  run.query_cpu_microseconds = 1e6 * (support::cpu_seconds() - cpu) / asked;
  run.query_microseconds = median(std::move(microseconds));
}

void fill_at_once(Results& results) {
  const auto joint = results.runs.find("joint");
  if (joint == results.runs.end()) return;
  const MethodRun& all = joint->second.back();
  for (auto& [name, runs] : results.runs) {
    MethodRun& run = runs.back();
    if (name == "joint" || run.untrained.empty()) continue;  // not one adapter
    run.at_once = all.accuracy.row(all.accuracy.tasks() - 1);
  }
}

void ProgressLine::done(const std::string& method, const std::string& task, double accuracy) {
  ++done_;
  if (quiet_) return;
  const double rest =
      clock_.seconds() / static_cast<double>(done_) * static_cast<double>(steps_ - done_);
  std::printf("%4zu/%zu  %-18s %s   accuracy so far %.3f   about %.0f s left\n", done_, steps_,
              method.c_str(), support::in_columns(task, 16).c_str(), accuracy, rest);
  std::fflush(stdout);
}

}  // namespace cl_benchmark
