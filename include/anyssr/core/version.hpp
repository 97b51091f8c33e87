// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The version of the library (SemVer). This is the one place that holds it: CMake reads it here.

#define ANYSSR_VERSION_MAJOR 0
#define ANYSSR_VERSION_MINOR 1
#define ANYSSR_VERSION_PATCH 0
#define ANYSSR_VERSION_STRING "0.1.0"
