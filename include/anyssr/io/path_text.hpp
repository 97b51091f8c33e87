// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A path as messages show it: on one line. Error writes out other controls itself, but keeps line
/// ends, since a message may list several faults.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

[[nodiscard]] inline std::string path_text(const std::filesystem::path& path) {
  constexpr std::string_view escaped = "\\x0A";
  std::string text = path.string();
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += escaped.size()) {
    text.replace(at, 1, escaped);
  }
  return text;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
