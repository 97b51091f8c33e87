// SPDX-License-Identifier: MIT
#include "support/plot_marks.hpp"

#include "support/html.hpp"
#include "support/messages.hpp"
#include "support/page_shell.hpp"
#include "support/page_text.hpp"

namespace support {

namespace {

constexpr double letter = 6.6;  // of the legend, in pixels: an upper estimate of the mean

}  // namespace

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

std::string opened(const std::string& title, double w, double h, const std::string& kind) {
  return concat("<svg viewBox=\"0 0 ", at(w), " ", at(h), "\" role=\"img\"",
                kind.empty() ? "" : " class=\"" + kind + "\"", " aria-label=\"", escaped(title),
                "\">\n");
}

std::vector<std::pair<double, double>> legend_places(const std::vector<std::string>& names,
                                                     double from, double width) {
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

std::string svg_document(const std::string& svg, double width, double height) {
  const std::string tag = "<svg ";
  const std::size_t start = svg.find(tag) + tag.size();
  const std::size_t end = svg.find(">\n", start) + 2;
  return concat("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", at(width), "\" height=\"",
                at(height), "\" ", svg.substr(start, end - start), "<style>", chart_style(),
                "svg { font-family: system-ui, -apple-system, \"Segoe UI\", sans-serif; max-width: "
                "none; margin: 0; }\n.ground { fill: var(--card); }\n</style>\n",
                box(0, 0, width, height, "ground", ""), svg.substr(end));
}

}  // namespace support
