// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Text and numbers as they stand on a page.

#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace operations {

/// Nothing in it is markup any more, and control characters are blanks.
/// @param lines  whether ends of lines stay
inline std::string escaped(std::string_view text, bool lines = false) {
  constexpr std::array<std::pair<char, const char*>, 5> entities{
      {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}}};
  std::string result;
  for (const char c : text) {
    const char* entity = nullptr;
    for (const auto& [plain, name] : entities) entity = c == plain ? name : entity;
    if (entity != nullptr) {
      result += entity;
    } else {
      result += static_cast<unsigned char>(c) < 0x20 && !(lines && c == '\n') ? ' ' : c;
    }
  }
  return result;
}

inline std::string number(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  const std::string_view found(text.data());
  const bool is_zero = found.find_first_not_of("-0.") == std::string_view::npos;
  return std::string(found.substr(is_zero && found.starts_with('-') ? 1 : 0));
}

/// "97.3&nbsp;%"
inline std::string percent(double share, int digits = 1) {
  return number(100 * share, digits) + "&nbsp;%";
}

/// "12 345", with narrow blanks.
inline std::string grouped(std::size_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, "&#8239;");
  }
  return text;
}

/// At most so many code points, the last an ellipsis where some are left out.
inline std::string shortened(std::string_view text, std::size_t most) {
  std::size_t points = 0;
  std::size_t cut = 0;  // where the point `most` begins
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80) continue;
    if (++points == most) cut = i;
  }
  return points <= most ? std::string(text) : std::string(text.substr(0, cut)) + "\xE2\x80\xA6";
}

}  // namespace operations
