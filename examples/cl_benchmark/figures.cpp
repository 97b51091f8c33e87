// SPDX-License-Identifier: MIT
#include "cl_benchmark/figures.hpp"

#include <algorithm>
#include <numeric>

namespace cl_benchmark {

namespace {

/// Whether there are answers after each task.
bool is_whole(const MethodRun& run) { return run.accuracy.has(0, 0); }

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

std::optional<double> average_accuracy_of(const MethodRun& run) {
  return anyssr::average_accuracy(run.accuracy);
}

std::optional<double> forgetting_of(const MethodRun& run) {
  if (!is_whole(run)) return std::nullopt;
  return anyssr::forgetting(run.accuracy);
}

std::optional<double> backward_of(const MethodRun& run) {
  if (!is_whole(run)) return std::nullopt;
  return anyssr::backward_transfer(run.accuracy);
}

std::optional<double> forward_of(const MethodRun& run) {
  // an adapter that belongs to one task is untrained until that task comes
  if (run.routes) return 0.0;
  if (run.untrained.empty()) return std::nullopt;
  return anyssr::forward_transfer(run.accuracy, run.untrained);
}

std::optional<double> learning_of(const MethodRun& run) {
  if (!is_whole(run)) return std::nullopt;
  return anyssr::learning_accuracy(run.accuracy);
}

std::optional<double> routing_of(const MethodRun& run) {
  if (!run.routes) return std::nullopt;
  return run.confusion.accuracy();
}

std::optional<double> forgetting_vs_joint_of(const MethodRun& run) {
  if (run.at_once.empty()) return std::nullopt;
  const double at_once = sum(run.at_once) / static_cast<double>(run.at_once.size());
  return at_once - anyssr::average_accuracy(run.accuracy);
}

std::optional<double> changed_decisions_of(const MethodRun& run) {
  if (!run.changed_decisions) return std::nullopt;
  return static_cast<double>(*run.changed_decisions);
}

double learn_seconds_of(const MethodRun& run) { return sum(run.learn_seconds); }
double learn_cpu_seconds_of(const MethodRun& run) { return sum(run.learn_cpu_seconds); }

double learn_peak_bytes_of(const MethodRun& run) {
  return static_cast<double>(std::ranges::max(run.learn_peak_bytes));
}

const std::vector<std::pair<std::string, Figure>>& figures() {
  static const std::vector<std::pair<std::string, Figure>> all{
      {"average_accuracy", average_accuracy_of},
      {"forgetting", forgetting_of},
      {"forgetting_vs_joint", forgetting_vs_joint_of},
      {"backward_transfer", backward_of},
      {"forward_transfer", forward_of},
      {"learning_accuracy", learning_of},
      {"routing_accuracy", routing_of},
      {"changed_decisions", changed_decisions_of},
      {"learn_seconds", learn_seconds_of},
      {"learn_cpu_seconds", learn_cpu_seconds_of},
      {"learn_peak_bytes", learn_peak_bytes_of},
      {"query_microseconds", [](const MethodRun& run) { return run.query_microseconds; }},
      {"query_cpu_microseconds", [](const MethodRun& run) { return run.query_cpu_microseconds; }},
      {"stored_bytes",
       [](const MethodRun& run) { return static_cast<double>(run.stored_bytes.back()); }},
      {"retained_data_bytes",
       [](const MethodRun& run) { return static_cast<double>(run.retained_data_bytes); }},
  };
  return all;
}

std::vector<double> values_of(const std::vector<MethodRun>& runs, const Figure& figure) {
  std::vector<double> values;
  for (const MethodRun& run : runs) {
    if (const std::optional<double> value = figure(run)) values.push_back(*value);
  }
  return values;
}

}  // namespace cl_benchmark
