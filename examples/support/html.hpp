// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Text from files as it stands on a page.

#include <string>
#include <string_view>

#include "support/shown.hpp"

namespace support {

/// Nothing in it is markup any more, and what could pose as other text is escaped as on a terminal.
/// @param lines  whether ends of lines stay
[[nodiscard]] inline std::string escaped(std::string_view text, bool lines = false) {
  std::string result;
  const auto add = [&](std::string_view line) {
    for (const char c : shown(line)) {
      switch (c) {
        case '&':
          result += "&amp;";
          break;
        case '<':
          result += "&lt;";
          break;
        case '>':
          result += "&gt;";
          break;
        case '"':
          result += "&quot;";
          break;
        case '\'':
          result += "&#39;";
          break;
        default:
          result += c;
      }
    }
  };
  for (std::size_t end = 0; lines && (end = text.find('\n')) != std::string_view::npos;) {
    add(text.substr(0, end));
    result += '\n';
    text.remove_prefix(end + 1);
  }
  add(text);
  return result;
}

}  // namespace support
