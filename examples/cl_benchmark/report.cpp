// SPDX-License-Identifier: MIT
#include "cl_benchmark/report.hpp"

#include <anyssr/core/version.hpp>
#include <anyssr/metrics/mean_interval.hpp>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <numeric>
#include <optional>

#include "support/output_file.hpp"
#include "support/shown.hpp"

namespace cl_benchmark {

using anyssr::AccuracyMatrix;
using anyssr::Index;
using anyssr::Json;

namespace {

/// A figure of a run; none where the method has no such.
using Figure = std::function<std::optional<double>(const MethodRun&)>;

bool is_whole(const AccuracyMatrix& accuracy) { return accuracy.has(0, 0); }

std::optional<double> forgetting_of(const MethodRun& run) {
  if (!is_whole(run.accuracy)) return std::nullopt;
  return anyssr::forgetting(run.accuracy);
}

std::optional<double> backward_of(const MethodRun& run) {
  if (!is_whole(run.accuracy)) return std::nullopt;
  return anyssr::backward_transfer(run.accuracy);
}

std::optional<double> forward_of(const MethodRun& run) {
  if (run.untrained.empty()) return std::nullopt;
  return anyssr::forward_transfer(run.accuracy, run.untrained);
}

std::optional<double> learning_of(const MethodRun& run) {
  if (!is_whole(run.accuracy)) return std::nullopt;
  return anyssr::learning_accuracy(run.accuracy);
}

std::optional<double> routing_of(const MethodRun& run) {
  if (!run.routes) return std::nullopt;
  return run.confusion.accuracy();
}

double learn_seconds_of(const MethodRun& run) {
  return std::accumulate(run.learn_seconds.begin(), run.learn_seconds.end(), 0.0);
}

const std::vector<std::pair<std::string, Figure>>& figures() {
  static const std::vector<std::pair<std::string, Figure>> all{
      {"average_accuracy", [](const MethodRun& run) { return average_accuracy(run.accuracy); }},
      {"forgetting", forgetting_of},
      {"backward_transfer", backward_of},
      {"forward_transfer", forward_of},
      {"learning_accuracy", learning_of},
      {"routing_accuracy", routing_of},
      {"learn_seconds", learn_seconds_of},
      {"query_microseconds", [](const MethodRun& run) { return run.query_microseconds; }},
      {"stored_bytes",
       [](const MethodRun& run) { return static_cast<double>(run.stored_bytes.back()); }},
      {"retained_data_bytes",
       [](const MethodRun& run) { return static_cast<double>(run.retained_data_bytes); }},
  };
  return all;
}

/// One per run; empty where the method has no such figure.
std::vector<double> values_of(const std::vector<MethodRun>& runs, const Figure& figure) {
  std::vector<double> values;
  for (const MethodRun& run : runs) {
    if (const std::optional<double> value = figure(run)) values.push_back(*value);
  }
  return values;
}

std::string cell(const std::vector<double>& values, const char* format) {
  if (values.empty()) return "-";
  const anyssr::MeanInterval interval = anyssr::mean_interval(values);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, interval.mean);
  std::string result = text.data();
  if (std::isfinite(interval.half_width)) {
    std::snprintf(text.data(), text.size(), format, interval.half_width);
    result += " +- " + std::string(text.data());
  }
  return result;
}

std::string bytes(std::size_t count) { return anyssr::bytes_text(static_cast<double>(count)); }

Json matrix_of(const AccuracyMatrix& accuracy) {
  Json rows = Json::array();
  for (Index i = 0; i < accuracy.tasks(); ++i) {
    Json row = Json::array();
    for (Index j = 0; j < accuracy.tasks(); ++j) {
      row.push_back(accuracy.has(i, j) ? Json(accuracy(i, j)) : Json());
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Json confusion_of(const MethodRun& run) {
  Json rows = Json::array();
  for (Index i = 0; i < run.accuracy.tasks(); ++i) {
    Json row = Json::array();
    for (Index j = 0; j < run.accuracy.tasks(); ++j) row.push_back(run.confusion.count(i, j));
    rows.push_back(std::move(row));
  }
  return rows;
}

/// {"mean", "half_width", "values"}; null where the method has no such figure.
Json figure_json(const std::vector<double>& values) {
  if (values.empty()) return {};
  const anyssr::MeanInterval interval = anyssr::mean_interval(values);
  return {{"mean", interval.mean},
          {"half_width", std::isfinite(interval.half_width) ? Json(interval.half_width) : Json()},
          {"values", values}};
}

Json method_json(const std::vector<MethodRun>& runs) {
  Json json;
  for (const auto& [name, figure] : figures()) json[name] = figure_json(values_of(runs, figure));
  json["accuracy_matrix"] = matrix_of(runs.front().accuracy);
  if (runs.front().routes) json["routing_confusion"] = confusion_of(runs.front());
  json["learn_seconds_by_task"] = runs.front().learn_seconds;
  json["stored_bytes_by_task"] = runs.front().stored_bytes;
  return json;
}

}  // namespace

void print_table(const Benchmark& benchmark, const Options& options, const Results& results) {
  std::printf("\n%zu tasks, %zu answers, %d %s\n\n", benchmark.tasks.size(),
              benchmark.answers.size(), options.seeds, options.seeds == 1 ? "run" : "runs");
  std::printf("%-16s %18s %18s %18s %18s %12s %12s %12s\n", "method", "average accuracy",
              "forgetting", "learned at first", "right task", "learning", "stored", "texts kept");
  for (const std::string& name : options.methods) {
    const std::vector<MethodRun>& runs = results.runs.at(name);
    const auto text = [&](const Figure& figure) { return cell(values_of(runs, figure), "%.4f"); };
    std::printf("%-16s %18s %18s %18s %18s %10.1f s %12s %12s\n", name.c_str(),
                text(figures().front().second).c_str(), text(forgetting_of).c_str(),
                text(learning_of).c_str(), text(routing_of).c_str(),
                anyssr::mean_interval(values_of(runs, learn_seconds_of)).mean,
                bytes(runs.front().stored_bytes.back()).c_str(),
                bytes(runs.front().retained_data_bytes).c_str());
  }
  std::printf("\n%.0f s, %s of memory at most\n", results.seconds,
              bytes(results.peak_bytes).c_str());
}

void write_json(const std::string& path, const Benchmark& benchmark, const Options& options,
                const Results& results) {
  Json methods;
  for (const std::string& name : options.methods) {
    methods[name] = method_json(results.runs.at(name));
  }
  Json tasks = Json::array();
  for (const Task& task : benchmark.tasks) {
    tasks.push_back({{"name", task.name},
                     {"answers", task.answers.size()},
                     {"train", task.train.size()},
                     {"test", task.test.size()}});
  }
  support::write_json(path, {{"version", ANYSSR_VERSION_STRING},
                             {"tasks", tasks},
                             {"seeds", options.seeds},
                             {"seed", options.settings.seed},
                             {"dim", options.settings.dim},
                             {"ridge", options.settings.ridge},
                             {"methods", methods},
                             {"seconds", results.seconds},
                             {"peak_bytes", results.peak_bytes}});
}

}  // namespace cl_benchmark
