// SPDX-License-Identifier: MIT
#include "operations/charts.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "support/html.hpp"
#include "support/page_text.hpp"
#include "support/plot.hpp"
#include "support/plot_grids.hpp"

namespace operations {

using support::Axis;
using support::escaped;
using support::even_axis;
using support::grouped;
using support::number;
using support::percent;
using support::percent_axis;
using support::Plot;
using support::StackedBar;

namespace {

constexpr Index few = 10;  // questions in a bar that says little

Axis confidence_axis() { return even_axis("confidence", 0, 1, 0.2, 0, 100, " %"); }

/// Powers of ten from below the least value to above the largest.
Axis decades(const std::string& label, double least, double most, std::string (*text)(double)) {
  const double low = std::floor(std::log10(least));
  const double high = std::max(low + 1, std::ceil(std::log10(most)));
  const double step = std::ceil((high - low) / 6);
  Axis axis{.label = label,
            .low = std::pow(10.0, low),
            .high = std::pow(10.0, high),
            .ticks = {},
            .logarithmic = true};
  for (double decade = low; decade <= high; decade += step) {
    const double value = std::pow(10.0, decade);
    axis.ticks.emplace_back(value, text(value));
  }
  return axis;
}

std::string count_text(double value) { return grouped(static_cast<std::size_t>(value + 0.5)); }

/// Shares of `values` in bins of equal width.
std::vector<double> shares_in_bins(const std::vector<double>& values, double low, double high,
                                   std::size_t bins) {
  std::vector<double> shares(bins, 0);
  for (const double value : values) {
    const double place = (value - low) / (high - low) * static_cast<double>(bins);
    const auto bin = static_cast<std::size_t>(std::max(0.0, place));
    shares[std::min(bins - 1, bin)] += 1 / static_cast<double>(values.size());
  }
  return shares;
}

}  // namespace

std::string outcomes_chart(const Results& results) {
  StackedBar known{.name = "known questions", .parts = {0, 0, 0, 0}};
  StackedBar outside{.name = "of no department", .parts = {0, 0, 0, 0}};
  for (const OutcomeCounts& counts : results.outcomes) {
    const auto right = static_cast<double>(counts.known - counts.wrong);
    const auto wrong = static_cast<double>(counts.wrong);
    const auto foreign = static_cast<double>(counts.outside);
    if (counts.outcome == "routed") {
      known.parts[0] += right;
      known.parts[1] += wrong;
      outside.parts[1] += foreign;
    } else {
      const std::size_t part = counts.outcome == "review" ? 2 : 3;
      known.parts[part] += right + wrong;
      outside.parts[part] += foreign;
    }
  }
  std::vector<StackedBar> bars{known};
  if (!results.outside_novelty.empty()) bars.push_back(outside);
  return support::stacked_bars("What became of the questions",
                               {{"routed, right", "s3"},
                                {"routed, wrong", "bad"},
                                {"review by a person", "s2"},
                                {"fallback", "mute"}},
                               bars);
}

std::string reliability_chart(const Results& results) {
  Plot plot("Reliability diagram: share of right departments by confidence", confidence_axis(),
            even_axis("right department", 0, 1, 0.2, 0, 100, " %"), {.height = 280});
  bool is_any_faint = false;
  for (const anyssr::ReliabilityBin& bin : results.reliability) {
    if (bin.count == 0) continue;
    is_any_faint |= bin.count < few;
    plot.add_bar(bin.lower + 0.003, bin.upper - 0.003, bin.accuracy,
                 bin.count < few ? "s1 faint" : "s1",
                 percent(bin.accuracy) + " of " + grouped(static_cast<std::size_t>(bin.count)) +
                     " questions right, mean confidence " + percent(bin.mean_confidence));
  }
  plot.add_line({{0, 0}, {1, 1}}, "ink dashed");
  plot.add_legend("right, of those in the bar", "s1", false);
  if (is_any_faint) {
    plot.add_legend("fewer than " + std::to_string(few) + " questions", "s1 faint", false);
  }
  plot.add_legend("perfect", "ink dashed", true);
  return plot.svg();
}

std::string counts_chart(const Results& results) {
  Index most = 1;
  for (const anyssr::ReliabilityBin& bin : results.reliability) most = std::max(most, bin.count);
  Plot plot("Questions by confidence", confidence_axis(),
            decades("questions", 1, std::max(10.0, static_cast<double>(most)), count_text),
            {.height = 90});
  for (const anyssr::ReliabilityBin& bin : results.reliability) {
    if (bin.count == 0) continue;
    // a single question is a bar of no height on this axis: it gets a tenth of a decade
    plot.add_bar(bin.lower + 0.003, bin.upper - 0.003,
                 std::max(1.25, static_cast<double>(bin.count)), "mute",
                 grouped(static_cast<std::size_t>(bin.count)) + " questions");
  }
  return plot.svg();
}

std::string risk_chart(const Options& options, const Results& results) {
  constexpr double from = 0.05;  // below it a share is of a handful of questions
  double most = options.max_risk;
  Plot::Points points;
  double routed = 0;
  for (const anyssr::RiskPoint& point : results.risk_curve) {
    if (point.threshold >= results.policy.min_confidence) routed = point.coverage;
    if (point.coverage < from) continue;
    points.emplace_back(point.coverage, point.risk);
    most = std::max(most, point.risk);
  }
  Plot plot(
      "Wrong departments among the surest questions",
      even_axis("questions answered without a person, the surest first", 0, 1, 0.2, 0, 100, " %"),
      percent_axis("wrong department among them", 1.05 * most));
  plot.add_horizontal(options.max_risk, "bad dashed");
  plot.add_vertical(routed, "s2 dashed");
  plot.add_line(points, "s1");
  for (std::size_t i = 0; i < results.risk_at.size(); ++i) {
    plot.add_marker(
        answered_shares[i], results.risk_at[i], "s1",
        percent(results.risk_at[i], 2) + " wrong of the surest " + percent(answered_shares[i], 0));
  }
  plot.add_legend("measured", "s1", true);
  plot.add_legend("limit asked for", "bad dashed", true);
  plot.add_legend("confidence threshold fitted", "s2 dashed", true);
  return plot.svg();
}

std::string risk_table(const Results& results) {
  std::string head = "<tr><th class=\"text\">answered</th>";
  std::string row = "<tr><td class=\"text\">wrong</td>";
  for (std::size_t i = 0; i < results.risk_at.size(); ++i) {
    head += "<th>" + percent(answered_shares[i], 0) + "</th>";
    row += "<td>" + percent(results.risk_at[i], 2) + "</td>";
  }
  return "<div class=\"scroll\"><table>\n" + head + "</tr>\n" + row + "</tr>\n</table></div>\n";
}

std::string novelty_chart(const Results& results) {
  constexpr std::size_t bins = 40;
  double low = results.policy.max_novelty;
  double high = low;
  for (const auto* values : {&results.inside_novelty, &results.outside_novelty}) {
    for (const double value : *values) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  low = std::floor(5 * low) / 5;
  high = std::max(low + 0.2, std::ceil(5 * high) / 5);
  const auto inside = shares_in_bins(results.inside_novelty, low, high, bins);
  const auto outside = results.outside_novelty.empty()
                           ? std::vector<double>(bins, 0)
                           : shares_in_bins(results.outside_novelty, low, high, bins);
  const double most = std::max(*std::max_element(inside.begin(), inside.end()),
                               *std::max_element(outside.begin(), outside.end()));
  Plot plot("Novelty of known and of foreign questions",
            even_axis("novelty (no unit; higher is less like anything learned)", low, high, 0.2, 1),
            percent_axis("share of each kind", 1.05 * most));
  const double width = (high - low) / static_cast<double>(bins);
  for (std::size_t b = 0; b < bins; ++b) {
    const double x = low + width * static_cast<double>(b);
    for (const auto& [shares, kind, name] :
         {std::tuple(&inside, "s1 half", "known"), std::tuple(&outside, "s2 half", "foreign")}) {
      if ((*shares)[b] == 0) continue;
      plot.add_bar(x, x + width, (*shares)[b], kind,
                   percent((*shares)[b]) + " of the " + name + " questions, novelty " +
                       number(x, 2) + " to " + number(x + width, 2));
    }
  }
  plot.add_vertical(results.policy.max_novelty, "ink dashed");
  plot.add_legend("of a department", "s1 half", false);
  if (!results.outside_novelty.empty()) plot.add_legend("of none", "s2 half", false);
  plot.add_legend("fallback to the right of it", "ink dashed", true);
  return plot.svg();
}

std::string similarity_chart(const Results& results) {
  support::HeatMap map{.title = "How much the router takes two departments for one",
                       .names = results.tasks,
                       .values = {},
                       .low = 1,
                       .high = 0,
                       .between = " and ",
                       .text = [](double value) { return number(value, 2); }};
  const std::size_t count = results.tasks.size();
  map.values.assign(count, std::vector<std::optional<double>>(count));
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < count; ++j) {
      if (i == j) continue;
      const double value = results.similarity[i][j];
      map.values[i][j] = value;
      map.low = std::min(map.low, value);
      map.high = std::max(map.high, value);
    }
  }
  map.low_text = number(map.low, 2) + " least alike";
  map.high_text = number(map.high, 2) + " most";
  return support::heat_map(map);
}

std::string calibration_chart(const Results& results) {
  const auto count = static_cast<double>(results.tasks.size());
  double most = 0.02;
  Plot::Points points;
  for (const double error : results.ece_after_each_task) {
    points.emplace_back(static_cast<double>(points.size() + 1), error);
    most = std::max(most, error);
  }
  Plot plot("Calibration error after each department",
            even_axis("departments learned", 1, std::max(2.0, count), std::ceil(count / 12)),
            percent_axis("calibration error", 1.05 * most), {.height = 260});
  plot.add_line(points, "s1");
  for (std::size_t t = 0; t < points.size(); ++t) {
    plot.add_marker(points[t].first, points[t].second, "s1",
                    escaped(results.tasks[t]) + ": " + percent(points[t].second, 2));
  }
  return plot.svg();
}

std::string storage_chart(const Results& results) {
  struct Series {
    std::string name;
    std::string kind;
    Plot::Points points;
  };
  std::vector<Series> all{{"router", "s1", {}},
                          {"adapters, heads, inspector", "s3", {}},
                          {"log of a year", "s4", {}},
                          {"all together", "ink", {}},
                          {"a full model each", "bad dashed", {}},
                          {"stored questions", "mute dashed", {}}};
  double least = 1e300;
  double most = 1;
  for (const anyssr::StorageForecast& f : results.forecast) {
    const double bytes[] = {f.router.disk,      f.adapters.disk + f.heads.disk + f.inspector.disk,
                            f.log.disk,         f.total().disk,
                            f.full_copies.disk, f.replay.disk};
    for (std::size_t k = 0; k < all.size(); ++k) {
      if (bytes[k] <= 0) continue;
      all[k].points.emplace_back(static_cast<double>(f.tasks), bytes[k]);
      least = std::min(least, bytes[k]);
      most = std::max(most, bytes[k]);
    }
  }
  Plot plot("Bytes on disk by number of departments", decades("departments", 10, 10000, count_text),
            decades("on disk", std::min(least, most), most,
                    [](double bytes) { return anyssr::bytes_text(bytes); }));
  for (const Series& series : all) {
    if (series.points.empty()) continue;
    plot.add_line(series.points, series.kind);
    plot.add_legend(series.name, series.kind, true);
  }
  return plot.svg();
}

}  // namespace operations
