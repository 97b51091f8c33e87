// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The marks that charts are made of, as SVG. Texts are markup already; classes are those of the
/// style sheet.

#include <string>
#include <utility>
#include <vector>

namespace support {

/// A length in pixels as SVG writes it.
[[nodiscard]] std::string at(double value);

[[nodiscard]] std::string text_at(double x, double y, const std::string& anchor,
                                  const std::string& kind, const std::string& text);
[[nodiscard]] std::string line_between(double x0, double y0, double x1, double y1,
                                       const std::string& kind);
/// @param tip  shown while the pointer is on it; "": none
[[nodiscard]] std::string box(double x, double y, double w, double h, const std::string& kind,
                              const std::string& tip);

/// The tag that opens a chart.
/// @param title  what a screen reader says of it, not escaped
/// @param kind   class of the whole; "": none
[[nodiscard]] std::string opened(const std::string& title, double w, double h,
                                 const std::string& kind = "");

constexpr double legend_row = 22;

/// Places of a row of legend entries, broken where it is full.
[[nodiscard]] std::vector<std::pair<double, double>> legend_places(
    const std::vector<std::string>& names, double from, double width);
[[nodiscard]] std::string legend_entry(double x, double y, const std::string& name,
                                       const std::string& kind, bool is_line);

/// The same chart as a file of its own: with its style sheet, its name space and a ground.
[[nodiscard]] std::string svg_document(const std::string& svg, double width, double height);

}  // namespace support
