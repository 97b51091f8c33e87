// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The folders that `adapter_tool` works on: found, read, and kept from being written over.

#include <anyssr/io.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace adapter_tool {

/// One adapter as its folder holds it.
struct StoredAdapter {
  std::filesystem::path folder = {};
  anyssr::Adapter<double> adapter = {};  ///< in double, which holds the numbers of every dtype
  anyssr::PeftReport report = {};
  std::string config = {};                   ///< text of adapter_config.json
  anyssr::Dtype dtype = anyssr::Dtype::F32;  ///< the narrowest that holds every tensor of the file
  std::map<std::string, std::uint64_t> bytes = {};  ///< of the file, by site or head
  std::uint64_t file_bytes = 0;                     ///< of adapter_model.safetensors

  /// The last part of its path.
  [[nodiscard]] std::string name() const;
};

/// @throws anyssr::Error  naming the file: missing, a pickle, damaged, no plain LoRA
StoredAdapter read_adapter(const std::filesystem::path& folder);

/// PEFT folders at a path or anywhere below it, sorted; hidden folders are passed over.
/// @throws anyssr::FileError  where there is no such folder;  anyssr::FormatError  where it holds
/// no
///         adapter
std::vector<std::filesystem::path> find_adapters(const std::filesystem::path& path);

/// The narrowest dtype that holds what either holds.
anyssr::Dtype common_dtype(anyssr::Dtype left, anyssr::Dtype right);

/// Refuses adapters of which two have a site in two shapes.
/// @throws anyssr::ShapeError  naming both folders
void expect_same_shapes(std::span<const StoredAdapter> adapters);

/// Refuses to write where something is.
/// @throws anyssr::ArgumentError
void expect_new(const std::filesystem::path& out, bool force);

/// Makes the folder where it is missing, or writes over one of an adapter's two files in it.
/// @throws anyssr::FileError
void copy_weights(const std::filesystem::path& from, const std::filesystem::path& out);
void write_config(const std::filesystem::path& out, const std::string& text);

}  // namespace adapter_tool
