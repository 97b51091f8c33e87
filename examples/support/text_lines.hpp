// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Texts from a file of JSON lines {"text": ...}; other members are ignored.

#include <anyssr/core/error.hpp>
#include <string>
#include <vector>

#include "support/json_lines.hpp"

namespace support {

/// @throws anyssr::FormatError  a file without lines; all lines that are no object with a string
///         "text"
[[nodiscard]] inline std::vector<std::string> read_text_lines(const std::string& path) {
  std::vector<std::string> texts;
  Findings faults;
  read_json_lines(path, faults, [&](const Json& value, const std::string& place) {
    const auto text = value.is_object() ? value.find("text") : value.end();
    if (!value.is_object() || text == value.end() || !text->is_string()) {
      throw anyssr::FormatError(place + R"(: is no object with a string "text")");
    }
    texts.push_back(text->get<std::string>());
  });
  faults.throw_if_any();
  if (texts.empty()) {
    throw anyssr::FormatError(shown(path) +
                              R"(: holds no line, expected at least one {"text": ...})");
  }
  return texts;
}

}  // namespace support
