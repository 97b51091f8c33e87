// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Inputs of tests as a seed corpus for the fuzzers: where the environment variable ANYSSR_CORPUS
/// names a folder, every malformed input that a test meets is kept there, by kind.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "anyssr/core/random.hpp"

namespace anyssr::test {

/// @param kind  name of the fuzzer that reads it
inline void keep_for_fuzzing(const std::string& kind, std::string_view bytes) {
  const char* const corpus = std::getenv("ANYSSR_CORPUS");
  if (corpus == nullptr) return;
  const std::filesystem::path folder = std::filesystem::path(corpus) / kind;
  std::filesystem::create_directories(folder);
  std::ofstream(folder / std::to_string(hash_bytes(bytes)), std::ios::binary) << bytes;
}

}  // namespace anyssr::test
