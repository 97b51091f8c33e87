// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Results for a person and for a program.

#include <string>

#include "departments/experiment.hpp"

namespace departments {

/// Prints tables to standard output.
void print_report(const Questions& questions, const Results& results);

/// Writes all figures as JSON; the file appears whole or not at all.
/// @throws anyssr::FormatError  where it cannot be written
void write_json(const std::string& path, const Questions& questions, const Options& options,
                const Results& results);

}  // namespace departments
