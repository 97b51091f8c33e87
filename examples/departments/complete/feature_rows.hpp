// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Features of `--features`: rows that another program computed, found again by their texts.

#include <anyssr/backbone/any_backbone.hpp>
#include <string>

#include "departments/questions.hpp"

namespace departments {

/// @param path       a file with one row per row of the data, or a folder with one for each split
/// @param questions  those of no department are left out, with a warning, where the folder has no
///                   file for them
/// @return answers the texts of the data alone
/// @throws anyssr::FileError, anyssr::FormatError  what cannot be read, or is of other data
[[nodiscard]] anyssr::AnyBackbone<float> read_feature_rows(const std::string& path,
                                                           Questions& questions);

}  // namespace departments
