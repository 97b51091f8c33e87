// SPDX-License-Identifier: MIT
#include "cl_benchmark/report.hpp"

#include <anyssr/core/text.hpp>
#include <anyssr/core/version.hpp>
#include <anyssr/metrics/mean_interval.hpp>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "cl_benchmark/figures.hpp"
#include "cl_benchmark/matrix_json.hpp"
#include "support/output_file.hpp"
#include "support/shown.hpp"

namespace cl_benchmark {

using anyssr::Index;
using anyssr::Json;

namespace {

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

std::string size_text(std::size_t count) { return anyssr::bytes_text(static_cast<double>(count)); }

/// {"mean", "half_width", "values"}; null where the method has no such figure.
Json figure_json(const std::vector<double>& values) {
  if (values.empty()) return {};
  const anyssr::MeanInterval interval = anyssr::mean_interval(values);
  return {{"mean", interval.mean},
          {"half_width", std::isfinite(interval.half_width) ? Json(interval.half_width) : Json()},
          {"values", values}};
}

/// How the average accuracy differs from that of `anyssr` in the same runs; null without it.
Json difference_json(const Results& results, const std::string& name) {
  const auto own = results.runs.find("anyssr");
  if (own == results.runs.end() || name == "anyssr") return {};
  const anyssr::PairedDifference paired =
      anyssr::paired_difference(values_of(results.runs.at(name), average_accuracy_of),
                                values_of(own->second, average_accuracy_of));
  const double half_width = paired.difference.half_width;
  return {{"mean", paired.difference.mean},
          {"half_width", std::isfinite(half_width) ? Json(half_width) : Json()},
          {"p_value", paired.p_value}};
}

Json method_json(const std::vector<MethodRun>& runs) {
  Json json;
  for (const auto& [name, figure] : figures()) json[name] = figure_json(values_of(runs, figure));
  const MethodRun& first = runs.front();
  json["accuracy_matrix"] = json_of(first.accuracy);
  if (first.routes) json["routing_confusion"] = json_of(first.confusion);
  json["learn_seconds_by_task"] = first.learn_seconds;
  json["learn_cpu_seconds_by_task"] = first.learn_cpu_seconds;
  json["learn_peak_bytes_by_task"] = first.learn_peak_bytes;
  json["stored_bytes_by_task"] = first.stored_bytes;
  return json;
}

Json runs_json(const Results& results) {
  Json runs = Json::array();
  for (const RunPlan& plan : results.plans) {
    runs.push_back({{"seed", plan.seed}, {"order", plan.order}});
  }
  return runs;
}

Json settings_json(const MethodSettings& settings) {
  Json json{{"dim", settings.dim},
            {"word_pairs", settings.word_pairs},
            {"ridge", settings.ridge},
            {"seed", settings.seed}};
  for (const auto& [name, setting] : tunable_settings()) json[name] = settings[name];
  return json;
}

/// A name as a field of a table: in quotes, quotes doubled.
std::string quoted(const std::string& text) {
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

std::string precise(double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

/// method, run, seed, then all figures; empty fields where a method has no such figure.
std::string figures_csv(const Options& options, const Results& results) {
  std::string table = "method,run,seed";
  for (const auto& [name, figure] : figures()) table += "," + name;
  for (const std::string& method : options.methods) {
    const std::vector<MethodRun>& runs = results.runs.at(method);
    for (std::size_t r = 0; r < runs.size(); ++r) {
      table +=
          "\n" + method + "," + std::to_string(r) + "," + std::to_string(results.plans[r].seed);
      for (const auto& [name, figure] : figures()) {
        const std::optional<double> value = figure(runs[r]);
        table += "," + (value ? precise(*value) : "");
      }
    }
  }
  return table + "\n";
}

/// method, run, task learned last, task asked about, accuracy.
std::string accuracy_csv(const Options& options, const Results& results) {
  std::string table = "method,run,after,task,accuracy\n";
  for (const std::string& method : options.methods) {
    const std::vector<MethodRun>& runs = results.runs.at(method);
    for (std::size_t r = 0; r < runs.size(); ++r) {
      const std::vector<std::string>& order = results.plans[r].order;
      for (std::size_t i = 0; i < order.size(); ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
          const auto after = static_cast<Index>(i);
          const auto task = static_cast<Index>(j);
          if (!runs[r].accuracy.has(after, task)) continue;
          table += method + "," + std::to_string(r) + "," + quoted(order[i]) + "," +
                   quoted(order[j]) + "," + precise(runs[r].accuracy(after, task)) + "\n";
        }
      }
    }
  }
  return table;
}

}  // namespace

void print_table(const Benchmark& benchmark, const Options& options, const Results& results) {
  std::printf("\n%zu tasks, %zu answers, %zu %s\n\n", benchmark.tasks.size(),
              benchmark.answers.size(), results.plans.size(),
              results.plans.size() == 1 ? "run" : "runs");
  std::printf("%-18s %18s %18s %18s %18s %12s %12s %12s\n", "method", "average accuracy",
              "forgetting", "learned at first", "right task", "learning", "stored", "texts kept");
  for (const std::string& name : options.methods) {
    const std::vector<MethodRun>& runs = results.runs.at(name);
    const auto text = [&](const Figure& figure) { return cell(values_of(runs, figure), "%.4f"); };
    std::printf("%-18s %18s %18s %18s %18s %10.1f s %12s %12s\n", name.c_str(),
                text(average_accuracy_of).c_str(), text(forgetting_of).c_str(),
                text(learning_of).c_str(), text(routing_of).c_str(),
                anyssr::mean_interval(values_of(runs, learn_seconds_of)).mean,
                size_text(runs.front().stored_bytes.back()).c_str(),
                size_text(runs.front().retained_data_bytes).c_str());
  }
  for (const MergeFinding& finding : results.merges) {
    std::string names;
    for (const std::string& task : finding.tasks) names += (names.empty() ? "" : ", ") + task;
    std::printf(
        "\n%s: %s; %.1f %% of their questions are taken for another of them\n"
        "merged: %.4f instead of %.4f on them, %.4f instead of %.4f on all\n",
        finding.is_suggested ? "suggest_merges holds to be one" : "not suggested to be one",
        support::shown(names).c_str(), 100 * finding.misrouted, finding.accuracy_after,
        finding.accuracy_before, finding.average_after, finding.average_before);
  }
  std::printf("\n%.0f s, %s of memory at most\n", results.seconds,
              size_text(results.peak_bytes).c_str());
}

void write_json(const std::string& path, const Benchmark& benchmark, const Options& options,
                const Results& results) {
  Json methods;
  for (const std::string& name : options.methods) {
    methods[name] = method_json(results.runs.at(name));
    methods[name]["difference_from_anyssr"] = difference_json(results, name);
  }
  Json tasks = Json::array();
  for (const Task& task : benchmark.tasks) {
    tasks.push_back({{"name", task.name},
                     {"answers", task.answers.size()},
                     {"train", task.train.size()},
                     {"test", task.test.size()}});
  }
  Json report{{"version", ANYSSR_VERSION_STRING},
              {"command", options.command},
              {"data", options.data},
              {"stripped_words", benchmark.stripped_words},
              {"tasks", tasks},
              {"runs", runs_json(results)},
              {"seeds", options.seeds},
              {"seed", options.settings.seed},
              {"methods", methods},
              {"merges", json_of(results.merges)},
              {"seconds", results.seconds},
              {"peak_bytes", results.peak_bytes}};
  if (!options.is_llama) {
    report["dim"] = options.settings.dim;
    report["ridge"] = options.settings.ridge;
    report["settings"] = settings_json(options.settings);
  }
  support::write_json(path, report);
}

void write_csv(const std::string& folder, const Options& options, const Results& results) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!std::filesystem::is_directory(folder)) {
    throw anyssr::FileError(folder + ": cannot be made as a folder for --csv");
  }
  support::write_file(folder + "/figures.csv", figures_csv(options, results));
  support::write_file(folder + "/accuracy.csv", accuracy_csv(options, results));
}

}  // namespace cl_benchmark
