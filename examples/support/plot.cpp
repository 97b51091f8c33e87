// SPDX-License-Identifier: MIT
#include "support/plot.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "support/html.hpp"
#include "support/messages.hpp"
#include "support/page_text.hpp"
#include "support/plot_marks.hpp"

namespace support {

namespace {

constexpr double left = 76;
constexpr double bottom = 48;
constexpr double heading_row = 26;

/// 1, 2 or 5 times a power of ten, so that `span` has four to eight of them.
double round_step(double span) {
  const double power = std::pow(10.0, std::floor(std::log10(span / 4)));
  for (const double factor : {5.0, 2.0}) {
    if (span / (factor * power) >= 4) return factor * power;
  }
  return power;
}

/// Places as near to the wanted ones as rows of this height allow, in their order,
/// at most at `end`.
std::vector<double> kept_apart(const std::vector<double>& wanted, double row, double end) {
  struct Group {
    double middle;
    std::vector<std::size_t> members;
    [[nodiscard]] double reach() const { return static_cast<double>(members.size()) / 2; }
  };
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  std::vector<Group> groups;
  for (const std::size_t i : order) {
    groups.push_back({std::min(wanted[i], end), {i}});
    while (groups.size() > 1) {  // joins the last group with those that it touches
      Group& before = groups[groups.size() - 2];
      const Group& last = groups.back();
      if (last.middle - before.middle >= row * (last.reach() + before.reach())) break;
      const double both = last.reach() + before.reach();
      const double middle = (last.middle * last.reach() + before.middle * before.reach()) / both;
      before.middle = std::min(middle, end - row * (both - 0.5));
      before.members.insert(before.members.end(), last.members.begin(), last.members.end());
      groups.pop_back();
    }
  }
  std::vector<double> places(wanted.size());
  for (const Group& group : groups) {
    double y = group.middle - row * (group.reach() - 0.5);
    for (const std::size_t i : group.members) {
      places[i] = y;
      y += row;
    }
  }
  return places;
}

}  // namespace

Axis even_axis(const std::string& label, double low, double high, double step, int digits,
               double scale, const std::string& unit) {
  Axis axis{.label = label, .low = low, .high = high, .ticks = {}};
  const auto count = static_cast<int>(std::floor((high - low) / step + 1e-9));
  for (int i = 0; i <= count; ++i) {
    const double value = low + i * step;
    axis.ticks.emplace_back(value, number(value * scale, digits) + unit);
  }
  return axis;
}

Axis percent_axis(const std::string& label, double most) {
  double step = 0.001;
  for (const double factor : {2.0, 2.5, 2.0, 2.0, 2.5, 2.0, 2.0}) {
    if (5 * step >= most) break;
    step *= factor;
  }
  const double high = step * std::max(1.0, std::ceil(most / step - 1e-9));
  return even_axis(label, 0, high, step, step < 0.01 ? 1 : 0, 100, " %");
}

Axis round_axis(const std::string& label, double least, double most,
                const std::function<std::string(double)>& text) {
  const double span = most > least ? most - least : std::max(std::abs(most), 1e-3);
  const double step = round_step(span);
  const double first = std::floor(least / step + 1e-9);  // in steps, so that 0 is exactly 0
  const double last = std::max(std::ceil(most / step - 1e-9), first + 1);
  Axis axis{.label = label, .low = step * first, .high = step * last, .ticks = {}};
  for (double k = first; k < last + 0.5; ++k) axis.ticks.emplace_back(step * k, text(step * k));
  return axis;
}

Axis count_axis(const std::string& label, std::size_t count) {
  const auto high = static_cast<double>(std::max<std::size_t>(2, count));
  const double step = std::max(1.0, high <= 12 ? 1.0 : round_step(high));
  Axis axis{.label = label, .low = 1, .high = high, .ticks = {{1, "1"}}};
  for (double value = step == 1 ? 2 : step; value <= high; value += step) {
    axis.ticks.emplace_back(value, number(value, 0));
  }
  return axis;
}

Plot::Plot(std::string title, Axis x, Axis y, const PlotShape& shape)
    : title_(std::move(title)), x_(std::move(x)), y_(std::move(y)), shape_(shape) {}

double Plot::place_x(double x) const {
  const auto scale = [&](double v) { return x_.logarithmic ? std::log(v) : v; };
  const double inside = std::clamp(x, x_.low, x_.high);
  return left + (shape_.width - left - shape_.right) * (scale(inside) - scale(x_.low)) /
                    (scale(x_.high) - scale(x_.low));
}

double Plot::place_y(double y) const {
  const auto scale = [&](double v) { return y_.logarithmic ? std::log(v) : v; };
  const double inside = std::clamp(y, y_.low, y_.high);
  return shape_.height * (1 - (scale(inside) - scale(y_.low)) / (scale(y_.high) - scale(y_.low)));
}

std::string Plot::listed(const Points& points) const {
  std::string list;
  for (const auto& [x, y] : points) {
    list += (list.empty() ? "" : " ") + at(place_x(x)) + "," + at(place_y(y));
  }
  return list;
}

void Plot::add_heading(const std::string& text) { headings_.push_back(text); }

void Plot::add_line(const Points& points, const std::string& kind) {
  marks_ += "<polyline class=\"line " + kind + "\" points=\"" + listed(points) + "\"/>\n";
}

void Plot::add_band(const Points& low, const Points& high, const std::string& kind) {
  const Points back(high.rbegin(), high.rend());
  marks_ += "<polygon class=\"area band " + kind + "\" points=\"" + listed(low) + " " +
            listed(back) + "\"/>\n";
}

void Plot::add_marker(double x, double y, const std::string& kind, const std::string& tip,
                      double radius) {
  marks_ += concat("<circle class=\"marker ", kind, "\" cx=\"", at(place_x(x)), "\" cy=\"",
                   at(place_y(y)), "\" r=\"", at(radius), "\"><title>", tip, "</title></circle>\n");
}

void Plot::add_bar(double x0, double x1, double y, const std::string& kind,
                   const std::string& tip) {
  const double from = place_x(x0);
  const double top = place_y(y);
  marks_ += box(from, top, place_x(x1) - from, shape_.height - top, "area " + kind, tip);
}

void Plot::add_vertical(double x, const std::string& kind) {
  marks_ += line_between(place_x(x), 0, place_x(x), shape_.height, "line " + kind);
}

void Plot::add_horizontal(double y, const std::string& kind) {
  marks_ += line_between(left, place_y(y), shape_.width - shape_.right, place_y(y), "line " + kind);
}

void Plot::add_end_label(double y, const std::string& name, const std::string& kind) {
  ends_.push_back({place_y(y), name, kind});
}

void Plot::add_legend(const std::string& name, const std::string& kind, bool is_line) {
  entries_.push_back({name, kind, is_line});
}

std::string Plot::axes() const {
  std::string result;
  const double edge = shape_.width - shape_.right;
  for (const auto& [value, text] : y_.ticks) {
    const double y = place_y(value);
    result += line_between(left, y, edge, y, "grid");
    result += text_at(left - 8, y + 4, "end", "tick", text);
  }
  for (const auto& [value, text] : x_.ticks) {
    const double x = place_x(value);
    result += line_between(x, shape_.height, x, shape_.height + 4, "axis");
    result += text_at(x, shape_.height + 18, "middle", "tick", text);
  }
  result += line_between(left, shape_.height, edge, shape_.height, "axis");
  result += text_at((left + edge) / 2, shape_.height + 40, "middle", "name", escaped(x_.label));
  result += concat("<text class=\"name\" transform=\"translate(13 ", at(shape_.height / 2),
                   ") rotate(-90)\" text-anchor=\"middle\">", escaped(y_.label), "</text>\n");
  return result;
}

std::vector<std::pair<double, double>> Plot::places_of_legend() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.name);
  return legend_places(names, left, shape_.width);
}

std::string Plot::legend() const {
  const double above = heading_row * static_cast<double>(headings_.size());
  std::string result;
  for (std::size_t i = 0; i < headings_.size(); ++i) {
    result += text_at(left, 24 + heading_row * static_cast<double>(i), "start",
                      i == 0 ? "name title" : "tick", escaped(headings_[i]));
  }
  const auto places = places_of_legend();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    result += legend_entry(places[i].first, above + places[i].second, entries_[i].name,
                           entries_[i].kind, entries_[i].is_line);
  }
  return result;
}

std::string Plot::end_labels() const {
  std::vector<double> wanted;
  for (const Label& label : ends_) wanted.push_back(label.y);
  const std::vector<double> places = kept_apart(wanted, 16, shape_.height);
  const double x = shape_.width - shape_.right + 12;
  std::string result;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    result += line_between(x, places[i], x + 14, places[i], "line " + ends_[i].kind);
    result += text_at(x + 20, places[i] + 4, "start", "name", escaped(ends_[i].name));
  }
  return result;
}

double Plot::top() const {
  const double above = heading_row * static_cast<double>(headings_.size());
  return above + (entries_.empty() ? 10 : places_of_legend().back().second + legend_row + 12);
}

double Plot::total_height() const { return top() + shape_.height + bottom; }

std::string Plot::svg() const {
  return opened(title_, shape_.width, total_height()) + legend() +
         concat("<g transform=\"translate(0 ", at(top()), ")\">\n") + axes() + marks_ +
         end_labels() + "</g>\n</svg>\n";
}

}  // namespace support
