// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Results for a person at a terminal and for a program.

#include <string>

#include "operations/experiment.hpp"

namespace operations {

/// Prints tables to standard output.
void print_report(const Results& results);

/// Writes all figures as JSON; the file appears whole or not at all.
/// @throws anyssr::FileError  where it cannot be written
void write_json(const std::string& path, const Options& options, const Results& results);

/// What the inspector has to say of drift, in a sentence.
[[nodiscard]] std::string drift_sentence(const Results& results);

}  // namespace operations
