// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Charts as inline SVG: a plot with two axes, drawn in the colours of the page's style sheet. What
/// is drawn is cut off at the axes; names stand in a legend above or beside the ends of the lines,
/// never on the marks.

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace support {

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

/// From a round number at or below `least` to one at or above `most`, in four to eight steps of 1,
/// 2 or 5 times a power of ten.
/// @param text  what a tick says, as markup
[[nodiscard]] Axis round_axis(const std::string& label, double least, double most,
                              const std::function<std::string(double)>& text);

/// 1, 2, ... up to `count`, with a tick at about ten of them.
[[nodiscard]] Axis count_axis(const std::string& label, std::size_t count);

struct PlotShape {
  double width = 560;   ///< of the chart, in pixels where it is not scaled
  double height = 300;  ///< between the axes
  double right = 30;    ///< margin: wider for names at the ends of lines
};

class Plot {
 public:
  using Points = std::vector<std::pair<double, double>>;

  /// @param title  what a screen reader says of it
  Plot(std::string title, Axis x, Axis y, const PlotShape& shape = {});

  /// A line of large letters above all else.
  void add_heading(const std::string& text);
  /// @param kind  class of the style sheet: s1, s2, ... with `dashed` or `faint` beside
  void add_line(const Points& points, const std::string& kind);
  /// The area between two lines with the same x.
  void add_band(const Points& low, const Points& high, const std::string& kind);
  /// @param tip  markup; shown while the pointer is on it
  void add_marker(double x, double y, const std::string& kind, const std::string& tip,
                  double radius = 5);
  void add_bar(double x0, double x1, double y, const std::string& kind, const std::string& tip);
  /// A line over the whole plot.
  void add_vertical(double x, const std::string& kind);
  void add_horizontal(double y, const std::string& kind);
  /// A name to the right of the plot with a piece of its line, moved up or down where another one
  /// is in the way.
  void add_end_label(double y, const std::string& name, const std::string& kind);
  /// @param is_line  a line, else a box
  void add_legend(const std::string& name, const std::string& kind, bool is_line);

  [[nodiscard]] std::string svg() const;
  /// Height of the whole chart in pixels where it is not scaled.
  [[nodiscard]] double total_height() const;

 private:
  [[nodiscard]] double place_x(double x) const;
  [[nodiscard]] double place_y(double y) const;
  [[nodiscard]] std::string listed(const Points& points) const;
  [[nodiscard]] double top() const;
  [[nodiscard]] std::string axes() const;
  [[nodiscard]] std::string legend() const;
  [[nodiscard]] std::string end_labels() const;
  [[nodiscard]] std::vector<std::pair<double, double>> places_of_legend() const;

  struct Entry {
    std::string name;
    std::string kind;
    bool is_line;
  };
  struct Label {
    double y;  // wanted, in pixels
    std::string name;
    std::string kind;
  };
  std::string title_;
  Axis x_;
  Axis y_;
  PlotShape shape_;
  std::vector<std::string> headings_;
  std::string marks_;
  std::vector<Entry> entries_;
  std::vector<Label> ends_;
};

}  // namespace support
