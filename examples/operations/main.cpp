// SPDX-License-Identifier: MIT

/// @file
/// A day in the operation of a router of questions: it learns departments one after another, serves
/// their questions among others that belong nowhere, sends what it is not sure of to people, learns
/// from their corrections, merges and archives departments, saves bytes, and keeps a log that shows
/// every later edit. What came of it is written as figures and as a page for a manager.
///
/// Learn from it how policy, review queue, audit log, merge, archive and forecast go together.
// expect: calibration error after the last department +0\.0
// expect: routed
// expect: audit log .* intact

#include "operations/page.hpp"
#include "operations/report.hpp"
#include "support/application.hpp"
#include "support/command_line.hpp"
#include "support/messages.hpp"
#include "support/run_files.hpp"
#include "support/shown.hpp"

namespace {

struct Arguments {
  operations::Options options;
  std::string data = ANYSSR_QUESTIONS;
  std::string clinc;
  std::string json;
  std::string page;
  std::int64_t dim = 0;  ///< 0: as the data needs
};

void declare(CLI::App& app, Arguments& arguments) {
  operations::Options& options = arguments.options;
  support::prepare(app);
  const auto* data =
      app.add_option("--data", arguments.data,
                     "questions, JSON lines {text, task, label, split}; default: the bundled ones");
  app.add_option("--clinc", arguments.clinc, "folder of CLINC150: data_full.json, domains.json")
      ->excludes(const_cast<CLI::Option*>(data));
  app.add_option("--json", arguments.json, "write all figures to this file");
  app.add_option("--report", arguments.page, "write a page for a browser to this file");
  app.add_option(
      "--log", options.log,
      "folder of the audit log, which is continued if it exists; default: a temporary one");
  app.add_option("--max-risk", options.max_risk,
                 "share of wrong departments among the questions that are routed without a person, "
                 "on validation questions")
      ->capture_default_str();
  app.add_option("--measure", options.measured, "split to measure on: test or val")
      ->capture_default_str();
  app.add_option("--dim", arguments.dim,
                 "buckets of the hashed features; default: 4096, with --clinc 8192");
  app.add_option("--ridge", options.ridge, "of the router (rows have norm 1)")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of hashing, frozen layer, adapters, order of questions")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: the cores that this process may use")
      ->capture_default_str();
  app.add_flag("--quiet", options.quiet, "print no progress and no tables");
}

/// Warns of each department that the policy is fitted without.
/// @throws anyssr::FormatError  where that is all of them
void expect_validation(const departments::Questions& questions) {
  support::Findings left_out;
  for (const departments::Department& department : questions.departments) {
    if (!department.val.texts.empty()) continue;
    left_out.add(department.place + ": department " + support::in_quotes(department.name) +
                 " has no question of split val, and too few of split train to keep one for "
                 "validation: the policy is fitted without it; add rows of split val");
  }
  support::expect<anyssr::FormatError>(
      left_out.count() < questions.departments.size(),
      "no department has a question to fit the policy on, expected rows of split val");
  operations::warn(left_out);
}

void run(const Arguments& arguments, const CLI::App& app) {
  operations::Options options = arguments.options;
  if (app.count("--dim") > 0) {
    options.dim = arguments.dim;
  } else if (!arguments.clinc.empty()) {
    options.dim = 8192;  // 150 intents in open words need more buckets than the bundled questions
  }
  support::expect(options.measured == "test" || options.measured == "val", "--measure is '",
                  options.measured, "', expected test or val");
  support::expect(options.max_risk >= 0 && options.max_risk <= 1, "--max-risk is ",
                  options.max_risk, ", expected 0 to 1");
  support::RunFiles files;
  files.reads("--data", arguments.clinc.empty() ? arguments.data : std::string());
  files.reads("--clinc", arguments.clinc);
  files.keeps("--log", options.log);
  files.writes("--json", arguments.json);
  files.writes("--report", arguments.page);
  files.expect_apart();
  departments::Questions questions = arguments.clinc.empty()
                                         ? departments::read_jsonl(arguments.data)
                                         : departments::read_clinc(arguments.clinc);
  operations::warn(questions.warnings);
  support::expect<anyssr::FormatError>(questions.departments.size() >= 2, "the questions are of ",
                                       questions.departments.size(),
                                       " department, expected at least 2");
  const anyssr::Index held_out = operations::hold_out_validation(questions);
  departments::expect_complete(questions, {options.measured});
  expect_validation(questions);
  if (held_out > 0 && !options.quiet) {
    std::printf("no split val: %ld training questions are kept for validation\n",
                static_cast<long>(held_out));
  }
  const operations::Results results = operations::run(questions, options);
  if (!options.quiet) operations::print_report(results);
  if (!arguments.json.empty()) operations::write_json(arguments.json, options, results);
  if (!arguments.page.empty()) operations::write_page(arguments.page, options, results);
  support::expect<anyssr::FormatError>(results.log_verified,
                                       "the audit log: ", results.log_problem);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs a router of questions for a day and reports on it to the person in charge.",
               "operations"};
  Arguments arguments;
  declare(app, arguments);
  return support::run_application(app, argc, argv, "try a smaller --dim",
                                  [&] { run(arguments, app); });
}
