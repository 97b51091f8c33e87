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

#include "cl_benchmark/report.hpp"
#include "support/application.hpp"
#include "support/command_line.hpp"
#include "support/messages.hpp"
#include "support/run_files.hpp"

namespace {

struct Arguments {
  cl_benchmark::Options options;
  std::string data;
  std::string clinc;
  std::string order;
  std::string measured = "test";
  std::string methods;
  std::string json;
};

std::string method_list() {
  std::string text = "which, with commas; default: all.";
  for (const auto& [name, meaning] : cl_benchmark::method_names()) {
    text += " " + std::string(name) + ": " + std::string(meaning) + ";";
  }
  text.back() = '.';
  return text;
}

void declare(CLI::App& app, Arguments& arguments) {
  cl_benchmark::MethodSettings& settings = arguments.options.settings;
  support::prepare(app);
  auto* data = app.add_option("--data", arguments.data,
                              "folder of folders TASK/{train,test}.jsonl of {text, label}, with or "
                              "without a tasks.json that names tasks and orders");
  app.add_option("--clinc", arguments.clinc, "folder of CLINC150: data_full.json, domains.json")
      ->excludes(data);
  app.add_option("--order", arguments.order,
                 "of learning: a name in tasks.json, names of tasks with commas, or random; "
                 "default: as the data names them");
  app.add_option("--methods", arguments.methods, method_list());
  app.add_option("--measure", arguments.measured,
                 "test: the test rows; val: a fifth of the training rows, which is not trained on")
      ->capture_default_str();
  app.add_option("--seeds", arguments.options.seeds, "runs, by seeds that follow each other")
      ->capture_default_str();
  app.add_option("--json", arguments.json, "write all figures to this file");
  app.add_option("--dim", settings.dim, "buckets of the hashed features")->capture_default_str();
  app.add_option("--ridge", settings.ridge, "of the router (rows have norm 1)")
      ->capture_default_str();
  app.add_option("--seed", settings.seed, "of hashing, frozen layer, adapters, order")
      ->capture_default_str();
  app.add_option("--threads", settings.threads, "0: the cores that this process may use")
      ->capture_default_str();
  app.add_flag("--quiet", arguments.options.quiet, "print no progress and no table");
}

std::vector<std::string> chosen_methods(const std::string& list) {
  std::vector<std::string> chosen;
  if (list.empty()) {
    for (const auto& method : cl_benchmark::method_names()) chosen.emplace_back(method.name);
  }
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    chosen.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return chosen;
}

void run(Arguments& arguments) {
  cl_benchmark::Options& options = arguments.options;
  support::expect(arguments.data.empty() != arguments.clinc.empty(),
                  "neither --data nor --clinc is given, expected a folder of tasks");
  support::expect(options.seeds >= 1 && options.seeds <= 1000, "--seeds is ", options.seeds,
                  ", expected 1 to 1000");
  support::expect(arguments.measured == "test" || arguments.measured == "val", "--measure is '",
                  arguments.measured, "', expected test or val");
  options.methods = chosen_methods(arguments.methods);
  support::RunFiles files;
  files.reads("--data", arguments.data);
  files.reads("--clinc", arguments.clinc);
  files.writes("--json", arguments.json);
  files.expect_apart();
  cl_benchmark::Benchmark benchmark = arguments.clinc.empty()
                                          ? cl_benchmark::read_folder(arguments.data)
                                          : cl_benchmark::read_clinc(arguments.clinc);
  cl_benchmark::reorder(benchmark, arguments.order, options.settings.seed);
  if (arguments.measured == "val") {
    cl_benchmark::hold_out(benchmark, 0.2, options.settings.seed);
  }
  cl_benchmark::expect_measurable(benchmark);
  const cl_benchmark::Results results = cl_benchmark::run(benchmark, options);
  if (!options.quiet) cl_benchmark::print_table(benchmark, options, results);
  if (!arguments.json.empty()) {
    cl_benchmark::write_json(arguments.json, benchmark, options, results);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Compares ways to teach one frozen model tasks one after another.", "cl_benchmark"};
  Arguments arguments;
  declare(app, arguments);
  return support::run_application(app, argc, argv, "try a smaller --dim", [&] { run(arguments); });
}
