// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Catch2 2 and 3 under one name: they differ here and nowhere else.

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <string>
#include <string_view>

namespace anyssr::test {

/// The message of the E that `action` throws; "nothing was thrown" where it does not.
template <class E, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace anyssr::test
