// SPDX-License-Identifier: MIT
#include "cl_benchmark/run_state.hpp"

#include <anyssr/core/error.hpp>
#include <anyssr/core/random.hpp>
#include <anyssr/core/version.hpp>
#include <anyssr/io/hex.hpp>
#include <filesystem>
#include <utility>

#include "cl_benchmark/matrix_json.hpp"
#include "support/json_lines.hpp"
#include "support/output_file.hpp"
#include "support/shown.hpp"

namespace cl_benchmark {

using anyssr::Index;
using support::Json;

namespace {

namespace fs = std::filesystem;

Json run_json(const MethodRun& run) {
  return {{"accuracy", json_of(run.accuracy)},
          {"untrained", run.untrained},
          {"confusion", json_of(run.confusion)},
          {"routes", run.routes},
          {"learn_seconds", run.learn_seconds},
          {"learn_cpu_seconds", run.learn_cpu_seconds},
          {"learn_peak_bytes", run.learn_peak_bytes},
          {"query_microseconds", run.query_microseconds},
          {"query_cpu_microseconds", run.query_cpu_microseconds},
          {"stored_bytes", run.stored_bytes},
          {"retained_data_bytes", run.retained_data_bytes},
          {"at_once", run.at_once},
          {"changed_decisions", run.changed_decisions ? Json(*run.changed_decisions) : Json()}};
}

MethodRun run_of(const Json& json) {
  const Json& rows = json.at("accuracy");
  const auto tasks = static_cast<Index>(rows.size());
  MethodRun run(tasks);
  for (Index i = 0; i < tasks; ++i) {
    for (Index j = 0; j < tasks; ++j) {
      const Json& accuracy = rows.at(static_cast<std::size_t>(i)).at(static_cast<std::size_t>(j));
      if (!accuracy.is_null()) run.accuracy.set(i, j, accuracy.get<double>());
      const Index count = json.at("confusion")
                              .at(static_cast<std::size_t>(i))
                              .at(static_cast<std::size_t>(j))
                              .get<Index>();
      for (Index k = 0; k < count; ++k) run.confusion.add(i, j);
    }
  }
  json.at("untrained").get_to(run.untrained);
  json.at("routes").get_to(run.routes);
  json.at("learn_seconds").get_to(run.learn_seconds);
  json.at("learn_cpu_seconds").get_to(run.learn_cpu_seconds);
  json.at("learn_peak_bytes").get_to(run.learn_peak_bytes);
  json.at("query_microseconds").get_to(run.query_microseconds);
  json.at("query_cpu_microseconds").get_to(run.query_cpu_microseconds);
  json.at("stored_bytes").get_to(run.stored_bytes);
  json.at("retained_data_bytes").get_to(run.retained_data_bytes);
  json.at("at_once").get_to(run.at_once);
  if (!json.at("changed_decisions").is_null()) {
    run.changed_decisions = json.at("changed_decisions").get<std::size_t>();
  }
  return run;
}

MergeFinding finding_of(const Json& json) {
  return {.is_suggested = json.at("suggested").get<bool>(),
          .tasks = json.at("tasks").get<std::vector<std::string>>(),
          .misrouted = json.at("misrouted").get<double>(),
          .accuracy_before = json.at("accuracy_before").get<double>(),
          .accuracy_after = json.at("accuracy_after").get<double>(),
          .average_before = json.at("average_before").get<double>(),
          .average_after = json.at("average_after").get<double>()};
}

/// A number of all rows, answers and settings: what a result depends on beside method and run.
std::uint64_t digest_of(const Benchmark& benchmark, const Options& options,
                        const std::string& model) {
  std::uint64_t digest = 0;
  const auto add = [&](const std::string& text) { digest = anyssr::hash_bytes(text, digest); };
  std::vector<const Task*> tasks;
  for (const Task& task : benchmark.tasks) tasks.push_back(&task);
  if (benchmark.second_visit) tasks.push_back(&*benchmark.second_visit);
  for (const Task* task : tasks) {
    add(task->name);
    for (const Rows* rows : {&task->train, &task->test}) {
      add(std::to_string(rows->size()));
      for (std::size_t i = 0; i < rows->texts.size(); ++i) {
        add(rows->texts[i]);
        add(benchmark.answers[static_cast<std::size_t>(rows->answers[i])]);
      }
    }
  }
  const MethodSettings& settings = options.settings;
  add(Json{settings.dim, settings.word_pairs, settings.ridge, settings.tuned, ANYSSR_VERSION_STRING}
          .dump());
  if (!model.empty()) add(model + options.data);  // which names the settings of its methods
  return digest;
}

std::uint64_t digest_of(const std::vector<std::string>& names) {
  std::uint64_t digest = 0;
  for (const std::string& name : names) digest = anyssr::hash_bytes(name, digest);
  return digest;
}

/// Calls `read` with what a file of this program holds.
template <class Read>
auto read_kept(const std::string& path, const Read& read) {
  try {
    return std::optional(read(support::read_json_text(path)));
  } catch (const Json::exception&) {
    throw anyssr::FormatError(path + ": is no result of cl_benchmark");
  }
}

}  // namespace

RunState::RunState(const std::string& folder, const Benchmark& benchmark, const Options& options,
                   const std::string& model)
    : folder_(folder), merges_("merges-" + std::to_string(digest_of(options.merged))) {
  if (folder_.empty()) return;
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!fs::is_directory(folder_)) {
    throw anyssr::FileError(folder_ + ": cannot be made as a folder for --state");
  }
  const Json mine{{"program", "cl_benchmark"}, {"digest", digest_of(benchmark, options, model)}};
  const std::string path = folder_ + "/cl_benchmark.json";
  if (!fs::exists(path)) {
    if (!fs::is_empty(folder_)) {
      throw anyssr::ArgumentError("--state is " + support::in_quotes(folder_) +
                                  ", a folder of something else, expected an empty or a new one");
    }
    support::write_json(path, mine);
  } else if (support::read_json_text(path) != mine) {
    throw anyssr::ArgumentError("--state is " + support::in_quotes(folder_) +
                                ", which holds results of other data or other settings");
  }
}

std::optional<MethodRun> RunState::find(const std::string& method, const RunPlan& plan) const {
  const std::string path = path_of(method, plan);
  if (folder_.empty() || !fs::exists(path)) return std::nullopt;
  return read_kept(path, run_of);
}

void RunState::keep(const std::string& method, const RunPlan& plan, const MethodRun& run) const {
  if (!folder_.empty()) support::write_json(path_of(method, plan), run_json(run));
}

std::optional<std::vector<MergeFinding>> RunState::find_merges(const RunPlan& plan) const {
  const std::string path = path_of(merges_, plan);
  if (folder_.empty() || !fs::exists(path)) return std::nullopt;
  return read_kept(path, [](const Json& json) {
    std::vector<MergeFinding> findings;
    for (const Json& finding : json) findings.push_back(finding_of(finding));
    return findings;
  });
}

void RunState::keep_merges(const RunPlan& plan, const std::vector<MergeFinding>& merges) const {
  if (!folder_.empty()) support::write_json(path_of(merges_, plan), json_of(merges));
}

std::string RunState::path_of(const std::string& what, const RunPlan& plan) const {
  return folder_ + "/" + what + "-" + std::to_string(plan.seed) + "-" +
         std::to_string(digest_of(plan.order)) + ".json";
}

}  // namespace cl_benchmark
