// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Where the warnings of the library go in a program.

#include <cstdio>
#include <string>

#include "support/shown.hpp"

namespace support {

/// On a line of standard error, whatever the names in it are; a WarningSink.
inline void print_warning(const std::string& message) {
  std::fprintf(stderr, "warning: %s\n", shown(message).c_str());
}

}  // namespace support
