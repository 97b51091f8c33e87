// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What to_string and the parsers of enumerations share. Every public enumeration has
/// `to_string(value)` in its own header, a switch over all enumerators, which gives the word of
/// files, messages and command lines, and throws for any other value. Enumerators count from 0, but
/// for those whose values are part of a format; these specialise nothing here.

#include <optional>
#include <string>
#include <string_view>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// The last enumerator: each enumeration specialises it.
template <class Enum>
extern const Enum last_enumerator;

/// Calls f(value) for every enumerator, in order.
template <class Enum, class F>
constexpr void for_each_enumerator(const F& f) {
  for (int k = 0; k <= static_cast<int>(last_enumerator<Enum>); ++k) f(static_cast<Enum>(k));
}

/// "none, own, complement"
template <class Enum>
[[nodiscard]] std::string enumerator_list() {
  std::string list;
  for_each_enumerator<Enum>([&](Enum value) {
    if (!list.empty()) list += ", ";
    list += to_string(value);
  });
  return list;
}

template <class Enum>
[[noreturn]] void raise_no_enumerator(std::string_view what, Enum value) {
  raise<ArgumentError>(what, " is '", static_cast<int>(value), "', expected one of ",
                       enumerator_list<Enum>());
}

/// The enumerator of that name.
template <class Enum>
[[nodiscard]] std::optional<Enum> find_enumerator(std::string_view name) {
  std::optional<Enum> found;
  for_each_enumerator<Enum>([&](Enum value) {
    if (to_string(value) == name) found = value;
  });
  return found;
}

/// @param what  how a message names it
/// @throws ArgumentError  which lists the known names
template <class Enum>
[[nodiscard]] Enum parse_enumerator(std::string_view what, std::string_view name) {
  const std::optional<Enum> found = find_enumerator<Enum>(name);
  if (!found) {
    raise<ArgumentError>(what, " is '", name, "', expected one of ", enumerator_list<Enum>());
  }
  return *found;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
