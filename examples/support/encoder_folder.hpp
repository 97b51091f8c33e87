// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Which kind of encoder a folder holds.

#include <anyssr/io/guarded_json.hpp>
#include <filesystem>
#include <system_error>

namespace support {

/// Of model2vec, also in the layout of sentence-transformers; else it is one of the BERT family.
[[nodiscard]] inline bool is_static_folder(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return std::filesystem::exists(folder / "0_StaticEmbedding", ignored);
  }
  const anyssr::Json config = anyssr::read_json(path);
  return config.is_object() && config.contains("model_type") && config["model_type"] == "model2vec";
}

}  // namespace support
