// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Messages that are put together from parts.

#include <anyssr/core/error.hpp>
#include <locale>
#include <sstream>
#include <string>
#include <utility>

namespace support {

/// The parts as a stream writes them, numbers alike under every locale.
template <class... Parts>
[[nodiscard]] std::string concat(const Parts&... parts) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  (text << ... << parts);
  return std::move(text).str();
}

/// @throws E  with the parts as its message, where `holds` is false
template <class E = anyssr::ArgumentError, class... Parts>
void expect(bool holds, const Parts&... parts) {
  if (!holds) throw E(concat(parts...));
}

/// @throws anyssr::ArgumentError  for a value of an option that is not between two others, or NaN
template <class Number>
void expect_within(const char* option, Number value, Number least, Number most) {
  expect(value >= least && value <= most, option, " is ", value, ", expected ", least, " to ",
         most);
}

}  // namespace support
