// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a checkpoint's folder holds beside its generations: what crashes and older generations left
/// is deleted by the next save, and what others put there is not touched. The form of a name tells
/// the two apart.

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "anyssr/store/generations.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Whether a name in the root or in adapters/ is of a form that only checkpoints use.
[[nodiscard]] inline bool is_checkpoint_name(std::string_view name, bool in_adapters) {
  const auto skip = [&](std::string_view prefix) {
    const bool fits = name.starts_with(prefix);
    if (fits) name.remove_prefix(prefix.size());
    return fits;
  };
  const auto skip_all_of = [&](std::string_view letters) {
    const std::size_t count = std::min(name.find_first_not_of(letters), name.size());
    name.remove_prefix(count);
    return count;
  };
  constexpr std::string_view decimal = "0123456789";
  if (skip(".tmp-")) return skip_all_of("0123456789abcdef") == 16 && name.empty();
  if (in_adapters) return skip_all_of(decimal) >= 6 && name.starts_with('-');
  const bool is_json = skip("manifest-") || skip("inspector-");
  if (!is_json && !skip("router-") && !skip("spans-")) return false;
  return skip_all_of(decimal) >= 6 && name == (is_json ? ".json" : ".safetensors");
}

/// The names of a generation's files and folders.
inline void add_names(const Manifest& manifest, std::set<std::string, std::less<>>& names) {
  names.insert(manifest_name(manifest.generation));
  for (const StoredFile& file : manifest.files) names.insert(file.path);
  for (const StoredTask* task : with_parts(manifest.tasks))
    names.insert("adapters/" + task->adapter);
}

/// Keeps readers off the generations to delete, and adds the names of those that somebody reads.
/// @param named  what is kept
[[nodiscard]] inline std::vector<GenerationPin> pin_unread(
    const std::filesystem::path& root, std::set<std::string, std::less<>>& named) {
  std::vector<GenerationPin> pins;
  for (const std::uint64_t number : generations_in(root)) {
    const std::string name = manifest_name(number);
    if (named.contains(name)) continue;
    pins.emplace_back(root / name, O_RDWR);
    if (!pins.back().is_read_elsewhere()) continue;
    try {
      add_names(read_manifest(root, name, {}), named);
    } catch (const Error&) {  // damaged: nobody can load it
    }
  }
  return pins;
}

/// Deletes what no manifest to keep names, nor one that somebody reads at the moment; files of
/// other names stay.
/// @return a warning for each that could not be deleted
[[nodiscard]] inline std::vector<std::string> sweep(const std::filesystem::path& root,
                                                    const std::vector<const Manifest*>& keep) {
  std::set<std::string, std::less<>> named;
  for (const Manifest* manifest : keep) add_names(*manifest, named);
  std::vector<std::string> warnings;
  const auto sweep_folder = [&](const std::string& prefix) {
    for (const std::string& name : names_in(root / prefix)) {
      if (named.contains(prefix + name) || !is_checkpoint_name(name, !prefix.empty())) continue;
      std::error_code error;
      std::filesystem::remove_all(root / (prefix + name), error);
      if (error) warnings.push_back(prefix + name + " could not be deleted: " + error.message());
    }
  };
  try {
    const std::vector<GenerationPin> pins = pin_unread(root, named);
    sweep_folder("");
    sweep_folder("adapters/");
  } catch (const FileError& error) {
    warnings.emplace_back(error.what());
  }
  return warnings;
}

/// Number that no adapter folder has yet.
[[nodiscard]] inline std::uint64_t next_folder_number(const std::filesystem::path& adapters) {
  std::uint64_t next = 1;
  for (const std::string& name : names_in(adapters)) {
    if (!is_checkpoint_name(name, true) || name[0] == '.') continue;
    std::uint64_t number = 0;
    std::from_chars(name.data(), name.data() + name.size(), number);
    next = std::max(next, number + 1);
  }
  return next;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
