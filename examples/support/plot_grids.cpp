// SPDX-License-Identifier: MIT
#include "support/plot_grids.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "support/html.hpp"
#include "support/messages.hpp"
#include "support/page_text.hpp"
#include "support/plot_marks.hpp"

namespace support {

namespace {

constexpr double full_width = 560;
constexpr double small_width = 340;
constexpr double gap = 2;  // between two cells

std::string shade_of(double share) { return number(0.06 + 0.94 * share, 2); }

/// Lengths of a heat map, in pixels.
struct Layout {
  explicit Layout(const HeatMap& map)
      : width(map.is_small ? small_width : full_width),
        head(map.names_above ? 116 : 22),
        side(map.has_names ? (map.is_small ? 118 : 140) : 40) {
    const auto count = static_cast<double>(std::max<std::size_t>(1, map.names.size()));
    const double overhang = map.names_above ? 76 : 10;  // of the last name above
    cell = std::min(map.is_small ? 34.0 : 48.0, (width - side - overhang) / count);
    high = std::min(34.0, cell);
    foot = head + high * count;
    // where cells are lower than letters, every so many-th has its name; all have it in a tooltip
    const double name = map.names_above ? std::min(high, 0.82 * cell) : high;
    row_every = static_cast<std::size_t>(std::ceil((map.names_above ? 15 : 12) / name));
    const double number = map.names.size() * map.number_step < 100 ? 22 : 34;
    column_every = map.names_above ? row_every : static_cast<std::size_t>(std::ceil(number / cell));
  }
  double width;
  double head;
  double side;
  double cell = 0;
  double high = 0;
  double foot = 0;
  std::size_t row_every = 1;
  std::size_t column_every = 1;
};

std::string row_name(const HeatMap& map, const Layout& layout, std::size_t i) {
  if (i % layout.row_every != 0) return "";
  const double y = layout.head + layout.high * (static_cast<double>(i) + 0.5) + 4;
  std::string name = map.names_above ? "" : std::to_string(i * map.number_step + 1);
  if (map.has_names) {
    const std::size_t letters = map.is_small ? 12 : map.names_above ? 19 : 15;
    name = escaped(shortened(map.names[i], letters)) + (map.names_above ? "" : " ") + name;
  }
  return text_at(layout.side - 8, y, "end", "tick", name);
}

std::string column_name(const HeatMap& map, const Layout& layout, std::size_t j) {
  if (j % layout.column_every != 0) return "";
  const double x = layout.side + layout.cell * (static_cast<double>(j) + 0.5);
  if (!map.names_above) {
    return text_at(x, layout.head - 7, "middle", "tick", std::to_string(j * map.number_step + 1));
  }
  return concat("<text class=\"tick\" transform=\"translate(", at(x), " ", at(layout.head - 8),
                ") rotate(-55)\">", escaped(shortened(map.names[j], 19)), "</text>\n");
}

std::string map_cell(const HeatMap& map, const Layout& layout, std::size_t i, std::size_t j) {
  const std::optional<double> value = map.values[i][j];
  if (!value) return "";
  const double span = std::max(map.high - map.low, 1e-9);
  const double share = std::clamp((*value - map.low) / span, 0.0, 1.0);
  const double shade = map.is_root ? std::sqrt(share) : share;
  const double x = layout.side + layout.cell * static_cast<double>(j);
  const double y = layout.head + layout.high * static_cast<double>(i);
  const double between = layout.cell < 12 ? gap / 4 : gap;
  std::string result =
      concat("<rect class=\"cell\" x=\"", at(x + between / 2), "\" y=\"", at(y + between / 2),
             "\" width=\"", at(layout.cell - between), "\" height=\"", at(layout.high - between),
             "\" fill-opacity=\"", shade_of(shade), "\"");
  if (!map.has_names) return result + "/>\n";
  result += concat("><title>", escaped(map.names[i]), map.between, escaped(map.names[j]), ": ",
                   map.text(*value), map.unit, "</title></rect>\n");
  if (layout.cell < 32) return result;
  return result + text_at(x + layout.cell / 2, y + layout.high / 2 + 4, "middle",
                          shade > 0.62 ? "value strong" : "value", map.text(*value));
}

}  // namespace

std::string colour_scale(double x, double y, const std::string& low_text,
                         const std::string& high_text) {
  std::string svg = text_at(x - 8, y + 12, "end", "tick", low_text);
  for (int k = 0; k < 8; ++k) {
    svg += concat("<rect class=\"cell\" x=\"", at(x + 20 * k), "\" y=\"", at(y),
                  "\" width=\"20\" height=\"15\" fill-opacity=\"", shade_of(k / 7.0), "\"/>\n");
  }
  return svg + text_at(x + 168, y + 12, "start", "tick", high_text);
}

std::string heat_map(const HeatMap& map) {
  const Layout layout(map);
  const bool has_scale = !map.low_text.empty();
  std::string svg = opened(map.title, layout.width, layout.foot + (has_scale ? 40 : 4),
                           map.is_small ? "small" : "");
  for (std::size_t i = 0; i < map.names.size(); ++i) {
    svg += row_name(map, layout, i) + column_name(map, layout, i);
    for (std::size_t j = 0; j < map.names.size(); ++j) svg += map_cell(map, layout, i, j);
  }
  if (has_scale) {
    svg +=
        colour_scale(std::max(140.0, layout.side), layout.foot + 14, map.low_text, map.high_text);
  }
  return svg + "</svg>\n";
}

std::string stacked_bars(const std::string& title,
                         const std::vector<std::pair<std::string, std::string>>& kinds,
                         const std::vector<StackedBar>& bars) {
  constexpr double names_width = 130;
  constexpr double row = 46;
  constexpr double right = 30;
  std::vector<std::string> names;
  for (const auto& [name, kind] : kinds) names.push_back(name);
  const auto places = legend_places(names, names_width, full_width);
  const double head = places.back().second + legend_row + 8;
  std::string svg = opened(title, full_width, head + row * static_cast<double>(bars.size()));
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
      const double wide = share * (full_width - names_width - right);
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

std::string bar_chart(const std::string& title, const std::vector<Bar>& bars) {
  constexpr double names_width = 130;
  constexpr double texts_width = 60;
  constexpr double row = 20;
  double most = 0;
  for (const Bar& bar : bars) most = std::max(most, bar.value);
  std::string svg = opened(title, small_width, row * static_cast<double>(bars.size()) + 4, "small");
  svg += line_between(names_width, 0, names_width, row * static_cast<double>(bars.size()), "axis");
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = row * static_cast<double>(i);
    const double wide =
        most > 0 ? bars[i].value / most * (small_width - names_width - texts_width) : 0;
    svg += text_at(names_width - 8, y + 14, "end", "tick", escaped(shortened(bars[i].name, 18)));
    svg += box(names_width, y + 3, wide, row - 6, "area " + bars[i].kind,
               escaped(bars[i].name) + ": " + bars[i].text);
    svg += text_at(names_width + wide + 5, y + 14, "start", "value", bars[i].text);
  }
  return svg + "</svg>\n";
}

}  // namespace support
