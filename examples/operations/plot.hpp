// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Charts as inline SVG: a plot with two axes, drawn in the colours of the page's style sheet. What
/// is drawn is cut off at the axes; names stand in a legend above and never on the marks.

#include <string>
#include <utility>
#include <vector>

namespace operations {

struct Axis {
  std::string label;  ///< with its unit
  double low = 0;
  double high = 1;
  std::vector<std::pair<double, std::string>> ticks;  ///< place and text
  bool logarithmic = false;                           ///< then low > 0
};

/// Ticks at low, low + step, ... up to high: "50 %" is value * scale and the unit.
[[nodiscard]] Axis even_axis(const std::string& label, double low, double high, double step,
                             int digits = 0, double scale = 1, const std::string& unit = "");

/// From 0 to a round number at or above `most`, in about five steps, as per cent.
[[nodiscard]] Axis percent_axis(const std::string& label, double most);

class Plot {
 public:
  using Points = std::vector<std::pair<double, double>>;

  /// @param title  what a screen reader says of it
  Plot(std::string title, Axis x, Axis y, double height = 300);

  /// @param kind  class of the style sheet: s1, s2, ... with `dashed` or `faint` beside
  void add_line(const Points& points, const std::string& kind);
  void add_marker(double x, double y, const std::string& kind, const std::string& tip);
  void add_bar(double x0, double x1, double y, const std::string& kind, const std::string& tip);
  /// A line over the whole plot.
  void add_vertical(double x, const std::string& kind);
  void add_horizontal(double y, const std::string& kind);
  /// @param is_line  a line, else a box
  void add_legend(const std::string& name, const std::string& kind, bool is_line);

  [[nodiscard]] std::string svg() const;

 private:
  [[nodiscard]] double place_x(double x) const;
  [[nodiscard]] double place_y(double y) const;
  [[nodiscard]] std::string axes() const;
  [[nodiscard]] std::string legend() const;

  struct Entry {
    std::string name;
    std::string kind;
    bool is_line;
  };
  std::string title_;
  Axis x_;
  Axis y_;
  double height_;
  std::string marks_;
  std::vector<Entry> entries_;
};

/// Cells from 0 (no colour) to 1, a row and a column a name; the diagonal stays empty.
/// @param values  names x names
[[nodiscard]] std::string heat_map(const std::string& title, const std::vector<std::string>& names,
                                   const std::vector<std::vector<double>>& values);

/// A bar of parts that add up to the whole.
struct StackedBar {
  std::string name;
  std::vector<double> parts;  ///< one a kind
};
/// @param kinds  name and class of each part
[[nodiscard]] std::string stacked_bars(
    const std::string& title, const std::vector<std::pair<std::string, std::string>>& kinds,
    const std::vector<StackedBar>& bars);

}  // namespace operations
