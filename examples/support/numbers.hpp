// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Numbers as people write them, read strictly.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <locale>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

namespace support {

/// A decimal number: "0.5", "-1e-3". Nothing where the text is not one, or it does not fit: too
/// large, or not 0 and too small.
[[nodiscard]] inline std::optional<double> parse_decimal(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::string_view left = text;
  const auto skip_digits = [&] {
    const auto end = std::find_if_not(left.begin(), left.end(), is_digit);
    const auto count = static_cast<std::size_t>(end - left.begin());
    left.remove_prefix(count);
    return count;
  };
  const auto skip_sign = [&] {
    if (left.starts_with('-') || left.starts_with('+')) left.remove_prefix(1);
  };
  skip_sign();
  std::size_t digits = skip_digits();
  if (left.starts_with('.')) {
    left.remove_prefix(1);
    digits += skip_digits();
  }
  if (digits == 0) return std::nullopt;
  const std::string_view mantissa = text.substr(0, text.size() - left.size());
  if (left.starts_with('e') || left.starts_with('E')) {
    left.remove_prefix(1);
    skip_sign();
    if (skip_digits() == 0) return std::nullopt;
  }
  if (!left.empty()) return std::nullopt;
  std::istringstream stream{std::string(text)};
  stream.imbue(std::locale::classic());
  double value = 0;
  const bool is_zero = mantissa.find_first_of("123456789") == std::string_view::npos;
  if (!(stream >> value) || !std::isfinite(value) || (value == 0 && !is_zero)) return std::nullopt;
  return value;
}

/// A whole number, digits alone with at most a minus before them: no hexadecimal, no 010.
template <class Int>
[[nodiscard]] std::optional<Int> parse_whole(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.size() > 1 && digits.starts_with('0')) return std::nullopt;
  Int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace support
