// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Results as a page for a browser: one file, without scripts and without anything to load.

#include <string>
#include <vector>

#include "llama_continual/experiment.hpp"

namespace llama_continual {

/// @throws anyssr::FileError  where it cannot be written
void write_page(const std::string& path, const std::vector<Task>& tasks, const Options& options,
                const Results& results);

}  // namespace llama_continual
