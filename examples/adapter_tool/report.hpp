// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a command found, for a person and for a program.

#include <string>

#include "adapter_tool/commands.hpp"

namespace adapter_tool {

/// Prints a table to standard output.
void print(const Listing& listing);
void print(const Inspection& inspection);
void print(const Conversion& conversion);
void print(const Merge& merge);
void print(const Comparison& comparison);
void print(const Verification& verification);
void print(const LogVerification& verification);

anyssr::Json to_json(const Listing& listing);
anyssr::Json to_json(const Inspection& inspection);
anyssr::Json to_json(const Conversion& conversion);
anyssr::Json to_json(const Merge& merge);
anyssr::Json to_json(const Comparison& comparison);
anyssr::Json to_json(const Verification& verification);
anyssr::Json to_json(const LogVerification& verification);

/// To a file, which appears whole or not at all; "-": to standard output.
/// @throws anyssr::FileError
void write_json(const std::string& path, const anyssr::Json& json);

/// The table; with a path the JSON too, and with "-" the JSON alone.
template <class Result>
void report(const Result& result, const std::string& json_path) {
  if (json_path != "-") print(result);
  if (!json_path.empty()) write_json(json_path, to_json(result));
}

}  // namespace adapter_tool
