// SPDX-License-Identifier: MIT

/// @file
/// Teaches one frozen text backbone the departments of a company, one after another, and shows that
/// nothing is forgotten: after every department all earlier ones are asked again, and at the end a
/// router that saw everything at once is asked the same questions.
///
/// Learn from it how ContinualLearner is fed, measured, saved and loaded. `--data` takes your own
/// questions.
// expect: accuracy so far
// expect: average accuracy +0\.[67]
// expect: forgetting against joint +-?0\.0000

#include <iostream>

#include "departments/model_options.hpp"
#include "departments/report.hpp"
#include "support/application.hpp"
#include "support/command_line.hpp"
#include "support/run_files.hpp"
#include "support/shown.hpp"

namespace {

struct Arguments {
  departments::Options options;
  std::string data = ANYSSR_QUESTIONS;
  std::string clinc;
  std::string order;
  std::string json;
  std::int64_t dim = 0;  ///< 0: as the data needs
  bool interactive = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  departments::Options& options = arguments.options;
  support::prepare(app);
  const auto* data =
      app.add_option("--data", arguments.data,
                     "questions, JSON lines {text, task, label, split}; default: the bundled ones");
  app.add_option("--clinc", arguments.clinc, "folder of CLINC150: data_full.json, domains.json")
      ->excludes(const_cast<CLI::Option*>(data));
  app.add_option("--ask", options.ask, "after learning, answer this question");
  app.add_flag("--interactive", arguments.interactive,
               "after learning, answer the questions typed in (end: Ctrl-D)");
  app.add_option("--json", arguments.json, "write all figures to this file");
  app.add_option("--seed", options.seed, "of hashing, frozen layer, adapters, random order")
      ->capture_default_str();
  app.add_option("--dim", arguments.dim,
                 "buckets of the hashed features; default: 4096, with --clinc 8192");
  departments::declare(app, options.model);
  app.add_option("--expansion", options.expansion, "router's expansion: none, dense:D, hadamard:D")
      ->capture_default_str();
  app.add_option("--activation", options.activation,
                 "of the expansion: identity, relu, gelu, cosine")
      ->capture_default_str();
  app.add_option("--ridge", options.ridge, "of the router (rows have norm 1)")
      ->capture_default_str();
  app.add_option("--rank", options.rank, "of the LoRA modules; 0: heads only")
      ->capture_default_str();
  app.add_option("--subspace", options.subspace, "of the LoRA modules: none, own, complement")
      ->capture_default_str();
  app.add_option("--order", arguments.order,
                 "of the departments: names with commas, or random; default: as in the file");
  auto* const state = app.add_option(
      "--state", options.state,
      "folder to go on from: departments that it knows are not learned again and come "
      "first, every new one is saved there as soon as it is learned. Data and options "
      "must be those of the runs before. The accuracy matrix then begins with the row "
      "of the last department known; forgetting needs the rows before it and is left "
      "out");
  app.add_flag("--recover", options.recover,
               "where the newest state is damaged go on from the newest one that is whole, with a "
               "warning; what was learned since is learned again")
      ->needs(state);
  app.add_option("--learn", options.learn,
                 "learn at most N departments in this run; what is measured are those known then; "
                 "default: all");
  app.add_option("--scalar", options.scalar, "float or double")->capture_default_str();
  app.add_option("--measure", options.measured, "split to measure on: test or val")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: the cores that this process may use")
      ->capture_default_str();
  app.add_flag("--quiet", options.quiet, "print no progress and no tables");
}

void run(const Arguments& arguments, const CLI::App& app, char** argv) {
  departments::Options options = arguments.options;
  if (app.count("--dim") > 0) {
    options.dim = arguments.dim;
  } else if (!arguments.clinc.empty()) {
    options.dim = 8192;  // 150 intents in open words need more buckets than the bundled questions
  }
  if (options.measured != "test" && options.measured != "val") {
    throw anyssr::ArgumentError("--measure is '" + options.measured + "', expected test or val");
  }
  if (app.count("--learn") > 0 && options.learn < 0) {
    throw anyssr::ArgumentError("--learn is " + std::to_string(options.learn) +
                                ", expected 0 or more");
  }
  support::expect_scalar(options.scalar);
  departments::expect_sound(options.model, app, options.scalar);
  departments::go_on_where_complete(options, argv);
  support::RunFiles files;
  files.reads("--data", arguments.clinc.empty() ? arguments.data : std::string());
  files.reads("--clinc", arguments.clinc);
  departments::name_files(files, options.model);
  files.keeps("--state", options.state);
  files.writes("--json", arguments.json);
  files.expect_apart();
  departments::Questions questions = arguments.clinc.empty()
                                         ? departments::read_jsonl(arguments.data)
                                         : departments::read_clinc(arguments.clinc);
  departments::warn(questions.warnings);
  departments::expect_complete(questions, {options.measured});
  departments::reorder(questions, arguments.order, options.seed);
  departments::Answerer answer;
  const auto learn_and_measure = options.model.is_chosen()   ? departments::run_with_model
                                 : options.scalar == "float" ? departments::run_float
                                                             : departments::run_double;
  const departments::Results results = learn_and_measure(questions, options, answer);
  if (!options.quiet) departments::print_report(questions, results);
  if (!arguments.json.empty()) departments::write_json(arguments.json, questions, options, results);
  if (!options.ask.empty()) {
    std::cout << "\n" << support::shown(options.ask) << "\n" << answer(options.ask);
  }
  if (!arguments.interactive) return;
  std::cout << "\nAsk a question (end with Ctrl-D).\n> " << std::flush;
  support::for_each_input_line([&](const std::string& line) {
    try {
      std::cout << answer(line);
    } catch (const anyssr::Error& error) {
      std::cout << error.what() << "\n";
    }
    std::cout << "> " << std::flush;
  });
  std::cout << "\n";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Teaches a frozen text backbone one department after another and answers questions.",
               "departments"};
  Arguments arguments;
  declare(app, arguments);
  return support::run_application(app, argc, argv,
                                  "try a smaller --dim or --rank, or --scalar float",
                                  [&] { run(arguments, app, argv); });
}
