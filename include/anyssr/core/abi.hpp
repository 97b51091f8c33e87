// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The language that the library needs, and the inline namespace that everything stands in:
///
///   anyssr::v0_align64_ptrdiff     (version, EIGEN_MAX_ALIGN_BYTES, Eigen's index type)
///
/// Eigen aligns memory for the vector unit that a file is compiled for. Two files compiled with
/// different -march options that share an Eigen object crash in one of them. The name keeps their
/// functions apart, so that sharing an anyssr object between them is an error of the linker.
/// Programs write `anyssr::` and never this name.

#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 202002L
#error \
    "anyssr needs C++20: compile with -std=c++20 (g++, clang++), or link the CMake target anyssr::anyssr"
#include "anyssr needs C++20"  // no such file: ends the compilation before thousands of errors
#endif

#include <Eigen/Core>
#include <cstddef>
#include <string_view>
#include <type_traits>

#if EIGEN_VERSION_AT_LEAST(3, 4, 0)
#else
#error "anyssr needs Eigen 3.4.0 or newer"
#endif

// The preprocessor cannot read `std::ptrdiff_t` whole: its first word is pasted into a macro that
// brings a comma and a tag, and the second argument is picked.
#define ANYSSR_INDEX_std ~, ptrdiff, ~
#define ANYSSR_INDEX_ptrdiff_t ~, ptrdiff, ~
#define ANYSSR_INDEX_int ~, int, ~
#define ANYSSR_INDEX_long ~, long, ~
#define ANYSSR_PASTE_OF(a, b) a##b
#define ANYSSR_PASTE(a, b) ANYSSR_PASTE_OF(a, b)
#define ANYSSR_SECOND_OF(first, second, ...) second
#define ANYSSR_SECOND(...) ANYSSR_SECOND_OF(__VA_ARGS__)
#define ANYSSR_INDEX_TAG \
  ANYSSR_SECOND(ANYSSR_PASTE(ANYSSR_INDEX_, EIGEN_DEFAULT_DENSE_INDEX_TYPE), unknown, ~)
#define ANYSSR_ABI_OF(align, index) v0_align##align##_##index
#define ANYSSR_ABI_NAMED(align, index) ANYSSR_ABI_OF(align, index)
#define ANYSSR_ABI ANYSSR_ABI_NAMED(EIGEN_MAX_ALIGN_BYTES, ANYSSR_INDEX_TAG)

#define ANYSSR_QUOTED_OF(...) #__VA_ARGS__
#define ANYSSR_QUOTED(...) ANYSSR_QUOTED_OF(__VA_ARGS__)
static_assert(
    std::string_view(ANYSSR_QUOTED(ANYSSR_INDEX_TAG)) != "unknown" &&
        (!std::string_view(ANYSSR_QUOTED(EIGEN_DEFAULT_DENSE_INDEX_TYPE)).starts_with("std") ||
         std::is_same_v<Eigen::Index, std::ptrdiff_t>),
    "EIGEN_DEFAULT_DENSE_INDEX_TYPE is expected to be int, long or std::ptrdiff_t");
