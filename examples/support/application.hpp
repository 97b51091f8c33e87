// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How an application begins and ends.

#include <CLI/CLI.hpp>
#include <anyssr/core/error.hpp>
#include <anyssr/core/version.hpp>
#include <iostream>
#include <new>
#include <string>

namespace support {

/// What every application's command line has: the last of two equal options counts.
inline void prepare(CLI::App& app) {
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_version_flag("--version", ANYSSR_VERSION_STRING);
}

/// CLI11 reads -1 as the largest number where none below 0 can be meant.
inline void refuse_negative_counts(CLI::App& app) {
  const CLI::Validator not_negative(
      [](const std::string& value) {
        return value.starts_with('-') ? "is " + value + ", expected 0 or more" : std::string();
      },
      "");
  for (CLI::Option* option : app.get_options()) {
    if (option->get_type_name() == "UINT") option->check(not_negative);
  }
}

/// Reads the command line and calls run().
/// @param memory_hint  what to try where memory runs out
/// @return exit status: 0; 2 for a bad command line, file or request; 1 where memory runs out
template <class Run>
int run_application(CLI::App& app, int argc, char** argv, const char* memory_hint, const Run& run) {
  refuse_negative_counts(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    run();
  } catch (const anyssr::Error& error) {
    std::cerr << app.get_name() << ": " << error.what() << "\n";
    return 2;
  } catch (const std::bad_alloc&) {
    std::cerr << app.get_name() << ": out of memory: " << memory_hint << "\n";
    return 1;
  }
  return 0;
}

}  // namespace support
