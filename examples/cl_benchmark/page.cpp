// SPDX-License-Identifier: MIT
#include "cl_benchmark/page.hpp"

#include "cl_benchmark/page_charts.hpp"
#include "cl_benchmark/page_numbers.hpp"
#include "cl_benchmark/page_tables.hpp"
#include "cl_benchmark/page_words.hpp"
#include "support/html.hpp"
#include "support/output_file.hpp"
#include "support/page_shell.hpp"

namespace cl_benchmark {

using support::card;
using support::escaped;

namespace {

std::string results_card(const Options& options, const Results& results) {
  const bool has_intervals = results.plans.size() > 1;
  return card(
      "Results",
      has_intervals ? "Means over " + counted(results.plans.size(), "run") +
                          " with 95&nbsp;% intervals (Student's t). Differences are taken run by "
                          "run; p is that of the paired t test."
                    : "One run, so there are no intervals: differences may be chance. Give --seeds "
                      "or --orders for more.",
      methods_table(options, results) +
          "<p class=\"soft\">Average accuracy: mean over the tasks at the end. Forgetting: best "
          "accuracy on a task before the end, less that at the end. Backward transfer: accuracy at "
          "the end, less that right after the task was learned. Forward transfer: accuracy on a "
          "task just before it is learned, less that of an untrained model. Learned at first: "
          "accuracy right after the task. Stored: what is kept between two tasks, without the "
          "frozen model and texts. Oracle and majority are told the right task; joint learns once, "
          "at the end. Methods that answer with the adapters of anyssr do not train them again "
          "where anyssr was run too, and their times leave that out.</p>\n",
      "card wide");
}

std::string routing_card(const Benchmark& benchmark, const Options& options,
                         const Results& results) {
  std::string method;
  for (const std::string& name : methods_run(options, results)) {
    if (!results.runs.at(name).front().routes) continue;
    if (method.empty() || name == "anyssr") method = name;
  }
  if (method.empty()) return "";
  return card("Which task are questions taken for?",
              "Routing by " + escaped(method) +
                  " at the end of the first run. Rows: the right task; columns: the task chosen. "
                  "Shares of a row, shaded by their square root so that small ones show.",
              "<div class=\"halves\"><div>" + confusion_map(benchmark, results, method) +
                  "</div><div>" + mistakes_table(benchmark, results, method) + "</div></div>\n",
              "card wide");
}

std::string merges_card(const Results& results) {
  if (results.merges.empty()) return "";
  return card(
      "Tasks that could be one",
      "What suggest_merges finds in the first run, or was asked for by --merge; how many questions "
      "are taken for another task of the same group, and what one task learned of all their rows "
      "gives instead.",
      merges_table(results), "card wide");
}

std::string optional_card(const std::string& title, const std::string& what,
                          const std::string& body) {
  return body.empty() ? "" : card(title, what, body, "card wide");
}

std::string method_cards(const Benchmark& benchmark, const Options& options,
                         const Results& results) {
  return card("What each method is",
              "All get the same features of the same texts, and adapters of one shape.",
              meanings_table(options, results)) +
         card("Settings", "Of all methods alike.",
              settings_table(benchmark, options, results) + tuned_table(options)) +
         card("Published figures, for orientation",
              "By the authors of Any-SSR (arXiv 2503.13575): LLaMA-2-7B-chat on the 8 tasks of "
              "TRACE, order 1, with the metrics of TRACE, in per cent and points. They are theirs "
              "and "
              "cannot be compared with the figures above, which are of another model.",
              published_table()) +
         card("How to reproduce",
              "This command gives the figures of this page again; times depend on the machine.",
              "<pre class=\"wrap\">" + escaped(options.command) + "</pre>\n" +
                  (options.data.empty()
                       ? ""
                       : "<p class=\"soft\">Data: " + escaped(options.data) + "</p>\n") +
                  orders_list(results));
}

}  // namespace

void write_page(const std::string& path, const Benchmark& benchmark, const Options& options,
                const Results& results) {
  std::string page = "<h1>" + title_of(benchmark, options, results) + "</h1>\n" +
                     lead_of(options, results) + heads_of(options, results) +
                     "<div class=\"grid\">\n" + results_card(options, results);
  page += optional_card(
      "How accuracy changes while tasks are added",
      "Left: mean accuracy over the tasks learned so far; it also moves with how "
      "hard the added task is. Right: what these tasks lost or gained since each "
      "was learned." +
          std::string(results.plans.size() > 1
                          ? " Bands around the solid lines are 95&nbsp;% intervals over runs."
                          : ""),
      curves(options, results));
  page += optional_card("Accuracy on each task after each lesson",
                        "First run. Row: the task learned last; column: the task asked about. A "
                        "method that forgets fades down its columns.",
                        accuracy_maps(benchmark, options, results));
  page += routing_card(benchmark, options, results);
  page += optional_card("Each task at the end", "Last row of the accuracy matrix, mean over runs.",
                        tasks_table(benchmark, options, results));
  page += optional_card("One after another, or all at once",
                        "The same method when it learns all tasks at once, and questions that a "
                        "router of all rows at once takes for another task.",
                        at_once_table(options, results));
  page += merges_card(results);
  page += optional_card("What it costs", "Mean over runs. Each chart has a scale of its own.",
                        cost_bars(options, results));
  page +=
      optional_card("How cost grows with the number of tasks",
                    "A way that goes through old data again needs longer for every further task.",
                    growth(options, results));
  page += method_cards(benchmark, options, results) + "</div>\n";
  support::write_file(path, support::page_of("Tasks learned one after another: results", page));
}

}  // namespace cl_benchmark
