// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What every option's value must be. CLI11 alone takes an empty value, gives back the largest
/// number for one that does not fit, and reads 010 as 8 and 0x10 as 16.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "support/numbers.hpp"

namespace support {

/// What is wrong with the value of an option; empty: nothing.
/// @param type  as CLI11 names it: UINT, INT, FLOAT, TEXT
[[nodiscard]] inline std::string value_problem(const std::string& type, const std::string& value) {
  if (value.empty()) return "is empty, expected a value: is a variable of a script not set?";
  const auto problem = [&](const char* expected) {
    return "is " + value + ", expected " + std::string(expected);
  };
  if (type.starts_with("UINT")) {
    if (value.starts_with('-')) return problem("0 or more");
    if (!parse_whole<std::uint64_t>(value)) return problem("a whole number below 2^64, in digits");
  } else if (type.starts_with("INT")) {
    if (!parse_whole<std::int64_t>(value)) {
      return problem("a whole number between -2^63 and 2^63, in digits");
    }
  } else if (type.starts_with("FLOAT")) {
    if (!parse_decimal(value)) return problem("a decimal number that a double can hold");
  }
  return {};
}

/// Gives every option of an application and of its commands the check of its value.
inline void check_values(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    const std::string type = option->get_type_name();
    option->check(CLI::Validator(
        [type](const std::string& value) { return value_problem(type, value); }, ""));
  }
  for (CLI::App* command : app.get_subcommands({})) check_values(*command);
}

/// The option of an application, or of one of its commands, that an argument names, with or without
/// a value: "--json", "--json=out"; null where it names none.
[[nodiscard]] inline const CLI::Option* find_option(const CLI::App& app,
                                                    std::string_view argument) {
  if (!argument.starts_with('-')) return nullptr;
  const std::string name(argument.substr(0, argument.find('=')));
  if (const CLI::Option* option = app.get_option_no_throw(name)) return option;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (const CLI::Option* option = find_option(*command, argument)) return option;
  }
  return nullptr;
}

/// What CLI11 would misunderstand where a variable of a script is empty: of `--state=` it takes the
/// next argument for the value, and of `--state --quiet` the next option.
/// @return a message; empty: nothing
[[nodiscard]] inline std::string find_lost_value(const CLI::App& app, int argc,
                                                 const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") break;
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      return std::string(argument.substr(0, argument.size() - 1)) + ": " +
             value_problem("TEXT", "");
    }
    const CLI::Option* option = find_option(app, argument);
    const bool takes_next = option != nullptr && option->get_items_expected_max() > 0 &&
                            argument.find('=') == std::string_view::npos;
    if (!takes_next || ++i == argc) continue;
    if (find_option(app, argv[i]) == nullptr) continue;
    return std::string(argument) + ": is " + argv[i] +
           ", another option: is a variable of a script not set?";
  }
  return {};
}

}  // namespace support
