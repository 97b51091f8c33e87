// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The frame of a report for a browser: one HTML file with its style sheet, light and dark, on a
/// screen of any width and on paper, without scripts and without anything to load. What is given
/// here is markup already: texts from files go through `escaped`.

#include <string>
#include <string_view>
#include <vector>

namespace support {

/// The whole file.
[[nodiscard]] std::string page_of(const std::string& title, const std::string& body);

/// The part of the style sheet that a chart needs.
[[nodiscard]] std::string chart_style();

/// A number, to the right.
[[nodiscard]] std::string cell(const std::string& text);
/// A text of a file, escaped; long names may break after `_` and `/`.
[[nodiscard]] std::string text_cell(std::string_view text);
/// @param names  the first `texts` stand to the left, the others to the right
[[nodiscard]] std::string heading(const std::vector<std::string>& names, std::size_t texts = 1);
/// Scrolls sideways where it is wider than the page.
[[nodiscard]] std::string table(const std::string& rows);
/// A chart that scrolls sideways before its letters become too small to read.
[[nodiscard]] std::string chart(const std::string& svg);

/// A section in a box.
/// @param what  one or two sentences: what is shown, and how to read it
/// @param kind  "card", or "card wide" for the full width of the grid
[[nodiscard]] std::string card(const std::string& title, const std::string& what,
                               const std::string& body, const char* kind = "card");
/// A figure in large letters, and what it says.
[[nodiscard]] std::string headline(const std::string& figure, const std::string& words);

}  // namespace support
