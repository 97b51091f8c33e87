// SPDX-License-Identifier: MIT
#include "operations/plot.hpp"

#include <algorithm>
#include <anyssr/core/error.hpp>
#include <cmath>
#include <numeric>

#include "operations/html.hpp"
#include "support/messages.hpp"

namespace operations {

using support::concat;

namespace {

constexpr double width = 560;
constexpr double left = 76;
constexpr double right = 30;
constexpr double bottom = 48;
constexpr double legend_row = 22;
constexpr double letter = 6.6;  // of the legend, in pixels: an upper estimate of the mean

std::string at(double value) { return number(value, 1); }

std::string text_at(double x, double y, const std::string& anchor, const std::string& kind,
                    const std::string& text) {
  return concat("<text class=\"", kind, "\" x=\"", at(x), "\" y=\"", at(y), "\" text-anchor=\"",
                anchor, "\">", text, "</text>\n");
}

std::string line_between(double x0, double y0, double x1, double y1, const std::string& kind) {
  return concat("<line class=\"", kind, "\" x1=\"", at(x0), "\" y1=\"", at(y0), "\" x2=\"", at(x1),
                "\" y2=\"", at(y1), "\"/>\n");
}

std::string box(double x, double y, double w, double h, const std::string& kind,
                const std::string& tip) {
  std::string rect = concat("<rect class=\"", kind, "\" x=\"", at(x), "\" y=\"", at(y),
                            "\" width=\"", at(w), "\" height=\"", at(h), "\"");
  if (tip.empty()) return rect + "/>\n";
  return rect + "><title>" + tip + "</title></rect>\n";
}

std::string opened(const std::string& title, double w, double h) {
  return concat("<svg viewBox=\"0 0 ", at(w), " ", at(h), "\" role=\"img\" aria-label=\"",
                escaped(title), "\">\n");
}

/// Places of a row of legend entries, broken where it is full.
std::vector<std::pair<double, double>> legend_places(const std::vector<std::string>& names,
                                                     double from) {
  std::vector<std::pair<double, double>> places;
  double x = from;
  double y = 0;
  for (const std::string& name : names) {
    const double wide = 30 + letter * static_cast<double>(name.size());
    if (x > from && x + wide > width) {
      x = from;
      y += legend_row;
    }
    places.emplace_back(x, y);
    x += wide + 10;
  }
  return places;
}

std::string legend_entry(double x, double y, const std::string& name, const std::string& kind,
                         bool is_line) {
  const std::string sample = is_line ? line_between(x, y + 9, x + 18, y + 9, "line " + kind)
                                     : box(x + 3, y + 3, 12, 12, "area " + kind, "");
  return sample + text_at(x + 24, y + 13, "start", "note", escaped(name));
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

Plot::Plot(std::string title, Axis x, Axis y, double height)
    : title_(std::move(title)), x_(std::move(x)), y_(std::move(y)), height_(height) {}

double Plot::place_x(double x) const {
  const auto scale = [&](double v) { return x_.logarithmic ? std::log(v) : v; };
  const double inside = std::clamp(x, x_.low, x_.high);
  return left + (width - left - right) * (scale(inside) - scale(x_.low)) /
                    (scale(x_.high) - scale(x_.low));
}

double Plot::place_y(double y) const {
  const auto scale = [&](double v) { return y_.logarithmic ? std::log(v) : v; };
  const double inside = std::clamp(y, y_.low, y_.high);
  return height_ * (1 - (scale(inside) - scale(y_.low)) / (scale(y_.high) - scale(y_.low)));
}

void Plot::add_line(const Points& points, const std::string& kind) {
  std::string list;
  for (const auto& [x, y] : points) {
    list += (list.empty() ? "" : " ") + at(place_x(x)) + "," + at(place_y(y));
  }
  marks_ += "<polyline class=\"line " + kind + "\" points=\"" + list + "\"/>\n";
}

void Plot::add_marker(double x, double y, const std::string& kind, const std::string& tip) {
  marks_ += concat("<circle class=\"marker ", kind, "\" cx=\"", at(place_x(x)), "\" cy=\"",
                   at(place_y(y)), "\" r=\"5\"><title>", tip, "</title></circle>\n");
}

void Plot::add_bar(double x0, double x1, double y, const std::string& kind,
                   const std::string& tip) {
  const double from = place_x(x0);
  const double top = place_y(y);
  marks_ += box(from, top, place_x(x1) - from, height_ - top, "area " + kind, tip);
}

void Plot::add_vertical(double x, const std::string& kind) {
  marks_ += line_between(place_x(x), 0, place_x(x), height_, "line " + kind);
}

void Plot::add_horizontal(double y, const std::string& kind) {
  marks_ += line_between(left, place_y(y), width - right, place_y(y), "line " + kind);
}

void Plot::add_legend(const std::string& name, const std::string& kind, bool is_line) {
  entries_.push_back({name, kind, is_line});
}

std::string Plot::axes() const {
  std::string result;
  for (const auto& [value, text] : y_.ticks) {
    const double y = place_y(value);
    result += line_between(left, y, width - right, y, "grid");
    result += text_at(left - 8, y + 4, "end", "tick", text);
  }
  for (const auto& [value, text] : x_.ticks) {
    const double x = place_x(value);
    result += line_between(x, height_, x, height_ + 4, "axis");
    result += text_at(x, height_ + 18, "middle", "tick", text);
  }
  result += line_between(left, height_, width - right, height_, "axis");
  result += text_at((left + width - right) / 2, height_ + 40, "middle", "name", escaped(x_.label));
  result += concat("<text class=\"name\" transform=\"translate(13 ", at(height_ / 2),
                   ") rotate(-90)\" text-anchor=\"middle\">", escaped(y_.label), "</text>\n");
  return result;
}

std::string Plot::legend() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.name);
  const auto places = legend_places(names, left);
  std::string result;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    result += legend_entry(places[i].first, places[i].second, entries_[i].name, entries_[i].kind,
                           entries_[i].is_line);
  }
  return result;
}

std::string Plot::svg() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.name);
  const double top =
      names.empty() ? 10 : legend_places(names, left).back().second + legend_row + 12;
  return opened(title_, width, top + height_ + bottom) + legend() +
         concat("<g transform=\"translate(0 ", at(top), ")\">\n") + axes() + marks_ +
         "</g>\n</svg>\n";
}

std::string heat_map(const std::string& title, const std::vector<std::string>& names,
                     const std::vector<std::vector<double>>& values) {
  constexpr double head = 116;         // of the names above
  constexpr double names_width = 140;  // of those at the left
  constexpr double overhang = 76;      // of the last name above
  const auto count = static_cast<double>(names.size());
  const double cell = std::min(48.0, (width - names_width - overhang) / count);
  const double high = std::min(34.0, cell);
  // where the rows are lower than letters, every so many-th has its name; all have it in a tooltip
  const auto named_every = static_cast<std::size_t>(std::ceil(15 / std::min(high, 0.82 * cell)));
  double low = 1;
  double most = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      low = std::min(low, values[i][j]);
      most = std::max(most, values[i][j]);
    }
  }
  const double span = std::max(most - low, 1e-9);
  std::string svg = opened(title, width, head + high * count + 40);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string name = escaped(shortened(names[i], 19));
    const double y = head + high * static_cast<double>(i);
    const double x = names_width + cell * (static_cast<double>(i) + 0.5);
    if (i % named_every == 0) {
      svg += text_at(names_width - 8, y + high / 2 + 4, "end", "tick", name);
      svg += concat("<text class=\"tick\" transform=\"translate(", at(x), " ", at(head - 8),
                    ") rotate(-55)\">", name, "</text>\n");
    }
    for (std::size_t j = 0; j < names.size(); ++j) {
      if (i == j) continue;
      const double shade = std::clamp((values[i][j] - low) / span, 0.0, 1.0);
      const double left_edge = names_width + cell * static_cast<double>(j);
      svg += concat("<rect class=\"cell\" x=\"", at(left_edge + 1), "\" y=\"", at(y + 1),
                    "\" width=\"", at(cell - 2), "\" height=\"", at(high - 2), "\" fill-opacity=\"",
                    number(0.06 + 0.94 * shade, 2), "\"><title>", escaped(names[i]), " and ",
                    escaped(names[j]), ": ", number(values[i][j], 3), "</title></rect>\n");
      if (cell < 32) continue;
      svg += text_at(left_edge + cell / 2, y + high / 2 + 4, "middle",
                     shade > 0.62 ? "value strong" : "value", number(values[i][j], 2));
    }
  }
  const double foot = head + high * count + 14;
  svg += text_at(names_width - 8, foot + 12, "end", "tick", number(low, 2) + " least alike");
  for (int k = 0; k < 8; ++k) {
    svg += concat("<rect class=\"cell\" x=\"", at(names_width + 20 * k), "\" y=\"", at(foot),
                  "\" width=\"20\" height=\"15\" fill-opacity=\"", number(0.06 + 0.94 * k / 7, 2),
                  "\"/>\n");
  }
  return svg + text_at(names_width + 168, foot + 12, "start", "tick", number(most, 2) + " most") +
         "</svg>\n";
}

std::string stacked_bars(const std::string& title,
                         const std::vector<std::pair<std::string, std::string>>& kinds,
                         const std::vector<StackedBar>& bars) {
  constexpr double names_width = 130;
  constexpr double row = 46;
  std::vector<std::string> names;
  for (const auto& [name, kind] : kinds) names.push_back(name);
  const auto places = legend_places(names, names_width);
  const double head = places.back().second + legend_row + 8;
  std::string svg = opened(title, width, head + row * static_cast<double>(bars.size()));
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    svg += legend_entry(places[k].first, places[k].second, kinds[k].first, kinds[k].second, false);
  }
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = head + row * static_cast<double>(i);
    const double all = std::accumulate(bars[i].parts.begin(), bars[i].parts.end(), 0.0);
    svg += text_at(names_width - 10, y + 21, "end", "tick", escaped(bars[i].name));
    double x = names_width;
    for (std::size_t k = 0; k < kinds.size() && all > 0; ++k) {
      const double share = bars[i].parts[k] / all;
      const double wide = share * (width - names_width - right);
      if (wide <= 0) continue;
      svg += box(x, y, std::max(0.5, wide - 2), 34, "area " + kinds[k].second,
                 escaped(kinds[k].first) + ": " + percent(share));
      if (wide > 46) {
        svg += text_at(x + wide / 2, y + 21, "middle", "value strong", percent(share));
      }
      x += wide;
    }
  }
  return svg + "</svg>\n";
}

}  // namespace operations
