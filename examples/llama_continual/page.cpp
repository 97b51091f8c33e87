// SPDX-License-Identifier: MIT
#include "llama_continual/page.hpp"

#include <string_view>

#include "support/html.hpp"
#include "support/output_file.hpp"
#include "support/page_shell.hpp"
#include "support/page_text.hpp"

namespace llama_continual {

using anyssr::Index;
using support::card;
using support::number;

namespace {

/// Line breaks are part of a prompt.
std::string escaped(std::string_view text) { return support::escaped(text, true); }

/// The colour of a share from 0 (white) to 1.
std::string shaded(double share, const std::string& text) {
  return "<td style=\"background: rgba(52, 120, 200, " + number(0.6 * share, 3) + ")\">" + text +
         "</td>";
}

std::string heading(const std::vector<Task>& tasks, const std::string& corner) {
  std::string row = "<tr><th class=\"text\">" + corner + "</th>";
  for (const Task& task : tasks) row += "<th>" + escaped(task.name) + "</th>";
  return row + "</tr>\n";
}

std::string accuracy_table(const std::vector<Task>& tasks, const Results& results) {
  std::string table =
      "<div class=\"scroll\"><table><caption>Share of test prompts whose answer is "
      "right to the token, and ends.</caption>\n" +
      heading(tasks, "after learning");
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    table += "<tr><th class=\"text\">" + escaped(tasks[i].name) + "</th>";
    for (std::size_t j = 0; j < tasks.size(); ++j) {
      if (j > i) {
        table += "<td></td>";
        continue;
      }
      const double accuracy = results.accuracy(static_cast<Index>(i), static_cast<Index>(j));
      table += shaded(accuracy, number(accuracy, 3));
    }
    table += "</tr>\n";
  }
  table += "<tr><th class=\"text\">own adapter given</th>";
  for (const TaskFigures& figures : results.tasks) {
    table += shaded(figures.oracle_accuracy, number(figures.oracle_accuracy, 3));
  }
  return table + "</tr>\n</table></div>\n";
}

std::string confusion_table(const std::vector<Task>& tasks,
                            const anyssr::ConfusionMatrix& confusion, const std::string& caption) {
  std::string table =
      "<div class=\"scroll\"><table><caption>" + caption + "</caption>\n" + heading(tasks, "task");
  for (Index i = 0; i < confusion.labels(); ++i) {
    table += "<tr><th class=\"text\">" + escaped(tasks[static_cast<std::size_t>(i)].name) + "</th>";
    const auto all = static_cast<double>(confusion.truth_total(i));
    for (Index j = 0; j < confusion.labels(); ++j) {
      const Index count = confusion.count(i, j);
      table += shaded(static_cast<double>(count) / all, std::to_string(count));
    }
    table += "</tr>\n";
  }
  return table + "</table></div>\n";
}

std::string figures_table(const Options& options, const Results& results) {
  std::string table = "<div class=\"scroll\"><table class=\"short\">\n";
  const auto add = [&](const std::string& name, const std::string& value) {
    table += "<tr><th class=\"text\">" + name + "</th><td>" + value + "</td></tr>\n";
  };
  add("average accuracy", number(anyssr::average_accuracy(results.accuracy), 4));
  add("accuracy, right task given", number(results.oracle_accuracy, 4));
  add("forgetting", number(anyssr::forgetting(results.accuracy), 4));
  add("routing accuracy", number(results.confusion.accuracy(), 4));
  if (results.stripped) {
    add("routing accuracy, words taken out", number(results.stripped->accuracy(), 4));
  }
  add("tokens per second, read and written", number(results.tokens_per_second, 0));
  add("router, MB", number(static_cast<double>(results.router_bytes) / 1e6, 1));
  add("layers without adapter", std::to_string(options.shallow_layers));
  add("seconds", number(results.total_seconds, 1));
  return table + "</table></div>\n";
}

std::string tasks_table(const std::vector<Task>& tasks, const Results& results) {
  std::string table =
      "<div class=\"scroll\"><table>\n<tr><th class=\"text\">task</th><th>adapter</th><th>learned "
      "from</th><th>tested on</th><th>ROUGE-L</th><th>adapter bytes</th><th>seconds</th></tr>\n";
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const TaskFigures& figures = results.tasks[t];
    table += "<tr><th class=\"text\">" + escaped(tasks[t].name) + "</th><td>" +
             (tasks[t].adapter.empty() ? "trained" : "taken over") + "</td><td>" +
             std::to_string(tasks[t].train.size()) + "</td><td>" +
             std::to_string(tasks[t].test.size()) + "</td><td>" + number(figures.rouge_l, 3) +
             "</td><td>" + std::to_string(figures.adapter_bytes) + "</td><td>" +
             number(figures.learn_seconds, 1) + "</td></tr>\n";
  }
  return table + "</table></div>\n";
}

std::string samples_table(const Results& results) {
  std::string table =
      "<div class=\"scroll lines\"><table>\n<tr><th class=\"text\">task</th><th "
      "class=\"text\">prompt"
      "</th><th class=\"text\">expected</th><th class=\"text\">answer</th><th "
      "class=\"text\">routed "
      "to</th><th>confidence</th></tr>\n";
  for (const Sample& sample : results.samples) {
    const auto cell = [](const std::string& text, const char* kind) {
      return std::string("<td class=\"text") + kind + "\">" + escaped(text) + "</td>";
    };
    table += "<tr>" + cell(sample.task, "") + cell(sample.prompt, "") + cell(sample.expected, "") +
             cell(sample.answer, sample.is_right ? " right" : " wrong") +
             cell(sample.routed, sample.routed == sample.task ? " right" : " wrong") + "<td>" +
             number(sample.confidence, 3) + "</td></tr>\n";
  }
  return table + "</table></div>\n";
}

}  // namespace

void write_page(const std::string& path, const std::vector<Task>& tasks, const Options& options,
                const Results& results) {
  std::string routing =
      confusion_table(tasks, results.confusion, "Test prompts by the task they were routed to.");
  if (results.stripped) {
    std::string words;
    for (const std::string& word : options.strip) words += (words.empty() ? "" : ", ") + word;
    routing += confusion_table(
        tasks, *results.stripped,
        "The same by another router, which neither learns nor sees: " + escaped(words));
  }
  std::string page =
      "<h1>Tasks learned one after another by one frozen language model</h1>\n<p "
      "class=\"soft\">Each task has its own adapter; a router tells from the prompt which one "
      "answers.</p>\n<div class=\"grid\">\n";
  page += card("Figures", "At the end, over all tasks.", figures_table(options, results));
  page += card("Tasks", "In the order of learning.", tasks_table(tasks, results));
  page += card("Accuracy", "What each task is worth after each lesson.",
               accuracy_table(tasks, results), "card wide");
  page += card("Routing", "Which task's adapter answered.", routing, "card wide");
  page += card("Some answers", "As the model gave them.", samples_table(results), "card wide long");
  support::write_file(path, support::page_of("Tasks of a language model", page + "</div>\n"));
}

}  // namespace llama_continual
