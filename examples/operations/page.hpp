// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Results as a page for a browser: one file, light and dark, without scripts and without anything
/// to load.

#include <string>

#include "operations/experiment.hpp"

namespace operations {

/// @throws anyssr::FileError  where it cannot be written
void write_page(const std::string& path, const Options& options, const Results& results);

}  // namespace operations
