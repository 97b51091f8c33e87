// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Results for a person at a terminal and for a program.

#include <string>
#include <vector>

#include "llama_continual/experiment.hpp"

namespace llama_continual {

/// Prints tables to standard output.
void print_report(const std::vector<Task>& tasks, const Results& results);

/// Writes all figures as JSON; the file appears whole or not at all.
/// @throws anyssr::FileError  where it cannot be written
void write_figures(const std::string& path, const std::vector<Task>& tasks, const Options& options,
                   const Results& results);

}  // namespace llama_continual
