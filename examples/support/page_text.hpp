// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Numbers and names as they stand on a page.

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

#include "support/shown.hpp"

namespace support {

/// "0.12" with so many digits after the point; a zero has no minus.
[[nodiscard]] inline std::string number(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  const std::string_view found(text.data());
  const bool is_zero = found.find_first_not_of("-0.") == std::string_view::npos;
  return std::string(found.substr(is_zero && found.starts_with('-') ? 1 : 0));
}

/// "97.3&nbsp;%"
[[nodiscard]] inline std::string percent(double share, int digits = 1) {
  return number(100 * share, digits) + "&nbsp;%";
}

/// "12 345", with narrow blanks.
[[nodiscard]] inline std::string grouped(std::size_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, "&#8239;");
  }
  return text;
}

/// At most so many columns, the last an ellipsis where something is left out.
[[nodiscard]] inline std::string shortened(std::string_view text, std::size_t most) {
  if (cut(text, most) == text) return std::string(text);
  return cut(text, most - 1) + "\xE2\x80\xA6";
}

}  // namespace support
