// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Lists in the value of an option.

#include <sstream>
#include <string>
#include <vector>

namespace support {

/// What stands between commas; nothing of what is empty.
[[nodiscard]] inline std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

}  // namespace support
