// SPDX-License-Identifier: MIT
#include "cl_benchmark/data_options.hpp"

#include <utility>
#include <vector>

#include "cl_benchmark/data_changes.hpp"
#include "cl_benchmark/synthetic.hpp"
#include "cl_benchmark/templates.hpp"
#include "support/messages.hpp"

namespace cl_benchmark {

namespace {

constexpr double held_out = 0.2;  // of the training rows, for --measure val

void expect_one_source(const DataOptions& options) {
  std::vector<std::string> given;
  for (const auto& [name, value] : {std::pair("--data", &options.data),
                                    {"--clinc", &options.clinc},
                                    {"--synthetic", &options.synthetic}}) {
    if (!value->empty()) given.emplace_back(name);
  }
  support::expect(!given.empty(),
                  "neither --data nor --clinc is given, nor --synthetic: expected one of them");
  if (given.size() > 1) {
    support::expect(false, given[0], " and ", given[1],
                    " are both given, expected one of --data, --clinc and --synthetic");
  }
}

void expect_valid(const DataOptions& options) {
  expect_one_source(options);
  support::expect(options.measured == "test" || options.measured == "val", "--measure is '",
                  options.measured, "', expected test or val");
  using support::expect_within;
  if (options.cut) expect_within<std::int64_t>("--cut", *options.cut, 1, 1000000);
  if (options.rows) expect_within<std::int64_t>("--rows", *options.rows, 1, 1000000);
  if (options.label_noise) expect_within("--label-noise", *options.label_noise, 0.0, 1.0);
  if (options.imbalance) expect_within("--imbalance", *options.imbalance, 1.0, 10000.0);
}

Benchmark read_source(const DataOptions& options, std::uint64_t seed) {
  if (!options.data.empty()) return read_folder(options.data);
  if (!options.clinc.empty()) return read_clinc(options.clinc);
  return make_synthetic(parse_synthetic(options.synthetic), seed);
}

}  // namespace

void declare_data_options(CLI::App& app, DataOptions& options) {
  app.add_option("--data", options.data,
                 "folder of folders, one per task: TASK/{train,test}.jsonl of {text, label}, or "
                 "TASK/{train,eval,test}.json of {prompt, answer} as TRACE has them; with or "
                 "without a tasks.json that names tasks and orders");
  app.add_option("--clinc", options.clinc, "folder of CLINC150: data_full.json, domains.json");
  app.add_option("--synthetic", options.synthetic,
                 "make up so many tasks: TASKS[,ANSWERS[,ROWS]], answers per task (3) and training "
                 "rows per task (60)");
  app.add_option("--order", options.order,
                 "of learning: a name in tasks.json, names of tasks with commas, or random; "
                 "default: as the data name them");
  app.add_option("--measure", options.measured,
                 "test: the test rows; val: the rows of eval.json, or where a task has none a "
                 "fifth of its training rows, which is not trained on")
      ->capture_default_str();
  app.add_flag("--strip-templates", options.strips_templates,
               "take the words of prompt templates (\"Title:\", \"sentence 1:\") out of all texts: "
               "they give tasks away");
  app.add_option("--cut", options.cut,
                 "cut every task into tasks of so many answers: TASK/1, TASK/2, ...");
  app.add_option("--rows", options.rows,
                 "training rows per task at most, equally many of each answer as far as they go");
  app.add_option("--label-noise", options.label_noise,
                 "share of training rows that get another answer of their task, 0 to 1");
  app.add_option("--imbalance", options.imbalance,
                 "training rows fall along the order, geometrically, from all of the first task's "
                 "to one in so many of the last one's; at least one per answer");
  app.add_option("--two-visits", options.two_visits,
                 "a task of which half the training rows come after all tasks have been learned");
}

void name_inputs(const DataOptions& options, support::RunFiles& files) {
  files.reads("--data", options.data);
  files.reads("--clinc", options.clinc);
}

Benchmark read_data(const DataOptions& options, std::uint64_t seed) {
  expect_valid(options);
  Benchmark benchmark = read_source(options, seed);
  const bool is_random = options.order == "random";  // of the tasks that are cut
  if (!is_random) reorder(benchmark, options.order, seed);
  if (options.measured == "val") hold_out(benchmark, held_out, seed);
  if (options.strips_templates) strip_templates(benchmark);
  if (options.cut) cut_tasks(benchmark, *options.cut);
  if (is_random) reorder(benchmark, options.order, seed);
  expect_measurable(benchmark);
  if (options.rows) keep_rows(benchmark, *options.rows, seed);
  if (options.imbalance) make_unequal(benchmark, *options.imbalance, seed);
  if (options.label_noise) add_label_noise(benchmark, *options.label_noise, seed);
  if (!options.two_visits.empty()) split_visits(benchmark, options.two_visits, seed);
  return benchmark;
}

std::string describe(const DataOptions& options) {
  std::string text = !options.data.empty()    ? options.data
                     : !options.clinc.empty() ? "CLINC150 in " + options.clinc
                                              : "synthetic tasks " + options.synthetic;
  const auto add = [&](bool is_given, const auto&... parts) {
    if (is_given) text += ", " + support::concat(parts...);
  };
  add(!options.order.empty(), "order ", options.order);
  add(options.strips_templates, "without template words");
  add(options.cut.has_value(), "cut into tasks of ", options.cut.value_or(0), " answers");
  add(options.rows.has_value(), "at most ", options.rows.value_or(0), " training rows per task");
  add(options.imbalance.has_value(), "training rows falling to one in ",
      options.imbalance.value_or(1), " along the order");
  add(options.label_noise.has_value(), options.label_noise.value_or(0) * 100,
      " % of training answers wrong");
  add(!options.two_visits.empty(), options.two_visits, " in two visits");
  add(options.measured == "val", "measured on validation rows");
  return text;
}

}  // namespace cl_benchmark
