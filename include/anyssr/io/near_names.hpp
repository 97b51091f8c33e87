// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Names inside messages: the few of a list that are nearest to one that is not in it, by the
/// characters that would have to be put in, taken out or changed (Levenshtein's distance), and the
/// first few of a list that may be long.

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/io/guarded_json.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// Cost: from.size() times to.size().
[[nodiscard]] inline std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t changed = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

/// "a", "b", "c" and 7 more
[[nodiscard]] inline std::string some_names(std::span<const std::string> names,
                                            std::size_t most = 5) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i) {
    text += (i == 0 ? "" : ", ") + in_quotes(names[i]);
  }
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

/// The three names that are nearest to `wanted`, in quotes.
[[nodiscard]] inline std::string near_names(std::string_view wanted,
                                            std::span<const std::string> names) {
  constexpr std::size_t most = 3;
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const std::string& name : names) ranked.emplace_back(edit_distance(wanted, name), name);
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> nearest;
  for (std::size_t i = 0; i < std::min(most, ranked.size()); ++i) {
    nearest.push_back(ranked[i].second);
  }
  return some_names(nearest);
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
