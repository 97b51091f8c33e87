// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Numbers as text for people: the same digits whatever the program's locale, which may group them
/// or write a comma for the point.

#include <cstddef>
#include <iterator>
#include <string>
#include <utility>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// "0.0123", "4.5e-08": at most `digits` significant digits.
[[nodiscard]] inline std::string number_text(double number, int digits = 3) {
  std::ostringstream text = detail::text_stream();
  text.precision(digits);
  text << number;
  return std::move(text).str();
}

/// "1234.50": `decimals` digits after the point.
[[nodiscard]] inline std::string fixed_text(double number, int decimals = 2) {
  std::ostringstream text = detail::text_stream();
  text << std::fixed;
  text.precision(decimals);
  text << number;
  return std::move(text).str();
}

/// "734 MB": three digits in steps of 1000.
[[nodiscard]] inline std::string bytes_text(double bytes) {
  constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(units)) {
    bytes /= 1000;
    ++unit;
  }
  return number_text(bytes, bytes >= 999.5 ? 6 : 3) + " " + units[unit];
}

}  // namespace anyssr::inline ANYSSR_ABI
