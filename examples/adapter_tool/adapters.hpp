// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The folders that `adapter_tool` works on: found, read, and kept from being written over.

#include <anyssr/io.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace adapter_tool {

/// One adapter as its folder holds it.
struct StoredAdapter {
  std::filesystem::path folder = {};
  anyssr::Adapter<double> adapter = {};  ///< in double, which holds the numbers of every dtype
  anyssr::PeftReport report = {};
  std::string config = {};  ///< text of adapter_config.json
};

/// The whole adapter, or what config and header say of it. Every layer that was trained in full is
/// taken as a head.
/// @param warn  gets the warnings of the report
/// @throws anyssr::Error  naming the file: missing, a pickle, damaged, no plain LoRA
StoredAdapter read_adapter(const std::filesystem::path& folder,
                           const anyssr::WarningSink& warn = {});
anyssr::PeftReport read_report(const std::filesystem::path& folder);

/// The last part of a path.
std::string name_of_folder(const std::filesystem::path& folder);

/// The narrowest dtype that holds all numbers; F32 where there are none.
anyssr::Dtype dtype_of_report(const anyssr::PeftReport& report);

/// Numbers in the file.
anyssr::Index parameter_count(const anyssr::PeftReport& report);

/// PEFT folders at a path or anywhere below it, sorted; hidden folders are passed over.
/// @throws anyssr::FileError    where there is no such folder, or it cannot be searched
/// @throws anyssr::FormatError  where it holds no adapter
std::vector<std::filesystem::path> find_adapters(const std::filesystem::path& path);

/// Refuses adapters of which two have a site in two shapes.
/// @throws anyssr::ShapeError  naming both folders
void expect_same_shapes(std::span<const StoredAdapter> adapters);

/// Refuses to write where something is, but for an empty folder.
/// @throws anyssr::ArgumentError
void expect_new(const std::filesystem::path& out, bool force);

/// The folder that a command writes. One that was not there is gone again unless it is kept, so the
/// command can be repeated once there is room on the disk.
class OutFolder {
 public:
  explicit OutFolder(std::filesystem::path folder);
  OutFolder(const OutFolder&) = delete;
  OutFolder& operator=(const OutFolder&) = delete;
  ~OutFolder();
  void keep() noexcept { is_kept_ = true; }

 private:
  std::filesystem::path folder_;
  bool is_kept_ = false;
};

/// Copies adapter_model.safetensors byte for byte into `out`, which is made where it is missing; a
/// file that is there is replaced.
/// @throws anyssr::FileError
void copy_weights(const std::filesystem::path& from, const std::filesystem::path& out);

/// Writes or replaces adapter_config.json in a folder that is there.
/// @throws anyssr::FileError
void write_config(const std::filesystem::path& out, const std::string& text);

}  // namespace adapter_tool
