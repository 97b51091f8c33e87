// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Bytes as text: two digits of 0-9a-f each, the upper half first.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI {

[[nodiscard]] inline std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text += digits[std::to_integer<std::size_t>(byte >> 4U)];
    text += digits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

}  // namespace anyssr::inline ANYSSR_ABI
