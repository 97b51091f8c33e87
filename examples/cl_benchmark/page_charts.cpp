// SPDX-License-Identifier: MIT
#include "cl_benchmark/page_charts.hpp"

#include <anyssr/core/text.hpp>
#include <functional>
#include <utility>

#include "cl_benchmark/figures.hpp"
#include "cl_benchmark/page.hpp"
#include "cl_benchmark/page_curves.hpp"
#include "cl_benchmark/page_numbers.hpp"
#include "support/html.hpp"
#include "support/page_shell.hpp"
#include "support/plot_grids.hpp"
#include "support/plot_marks.hpp"

namespace cl_benchmark {

using anyssr::Index;
using support::escaped;
using support::HeatMap;
using support::number;
using support::percent;

namespace {

constexpr std::size_t most_named = 24;  // tasks whose names fit beside a heat map
constexpr std::size_t most_cells = 60;  // rows of a heat map; beyond, tasks are put together

using Cells = std::vector<std::vector<std::optional<double>>>;

/// Puts neighbouring rows and columns together, `factor` of each: the mean of what is set.
/// @param is_sum  values of a row add up to 1 and still do afterwards
Cells folded(const Cells& cells, std::size_t factor, bool is_sum) {
  const std::size_t count = (cells.size() + factor - 1) / factor;
  Cells result(count, std::vector<std::optional<double>>(count));
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t end = std::min(cells.size(), (i + 1) * factor);
    for (std::size_t j = 0; j < count; ++j) {
      double sum = 0;
      double set = 0;
      for (std::size_t row = i * factor; row < end; ++row) {
        for (std::size_t k = j * factor; k < std::min(cells.size(), (j + 1) * factor); ++k) {
          if (!cells[row][k]) continue;
          sum += *cells[row][k];
          ++set;
        }
      }
      const double shares = is_sum ? static_cast<double>(end - i * factor) : set;
      if (set > 0) result[i][j] = sum / shares;
    }
  }
  return result;
}

HeatMap map_of(const std::string& title, const std::vector<std::string>& names, const Cells& cells,
               bool is_sum) {
  const std::size_t factor = (cells.size() + most_cells - 1) / most_cells;
  HeatMap map{.title = title,
              .names = names,
              .values = factor > 1 ? folded(cells, factor, is_sum) : cells,
              .text = [](double value) { return number(100 * value, 1); },
              .unit = "&nbsp;%"};
  map.names.resize(map.values.size());
  map.names_above = false;
  map.has_names = names.size() <= most_named;
  map.number_step = factor;
  return map;
}

/// What the numbers beside a heat map without names stand for.
std::string numbering_note(std::size_t tasks) {
  if (tasks <= most_named) return "";
  std::string note = "Numbers are places in the order of learning.";
  const std::size_t factor = (tasks + most_cells - 1) / most_cells;
  if (factor > 1) {
    note += " Each cell is the mean over " + std::to_string(factor) + " times " +
            std::to_string(factor) + " tasks.";
  }
  return "<p class=\"soft\">" + note + "</p>\n";
}

Cells accuracy_cells(const anyssr::AccuracyMatrix& accuracy) {
  const auto count = static_cast<std::size_t>(accuracy.tasks());
  Cells cells(count, std::vector<std::optional<double>>(count));
  for (Index i = 0; i < accuracy.tasks(); ++i) {
    for (Index j = 0; j <= i; ++j) {
      if (accuracy.has(i, j)) {
        cells[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] = accuracy(i, j);
      }
    }
  }
  return cells;
}

/// A kind of cost: its name, its value for one run, how it is written.
struct Cost {
  std::string name;
  std::function<double(const MethodRun&)> of;
  std::function<std::string(double)> text;
};

std::vector<Cost> costs() {
  const auto bytes = [](double value) { return anyssr::bytes_text(value); };
  const auto micros = [](double value) { return seconds_text(1e-6 * value); };
  return {
      {"Learning, all tasks", learn_seconds_of, seconds_text},
      {"CPU time of it", learn_cpu_seconds_of, seconds_text},
      {"Memory of the process, peak while learning", learn_peak_bytes_of, bytes},
      {"Stored between two tasks",
       [](const MethodRun& run) {
         return run.stored_bytes.empty() ? 0.0 : static_cast<double>(run.stored_bytes.back());
       },
       bytes},
      {"Users' texts kept",
       [](const MethodRun& run) { return static_cast<double>(run.retained_data_bytes); }, bytes},
      {"One question, median", [](const MethodRun& run) { return run.query_microseconds; },
       micros}};
}

std::string panel(const std::string& title, const std::string& note, const std::string& svg) {
  return "<div><h3>" + title + "</h3>" +
         (note.empty() ? "" : "<div class=\"soft\">" + note + "</div>") + svg + "</div>\n";
}

}  // namespace

std::string accuracy_maps(const Benchmark& benchmark, const Options& options,
                          const Results& results) {
  std::vector<std::string> run;  // those with answers after every task
  for (const std::string& name : methods_run(options, results)) {
    if (results.runs.at(name).front().accuracy.has(0, 0)) run.push_back(name);
  }
  std::vector<std::string> wanted{"anyssr", "seq_lora", "replay_100"};
  for (const std::string& name : run) {
    if (std::ranges::find(wanted, name) == wanted.end() && name != "majority") {
      wanted.push_back(name);
    }
  }
  const std::vector<std::string> shown = selected(wanted, run, 6);
  if (shown.empty()) return "";
  const std::vector<std::string> names = order_of(benchmark, results, 0);
  std::string panels = "<div class=\"thirds\">\n";
  for (const std::string& method : shown) {
    const MethodRun& first = results.runs.at(method).front();
    HeatMap map =
        map_of("Accuracy matrix of " + method, names, accuracy_cells(first.accuracy), false);
    map.between = " learned last, accuracy on ";
    map.is_small = true;
    panels += panel(escaped(method), "ends at " + percent(anyssr::average_accuracy(first.accuracy)),
                    support::heat_map(map));
  }
  const std::string scale = support::opened("Scale of the colours", 340, 20, "small") +
                            support::colour_scale(60, 2, "0 %", "100 %") + "</svg>\n";
  return panels + "</div>\n" + scale + numbering_note(names.size());
}

std::string confusion_map(const Benchmark& benchmark, const Results& results,
                          const std::string& method) {
  const anyssr::ConfusionMatrix& confusion = results.runs.at(method).front().confusion;
  const std::vector<std::string> names = order_of(benchmark, results, 0);
  Cells cells(names.size(), std::vector<std::optional<double>>(names.size()));
  for (Index i = 0; i < confusion.labels(); ++i) {
    const auto all = static_cast<double>(std::max<Index>(1, confusion.truth_total(i)));
    for (Index j = 0; j < confusion.labels(); ++j) {
      cells[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] =
          static_cast<double>(confusion.count(i, j)) / all;
    }
  }
  HeatMap map = map_of("Tasks that questions were taken for by " + method, names, cells, true);
  map.between = " taken for ";
  map.is_root = true;
  map.low_text = "0 %";
  map.high_text = "100 %";
  return support::chart(support::heat_map(map)) + numbering_note(names.size());
}

std::string cost_bars(const Options& options, const Results& results) {
  const std::vector<std::string> methods = methods_run(options, results);
  std::string panels = "<div class=\"thirds\">\n";
  for (const Cost& cost : costs()) {
    std::vector<support::Bar> bars;
    double most = 0;
    for (const std::string& name : methods) {
      const double value = mean_of(values_of(results.runs.at(name), cost.of));
      most = std::max(most, value);
      bars.push_back({.name = name,
                      .value = value,
                      .text = cost.text(value),
                      .kind = name == "anyssr" ? "s1" : "mute"});
    }
    // figures that were not measured are 0; no texts kept is a figure
    if (most == 0 && cost.name != "Users' texts kept") continue;
    panels += panel(cost.name, "", support::bar_chart(cost.name, bars));
  }
  return panels + "</div>\n";
}

}  // namespace cl_benchmark
