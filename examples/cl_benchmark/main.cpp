// SPDX-License-Identifier: MIT

/// @file
/// Teaches one frozen model tasks one after another, by this library and by what else one could do:
/// one adapter that is trained on and on, replay of old data, all data at once. Every method gets
/// the same features, learns in the same order and answers the same questions.
///
/// Learn from it what each way costs and forgets, on data of your own.

#include <algorithm>
#include <string>
#include <vector>

#include "cl_benchmark/data_options.hpp"
#include "cl_benchmark/llama_run.hpp"
#include "cl_benchmark/method_names.hpp"
#include "cl_benchmark/page.hpp"
#include "cl_benchmark/report.hpp"
#include "support/application.hpp"
#include "support/lists.hpp"
#include "support/messages.hpp"
#include "support/run_files.hpp"
#include "support/shown.hpp"

namespace {

struct Arguments {
  cl_benchmark::Options options;
  cl_benchmark::DataOptions data;
  cl_benchmark::LlamaOptions llama;
  std::vector<std::string> tuned;
  std::string methods;
  std::string merged;
  std::string json;
  std::string report;
  std::string figure;
  std::string csv;
  bool quick = false;
};

std::string method_list() {
  std::string text = "which, with commas; default: all.";
  for (const auto& [name, meaning] : cl_benchmark::method_names()) {
    text += " " + std::string(name) + ": " + std::string(meaning) + ";";
  }
  text.back() = '.';
  return text;
}

std::string setting_list() {
  std::string text = "NAME=VALUE, a setting of methods, once or more:";
  for (const auto& [name, setting] : cl_benchmark::tunable_settings()) {
    text += " " + name + ": " + std::string(setting.meaning) + ";";
  }
  text.back() = '.';
  return text;
}

void declare(CLI::App& app, Arguments& arguments) {
  cl_benchmark::Options& options = arguments.options;
  cl_benchmark::MethodSettings& settings = options.settings;
  support::prepare(app);
  cl_benchmark::declare_data_options(app, arguments.data);
  app.add_option("--methods", arguments.methods, method_list());
  app.add_option("--tune", arguments.tuned, setting_list());
  app.add_option("--merge", arguments.merged,
                 "tasks with commas: what making them one task gives, beside what suggest_merges "
                 "names; for method anyssr");
  app.add_option("--seeds", options.seeds, "runs of each order, by seeds that follow each other")
      ->capture_default_str();
  app.add_option("--orders", options.orders,
                 "random orders to learn the tasks in; 0: the one order of the data")
      ->capture_default_str();
  app.add_option("--dim", settings.dim, "buckets of the hashed features")->capture_default_str();
  app.add_flag("--word-pairs", settings.word_pairs, "hash pairs of words too");
  app.add_option("--ridge", settings.ridge, "of the router (rows have norm 1)")
      ->capture_default_str();
  app.add_option("--seed", settings.seed,
                 "of hashing, frozen layer, adapters, order, what is drawn")
      ->capture_default_str();
  app.add_option("--threads", settings.threads, "0: the cores that this process may use")
      ->capture_default_str();
  app.add_flag("--quick", arguments.quick, "one seed, 2048 buckets and 200 rows a task");
  app.add_option("--state", options.state,
                 "folder of what is done: a run that was stopped goes on from it");
  app.add_option("--json", arguments.json, "write all figures to this file");
  app.add_option("--report", arguments.report, "write a page for a browser to this file");
  app.add_option("--figure", arguments.figure, "write one chart of it to this SVG file");
  app.add_option("--csv", arguments.csv, "write tables into this folder, which may be new");
  app.add_flag("--quiet", options.quiet, "print no progress and no table");
  cl_benchmark::declare_llama_options(app, arguments.llama);
}

std::vector<std::string> chosen_methods(const std::string& list, bool is_llama) {
  std::vector<std::string> chosen;
  if (list.empty() && is_llama) {
    chosen = cl_benchmark::llama_method_names();
  } else if (list.empty()) {
    for (const auto& method : cl_benchmark::method_names()) chosen.emplace_back(method.name);
  }
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    chosen.push_back(list.substr(begin, end - begin));
    support::expect(std::count(chosen.begin(), chosen.end(), chosen.back()) == 1,
                    "--methods names '", chosen.back(), "' twice");
    begin = end + 1;
  }
  for (const std::string& name : chosen) {
    if (is_llama) {
      cl_benchmark::expect_llama_method(name);
    } else {
      cl_benchmark::expect_method(name);
    }
  }
  return chosen;
}

void make_quick(Arguments& arguments) {
  arguments.options.seeds = 1;
  arguments.options.settings.dim = 2048;
  if (!arguments.data.rows) arguments.data.rows = 200;
}

void take(Arguments& arguments) {
  cl_benchmark::Options& options = arguments.options;
  if (arguments.quick) make_quick(arguments);
  support::expect_within("--seeds", options.seeds, 1, 1000);
  support::expect_within("--orders", options.orders, 0, 1000);
  for (const std::string& text : arguments.tuned) cl_benchmark::tune(options.settings, text);
  options.merged = support::split_at_commas(arguments.merged);
  const bool is_llama = !arguments.llama.model.empty();
  options.methods = chosen_methods(arguments.methods, is_llama);
  options.is_llama = is_llama;
  options.data =
      is_llama ? cl_benchmark::describe(arguments.llama) : cl_benchmark::describe(arguments.data);
}

void expect_mergeable(const std::vector<std::string>& merged,
                      const cl_benchmark::Benchmark& benchmark) {
  support::expect(merged.size() != 1, "--merge names one task, expected two or more");
  for (const std::string& name : merged) {
    support::expect(std::count(merged.begin(), merged.end(), name) == 1, "--merge names ",
                    support::in_quotes(name), " twice");
    support::expect(std::ranges::count(benchmark.tasks, name, &cl_benchmark::Task::name) == 1,
                    "--merge names ", support::in_quotes(name), ", which is none of the tasks");
  }
}

support::RunFiles files_of(const Arguments& arguments) {
  support::RunFiles files;
  cl_benchmark::name_inputs(arguments.data, files);
  cl_benchmark::name_inputs(arguments.llama, files);
  files.keeps("--state", arguments.options.state);
  files.writes("--json", arguments.json);
  files.writes("--report", arguments.report);
  files.writes("--figure", arguments.figure);
  files.keeps("--csv", arguments.csv);
  files.expect_apart();
  return files;
}

void report(const Arguments& arguments, const cl_benchmark::Benchmark& benchmark,
            const cl_benchmark::Results& results) {
  const cl_benchmark::Options& options = arguments.options;
  if (!options.quiet) cl_benchmark::print_table(benchmark, options, results);
  if (!arguments.json.empty()) {
    cl_benchmark::write_json(arguments.json, benchmark, options, results);
  }
  if (!arguments.csv.empty()) cl_benchmark::write_csv(arguments.csv, options, results);
  if (!arguments.report.empty()) {
    cl_benchmark::write_page(arguments.report, benchmark, options, results);
  }
  if (!arguments.figure.empty()) {
    cl_benchmark::write_figure(arguments.figure, benchmark, options, results);
  }
}

void run(Arguments& arguments) {
  const cl_benchmark::Options& options = arguments.options;
  take(arguments);
  files_of(arguments);
  if (!arguments.llama.model.empty()) {
    const cl_benchmark::LlamaTasks tasks = cl_benchmark::read_llama_tasks(arguments.llama);
    report(arguments, tasks.benchmark, cl_benchmark::run_llama(tasks, options, arguments.llama));
  } else {
    const cl_benchmark::Benchmark benchmark =
        cl_benchmark::read_data(arguments.data, options.settings.seed);
    expect_mergeable(options.merged, benchmark);
    report(arguments, benchmark, cl_benchmark::run(benchmark, options));
  }
}

/// The command line, as a shell takes it.
std::string command_of(int argc, char** argv) {
  std::string command = "cl_benchmark";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool is_plain = word.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "-_./=,+:") == std::string::npos;
    command += " " + (is_plain && !word.empty() ? word : "'" + word + "'");
  }
  return command;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Compares ways to teach one frozen model tasks one after another.", "cl_benchmark"};
  Arguments arguments;
  declare(app, arguments);
  arguments.options.command = command_of(argc, argv);
  return support::run_application(
      app, argc, argv,
      "try a smaller --dim; with --llama, --llama-recompute or a smaller --llama-batch",
      [&] { run(arguments); }, {{"shallow_layers", "--llama-k"}});
}
