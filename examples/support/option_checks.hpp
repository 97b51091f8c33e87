// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What every option's value must be. CLI11 alone takes an empty value, gives back the largest
/// number for one that does not fit, and reads 010 as 8 and 0x10 as 16.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// The value that CLI11 could not convert. Every value has passed value_problem, so it is a whole
/// number that does not fit in the variable behind its option, an int.
/// @param error  what CLI11 says
/// @return a message; empty: the error is another one
[[nodiscard]] inline std::string find_narrow_value(const CLI::App& app, const std::string& error) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->results().empty()) continue;
    const std::string name = option->get_name();
    if (!error.starts_with("Could not convert: " + name + " = ")) continue;
    return name + ": is " + option->results().back() +
           ", expected a whole number between -2^31 and 2^31, in digits";
  }
  for (const CLI::App* command : app.get_subcommands({})) {
    const std::string found = find_narrow_value(*command, error);
    if (!found.empty()) return found;
  }
  return {};
}

/// Names that the library has for what an option sets, where they are not alike: {"dim",
/// "--width"}.
using OptionNames = std::vector<std::pair<std::string, std::string>>;

/// A message of the library with the option in the place of the library's name: "rank is 0" is
/// "--rank is 0" to somebody who typed that.
[[nodiscard]] inline std::string in_options(const CLI::App& app, const OptionNames& names,
                                            const std::string& message) {
  const std::size_t end = message.find(" is ");
  if (end == std::string::npos) return message;
  const std::string name = message.substr(0, end);
  for (const auto& [library, option] : names) {
    if (name == library) return option + message.substr(end);
  }
  std::string option = "--" + name;
  std::ranges::replace(option, '_', '-');
  return app.get_option_no_throw(option) == nullptr ? message : option + message.substr(end);
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
    const bool is_flag = option != nullptr && option->get_items_expected_max() == 0;
    if (is_flag && argument.find('=') != std::string_view::npos) {
      return option->get_name() + ": takes no value, expected " + option->get_name() + " alone";
    }
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
