// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Where the warnings of the library go in a program.

#include <cstdio>
#include <string>

namespace support {

/// On a line of standard error; a WarningSink.
inline void print_warning(const std::string& message) {
  std::fprintf(stderr, "warning: %s\n", message.c_str());
}

}  // namespace support
