// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Charts without axes, as inline SVG: heat maps and bars.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// A cell per row and column, the darker the larger.
struct HeatMap {
  std::string title = {};               ///< what a screen reader says of it
  std::vector<std::string> names = {};  ///< of rows and columns alike
  /// names x names; none: an empty cell
  std::vector<std::vector<std::optional<double>>> values = {};
  double low = 0;            ///< what has no colour
  double high = 1;           ///< what has all of it
  bool is_root = false;      ///< shades go by the square root, so that small shares show
  std::string between = {};  ///< "row" between "column" ": " text, in a tooltip
  /// A value in a tooltip and, where it fits, in its cell.
  std::function<std::string(double)> text = {};
  std::string unit = {};        ///< after it in the tooltip
  bool names_above = true;      ///< else numbers stand there, and before the names
  bool has_names = true;        ///< at the left; else numbers
  std::size_t number_step = 1;  ///< from one number to the next
  bool is_small = false;        ///< one of several side by side
  std::string low_text = {};    ///< of the scale below; "": none
  std::string high_text = {};
};

/// Where rows are lower than letters, some only have their name; without names, no tooltips either.
[[nodiscard]] std::string heat_map(const HeatMap& map);

/// A strip from no colour to all of it.
[[nodiscard]] std::string colour_scale(double x, double y, const std::string& low_text,
                                       const std::string& high_text);

/// A bar of parts that add up to the whole.
struct StackedBar {
  std::string name;
  std::vector<double> parts;  ///< one a kind
};
/// @param kinds  name and class of each part
[[nodiscard]] std::string stacked_bars(
    const std::string& title, const std::vector<std::pair<std::string, std::string>>& kinds,
    const std::vector<StackedBar>& bars);

struct Bar {
  std::string name;
  double value = 0;  ///< 0 or more
  std::string text;  ///< beside the bar, as markup
  std::string kind;  ///< class of the style sheet
};
/// Bars to the right, all on one scale from 0.
[[nodiscard]] std::string bar_chart(const std::string& title, const std::vector<Bar>& bars);

}  // namespace support
