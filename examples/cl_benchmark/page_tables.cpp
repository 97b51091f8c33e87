// SPDX-License-Identifier: MIT
#include "cl_benchmark/page_tables.hpp"

#include <anyssr/core/text.hpp>
#include <anyssr/core/version.hpp>
#include <array>
#include <optional>

#include "cl_benchmark/figures.hpp"
#include "cl_benchmark/method_names.hpp"
#include "cl_benchmark/page_numbers.hpp"
#include "support/html.hpp"
#include "support/page_shell.hpp"

namespace cl_benchmark {

using anyssr::Index;
using support::cell;
using support::escaped;
using support::grouped;
using support::heading;
using support::number;
using support::percent;
using support::table;
using support::text_cell;

namespace {

constexpr std::size_t most_rows = 60;  // of a table
constexpr std::size_t most_runs = 20;

std::string bytes(std::size_t count) { return anyssr::bytes_text(static_cast<double>(count)); }

std::string p_text(double p) { return p < 0.001 ? "&lt;&nbsp;0.001" : number(p, 3); }

/// Two cells: the difference of average accuracy from anyssr, and its p value.
std::string difference_cells(const std::string& method, const Results& results) {
  const auto ours = results.runs.find("anyssr");
  const std::vector<MethodRun>& runs = results.runs.at(method);
  if (method == "anyssr" || ours == results.runs.end() || ours->second.size() != runs.size()) {
    return cell("&ndash;") + cell("&ndash;");
  }
  const anyssr::PairedDifference found = anyssr::paired_difference(
      values_of(runs, average_accuracy_of), values_of(ours->second, average_accuracy_of));
  return cell(interval_text(found.difference)) +
         cell(runs.size() > 1 ? p_text(found.p_value) : "&ndash;");
}

/// Average accuracy of the same method when it learns all tasks at once.
std::optional<double> at_once_of(const MethodRun& run) {
  if (run.at_once.empty()) return std::nullopt;
  return mean_of(run.at_once);
}

/// Accuracy on a task at the end, one per run; runs have orders of their own.
std::vector<double> accuracies_on(const std::string& task, const std::vector<MethodRun>& runs,
                                  const Benchmark& benchmark, const Results& results) {
  std::vector<double> values;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const std::vector<std::string> order = order_of(benchmark, results, r);
    const auto place = std::ranges::find(order, task) - order.begin();
    const Index last = runs[r].accuracy.tasks() - 1;
    if (place <= last) values.push_back(runs[r].accuracy(last, place));
  }
  return values;
}

}  // namespace

std::string methods_table(const Options& options, const Results& results) {
  std::string rows =
      heading({"method", "average accuracy, %", "difference from anyssr, points", "p",
               "forgetting, points", "backward transfer, points", "forward transfer, points",
               "learned at first, %", "right task chosen, %", "learning", "stored", "texts kept"});
  for (const std::string& name : methods_run(options, results)) {
    const std::vector<MethodRun>& runs = results.runs.at(name);
    const auto text = [&](auto figure) { return cell(interval_text(values_of(runs, figure))); };
    rows += name == "anyssr" ? "<tr class=\"first\">" : "<tr>";
    rows += "<td class=\"text\">" + escaped(name) + "</td>" + text(average_accuracy_of) +
            difference_cells(name, results) + text(forgetting_of) + text(backward_of) +
            text(forward_of) + text(learning_of) + text(routing_of) +
            cell("" + seconds_text(mean_of(values_of(runs, learn_seconds_of))) + "") +
            cell("" + bytes(runs.front().stored_bytes.back()) + "") +
            cell("" + bytes(runs.front().retained_data_bytes) + "") + "</tr>\n";
  }
  return "<div class=\"scroll\"><table class=\"figures\">\n" + rows + "</table></div>\n";
}

std::string mistakes_table(const Benchmark& benchmark, const Results& results,
                           const std::string& method) {
  const std::vector<std::string> names = order_of(benchmark, results, 0);
  const auto pairs = results.runs.at(method).front().confusion.worst_pairs(8);
  if (pairs.empty()) return "<p>No question was taken for another task.</p>\n";
  std::string rows = heading({"questions of", "taken for", "how many", "share"}, 2);
  for (const anyssr::ConfusedPair& pair : pairs) {
    rows += "<tr>" + text_cell(names[static_cast<std::size_t>(pair.truth)]) +
            text_cell(names[static_cast<std::size_t>(pair.predicted)]) +
            cell(grouped(static_cast<std::size_t>(pair.count))) + cell(percent(pair.share)) +
            "</tr>\n";
  }
  return table(rows);
}

std::string tasks_table(const Benchmark& benchmark, const Options& options,
                        const Results& results) {
  const std::vector<std::string> methods = selected(
      {"anyssr", "oracle", "joint", "replay_100", "seq_lora"}, methods_run(options, results), 5);
  std::vector<std::string> names{"task", "answers", "learned from", "tested on"};
  for (const std::string& method : methods) names.push_back(escaped(method) + ", %");
  std::string rows = heading(names);
  const std::size_t shown = std::min(most_rows, benchmark.tasks.size());
  for (std::size_t t = 0; t < shown; ++t) {
    const Task& task = benchmark.tasks[t];
    rows += "<tr>" + text_cell(task.name) + cell(grouped(task.answers.size())) +
            cell(grouped(task.train.texts.size())) + cell(grouped(task.test.texts.size()));
    for (const std::string& method : methods) {
      rows += cell(
          interval_text(accuracies_on(task.name, results.runs.at(method), benchmark, results), 1));
    }
    rows += "</tr>\n";
  }
  std::string note;
  if (shown < benchmark.tasks.size()) {
    note = "<p class=\"soft\">The first " + std::to_string(shown) + " of " +
           grouped(benchmark.tasks.size()) + " tasks; --json writes all.</p>\n";
  }
  return table(rows) + note;
}

std::string at_once_table(const Options& options, const Results& results) {
  std::string rows;
  for (const std::string& name : methods_run(options, results)) {
    const std::vector<MethodRun>& runs = results.runs.at(name);
    const std::vector<double> lost = values_of(runs, forgetting_vs_joint_of);
    std::size_t changed = 0;
    std::size_t questions = 0;
    for (const MethodRun& run : runs) {
      if (!run.changed_decisions) continue;
      changed += *run.changed_decisions;
      questions += static_cast<std::size_t>(run.confusion.total());
    }
    if (lost.empty() && questions == 0) continue;
    const std::string decisions =
        questions == 0 ? "&ndash;" : grouped(changed) + " of " + grouped(questions);
    rows += "<tr>" + text_cell(name) + cell(interval_text(values_of(runs, average_accuracy_of))) +
            cell(interval_text(values_of(runs, at_once_of))) + cell(interval_text(lost)) +
            cell(decisions) + "</tr>\n";
  }
  if (rows.empty()) return "";
  return table(heading({"method", "tasks one after another, %", "all tasks at once, %",
                        "difference, points", "questions routed otherwise"}) +
               rows);
}

std::string merges_table(const Results& results) {
  std::string rows =
      heading({"tasks", "suggested", "questions misrouted among them", "accuracy on them, before",
               "accuracy on them, merged", "average accuracy, before", "average accuracy, merged"});
  const std::size_t shown = std::min(most_rows, results.merges.size());
  for (std::size_t m = 0; m < shown; ++m) {
    const MergeFinding& merge = results.merges[m];
    std::string names;
    for (const std::string& name : merge.tasks) names += (names.empty() ? "" : ", ") + name;
    rows += "<tr>" + text_cell(names) + text_cell(merge.is_suggested ? "yes" : "no") +
            cell(percent(merge.misrouted, 2)) + cell(percent(merge.accuracy_before, 2)) +
            cell(percent(merge.accuracy_after, 2)) + cell(percent(merge.average_before, 2)) +
            cell(percent(merge.average_after, 2)) + "</tr>\n";
  }
  return table(rows);
}

std::string published_table() {
  struct Published {
    const char* method;
    const char* overall;
    const char* backward;
  };
  constexpr std::array<Published, 7> all{{{"O-LoRA", "44.64", "&minus;4.20"},
                                          {"SeqFT", "47.63", "&minus;11.45"},
                                          {"replay of 1&nbsp;%", "48.47", "&minus;9.69"},
                                          {"LoRAMoE", "48.54", "&minus;4.27"},
                                          {"SEEKR", "54.99", "&minus;2.61"},
                                          {"Any-SSR", "55.69", "0"},
                                          {"joint training", "59.38", "&ndash;"}}};
  std::string rows = heading({"method", "overall performance", "backward transfer"});
  for (const Published& row : all) {
    rows += std::string("<tr><td class=\"text\">") + row.method + "</td>" + cell(row.overall) +
            cell(row.backward) + "</tr>\n";
  }
  return table(rows);
}

std::string meanings_table(const Options& options, const Results& results) {
  const std::vector<std::string> run = methods_run(options, results);
  std::string rows = heading({"method", "what it does"}, 2);
  for (const auto& [name, meaning] : method_names()) {
    if (std::ranges::find(run, name) == run.end()) continue;
    rows += "<tr>" + text_cell(name) + text_cell(meaning) + "</tr>\n";
  }
  return table(rows);
}

std::string settings_table(const Benchmark& benchmark, const Options& options,
                           const Results& results) {
  std::size_t train = 0;
  std::size_t test = 0;
  for (const Task& task : benchmark.tasks) {
    train += task.train.texts.size();
    test += task.test.texts.size();
  }
  std::string words;
  for (const std::string& word : benchmark.stripped_words)
    words += (words.empty() ? "" : ", ") + word;
  std::string rows;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty())
      rows += "<tr><td class=\"text soft\">" + name + "</td><td class=\"text\">" + value +
              "</td></tr>\n";
  };
  add("data", escaped(options.data));
  add("tasks, answers", grouped(benchmark.tasks.size()) + ", " + grouped(benchmark.answers.size()));
  add("texts learned from, tested on", grouped(train) + ", " + grouped(test));
  add("words taken out of all texts", escaped(support::shortened(words, 300)));
  add("runs", std::to_string(results.plans.size()) + " (" +
                  counted(static_cast<std::size_t>(options.seeds), "seed") + ", " +
                  (options.orders == 0
                       ? "the one order of the data"
                       : counted(static_cast<std::size_t>(options.orders), "random order")) +
                  ")");
  if (!options.is_llama) {
    add("features", grouped(static_cast<std::size_t>(options.settings.dim)) + " hashed words" +
                        (options.settings.word_pairs ? " and pairs of words" : ""));
    add("ridge of the router", anyssr::number_text(options.settings.ridge));
  }
  add("first seed", std::to_string(options.settings.seed));
  add("threads", options.settings.threads == 0 ? "all cores of the process"
                                               : std::to_string(options.settings.threads));
  add("time of all runs", seconds_text(results.seconds));
  add("memory, peak", bytes(results.peak_bytes));
  add("version", "anyssr " ANYSSR_VERSION_STRING);
  return table(rows);
}

std::string tuned_table(const Options& options) {
  if (options.is_llama) return "";
  std::string rows = heading({"setting", "what of", "value"}, 2);
  for (const auto& [name, setting] : tunable_settings()) {
    rows += "<tr>" + text_cell(name) + text_cell(setting.meaning) +
            cell(anyssr::number_text(options.settings[name])) + "</tr>\n";
  }
  return "<details><summary>Settings of single methods (--tune)</summary>\n" + table(rows) +
         "</details>\n";
}

std::string orders_list(const Results& results) {
  std::string lines;
  const std::size_t shown = std::min(most_runs, results.plans.size());
  for (std::size_t r = 0; r < shown; ++r) {
    lines +=
        "run " + std::to_string(r + 1) + ", seed " + std::to_string(results.plans[r].seed) + ": ";
    std::string names;
    for (const std::string& name : results.plans[r].order)
      names += (names.empty() ? "" : ", ") + name;
    lines += escaped(support::shortened(names, 1000)) + "\n";
  }
  if (shown < results.plans.size())
    lines += "and " + std::to_string(results.plans.size() - shown) + " more\n";
  if (lines.empty()) return "";
  return "<details><summary>Order of the tasks in each run</summary><pre class=\"wrap\">" + lines +
         "</pre></details>\n";
}

}  // namespace cl_benchmark
