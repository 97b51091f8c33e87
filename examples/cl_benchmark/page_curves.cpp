// SPDX-License-Identifier: MIT
#include "cl_benchmark/page_curves.hpp"

#include <algorithm>
#include <anyssr/core/text.hpp>
#include <array>
#include <utility>

#include "cl_benchmark/page.hpp"
#include "cl_benchmark/page_charts.hpp"
#include "cl_benchmark/page_numbers.hpp"
#include "support/html.hpp"
#include "support/output_file.hpp"
#include "support/page_shell.hpp"
#include "support/plot_marks.hpp"

namespace cl_benchmark {

using anyssr::Index;
using support::Axis;
using support::escaped;
using support::number;
using support::percent;
using support::Plot;

namespace {

const std::vector<std::string> shown_in_curves{"anyssr",     "oracle",    "joint",
                                               "replay_100", "replay_20", "seq_lora"};

/// Colour and dashes of a method; others than the usual ones share what is left.
std::string kind_of(const std::string& method, std::size_t place) {
  constexpr std::array<std::pair<const char*, const char*>, 6> kinds{{{"anyssr", "s1"},
                                                                      {"oracle", "ink dashed"},
                                                                      {"joint", "s5"},
                                                                      {"replay_100", "s3"},
                                                                      {"replay_20", "s4 dashed"},
                                                                      {"seq_lora", "s2"}}};
  for (const auto& [name, kind] : kinds) {
    if (method == name) return kind;
  }
  constexpr std::array others{"s6", "s5 dashed", "s3 dotted", "s2 dotted", "mute", "s4"};
  return others[place % others.size()];
}

/// The colour alone, for markers and bands.
std::string colour_of(const std::string& kind) { return kind.substr(0, kind.find(' ')); }

/// Mean of what tasks gained since they were learned; below 0 they lost.
std::optional<double> change_so_far(const MethodRun& run, Index i) {
  if (!run.accuracy.has(0, 0)) return std::nullopt;
  double sum = 0;
  for (Index j = 0; j <= i; ++j) sum += run.accuracy(i, j) - run.accuracy(j, j);
  return sum / static_cast<double>(i + 1);
}

std::vector<Curve> curves_of(const Results& results, const std::vector<std::string>& methods,
                             const StepFigure& figure) {
  std::vector<Curve> curves;
  for (const std::string& name : methods) {
    Curve curve = curve_of(name, results.runs.at(name), figure);
    curve.kind = kind_of(name, curves.size());
    if (!curve.means.empty()) curves.push_back(std::move(curve));
  }
  return curves;
}

Axis share_axis(const std::string& label, const Range& range) {
  const double most = std::clamp(range.most, 0.1, 1.0);
  return support::round_axis(label, std::max(0.0, std::min(range.least, most - 0.1)), most,
                             [](double share) { return number(100 * share, 0) + " %"; });
}

std::size_t task_count(const Results& results) {
  return static_cast<std::size_t>(results.runs.begin()->second.front().accuracy.tasks());
}

std::string growth_plot(const std::string& title, const std::string& label,
                        const std::vector<Curve>& curves, std::size_t tasks,
                        const std::function<std::string(double)>& text) {
  if (curves.empty()) return "";
  const double most = std::max(range_of(curves).most, 1e-9);
  Plot plot(title, support::count_axis("tasks learned", tasks),
            support::round_axis(label, 0, most, text), {.height = 240});
  add_curves(plot, curves, text, true);
  return support::chart(plot.svg());
}

void add_markers(Plot& plot, const Curve& curve, const std::function<std::string(double)>& text,
                 double radius) {
  for (const auto& [x, y] : curve.means) {
    plot.add_marker(x, y, colour_of(curve.kind),
                    escaped(curve.name) + ", " + number(x, 0) + ": " + text(y), radius);
  }
}

}  // namespace

std::optional<double> accuracy_so_far(const MethodRun& run, Index i) {
  if (!run.accuracy.has(i, 0)) return std::nullopt;
  double sum = 0;
  for (Index j = 0; j <= i; ++j) sum += run.accuracy(i, j);
  return sum / static_cast<double>(i + 1);
}

Curve curve_of(const std::string& method, const std::vector<MethodRun>& runs,
               const StepFigure& figure) {
  Curve curve{.name = method, .kind = kind_of(method, 0)};
  for (Index i = 0; i < runs.front().accuracy.tasks(); ++i) {
    std::vector<double> values;
    for (const MethodRun& run : runs) {
      if (const std::optional<double> value = figure(run, i)) values.push_back(*value);
    }
    if (values.empty()) continue;
    const anyssr::MeanInterval interval = anyssr::mean_interval(values);
    const auto x = static_cast<double>(i + 1);
    curve.means.emplace_back(x, interval.mean);
    if (!std::isfinite(interval.half_width)) continue;
    curve.low.emplace_back(x, interval.mean - interval.half_width);
    curve.high.emplace_back(x, interval.mean + interval.half_width);
  }
  return curve;
}

Range range_of(const std::vector<Curve>& curves) {
  Range range{curves.front().means.front().second, curves.front().means.front().second};
  for (const Curve& curve : curves) {
    for (const auto* points : {&curve.means, &curve.low, &curve.high}) {
      for (const auto& [x, y] : *points) {
        range.least = std::min(range.least, y);
        range.most = std::max(range.most, y);
      }
    }
  }
  return range;
}

void add_curves(Plot& plot, const std::vector<Curve>& curves,
                const std::function<std::string(double)>& text, bool has_legend) {
  for (const Curve& curve : curves) {
    const bool is_dashed = curve.kind.find(' ') != std::string::npos;  // bands of all are too many
    if (curve.low.size() > 1 && !is_dashed)
      plot.add_band(curve.low, curve.high, colour_of(curve.kind));
  }
  for (auto curve = curves.rbegin(); curve != curves.rend(); ++curve) {  // the first is on top
    if (curve->means.size() > 1) plot.add_line(curve->means, curve->kind);
    if (curve->means.size() > 1 && curve->means.size() <= 20) add_markers(plot, *curve, text, 3.5);
  }
  for (const Curve& curve : curves) {
    if (curve.means.size() == 1) add_markers(plot, curve, text, 5);
  }
  if (!has_legend) return;
  for (const Curve& curve : curves) {
    const bool is_point = curve.means.size() == 1;
    plot.add_legend(curve.name, is_point ? colour_of(curve.kind) : curve.kind, !is_point);
  }
}

std::string curves(const Options& options, const Results& results) {
  const std::vector<std::string> methods =
      selected(shown_in_curves, methods_run(options, results), 6);
  if (methods.empty() || task_count(results) == 1) return "";
  const support::Axis tasks = support::count_axis("tasks learned", task_count(results));
  const std::vector<Curve> accuracy = curves_of(results, methods, accuracy_so_far);
  Plot left("Mean accuracy over the tasks learned so far", tasks,
            share_axis("mean accuracy", range_of(accuracy)));
  add_curves(
      left, accuracy, [](double y) { return percent(y); }, true);
  std::string result = "<div class=\"halves\">\n" + support::chart(left.svg());
  const std::vector<Curve> change = curves_of(results, methods, change_so_far);
  if (!change.empty()) {
    const Range range = range_of(change);
    const double least = std::min(range.least, -0.01);
    Plot right("Mean change since each task was learned", tasks,
               support::round_axis("change since learned, points", std::max(-1.0, least),
                                   std::max(range.most, 0.0),
                                   [](double y) { return signed_text(100 * y); }));
    add_curves(
        right, change, [](double y) { return points_text(y); }, true);
    result += support::chart(right.svg());
  }
  return result + "</div>\n";
}

std::string growth(const Options& options, const Results& results) {
  std::vector<std::string> methods;
  for (const std::string& name : methods_run(options, results)) {
    // what learns at the end has no next task, and `oracle` learns nothing of its own
    if (name != "oracle" && results.runs.at(name).front().accuracy.has(0, 0)) {
      methods.push_back(name);
    }
  }
  methods = selected(shown_in_curves, methods, 6);
  if (methods.empty() || task_count(results) == 1) return "";
  const auto at = [](const auto& values, Index i) -> std::optional<double> {
    const auto place = static_cast<std::size_t>(i);
    if (place >= values.size()) return std::nullopt;
    return static_cast<double>(values[place]);
  };
  const std::size_t tasks = task_count(results);
  return "<div class=\"halves\">\n" +
         growth_plot(
             "Seconds to learn the next task", "seconds for the task",
             curves_of(results, methods,
                       [&](const MethodRun& run, Index i) { return at(run.learn_seconds, i); }),
             tasks, [](double seconds) { return anyssr::number_text(seconds) + "&nbsp;s"; }) +
         growth_plot(
             "Bytes stored between two tasks", "stored",
             curves_of(results, methods,
                       [&](const MethodRun& run, Index i) { return at(run.stored_bytes, i); }),
             tasks, [](double bytes) { return anyssr::bytes_text(bytes); }) +
         "</div>\n";
}

std::string summary_figure(const Benchmark& benchmark, const Options& options,
                           const Results& results) {
  const std::vector<std::string> methods = selected(
      {"anyssr", "oracle", "joint", "replay_100", "seq_lora"}, methods_run(options, results), 5);
  if (methods.empty()) return "";
  const std::size_t runs = results.runs.at(methods.front()).size();
  const std::vector<Curve> all = curves_of(results, methods, accuracy_so_far);
  Plot plot("Mean accuracy over the tasks learned so far",
            support::count_axis("tasks learned", benchmark.tasks.size()),
            share_axis("mean accuracy", range_of(all)),
            {.width = 760, .height = 310, .right = 168});
  plot.add_heading("Mean accuracy over the tasks learned so far");
  plot.add_heading(
      std::to_string(benchmark.tasks.size()) + " tasks, " +
      (runs == 1 ? "one run" : "mean of " + std::to_string(runs) + " runs, shaded: 95 % interval"));
  add_curves(
      plot, all, [](double y) { return number(100 * y, 1) + " %"; }, false);
  for (const Curve& curve : all) {
    const double end = curve.means.back().second;
    plot.add_end_label(end, curve.name + " " + number(100 * end, 1) + " %", curve.kind);
  }
  return support::svg_document(plot.svg(), 760, plot.total_height());
}

void write_figure(const std::string& path, const Benchmark& benchmark, const Options& options,
                  const Results& results) {
  support::write_file(path, summary_figure(benchmark, options, results));
}

}  // namespace cl_benchmark
