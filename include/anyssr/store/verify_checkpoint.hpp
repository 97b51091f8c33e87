// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Says of every file of a checkpoint whether it is whole.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "anyssr/store/generations.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// One file of a checkpoint, as a look at it found it.
struct FileReport {
  std::string path;    ///< relative to the folder
  std::string damage;  ///< empty: whole
};

namespace detail {

/// One look at what verify_checkpoint reports.
[[nodiscard]] inline std::vector<FileReport> look_at_files(const std::filesystem::path& root) {
  std::vector<FileReport> reports;
  const auto look = [&](const std::string& path, const auto& action) {
    reports.push_back({path, {}});
    try {
      action();
    } catch (const Error& error) {
      reports.back().damage = error.what();
    }
    return reports.back().damage.empty();
  };
  CurrentLine line;
  std::optional<GenerationPin> pin;
  const bool has_line = look("CURRENT", [&] {
    std::tie(line, pin) = pin_current(root);
    expect_current_fits(root, line);
  });
  if (!has_line) return reports;
  Manifest manifest;
  const bool readable =
      look(line.manifest, [&] { manifest = read_manifest(root, line.manifest, line.check); });
  if (!readable) return reports;
  for (const StoredFile& file : manifest.files) {
    look(file.path, [&] { expect_intact(root, file); });
  }
  return reports;
}

}  // namespace detail

/// Looks at CURRENT, at the current manifest and at every file that it names. Where another process
/// commits meanwhile and something is damaged, it looks again, until the damage is no trace of that
/// (look_until_final).
/// @param generation  told which one that is, unless it is null or no manifest can be read
/// @return one entry per file, CURRENT first and then the manifest; where one of these is damaged
///         nothing after it can be judged
/// @throws FileError  where there is no checkpoint at all
[[nodiscard]] inline std::vector<FileReport> verify_checkpoint(
    const std::filesystem::path& root, std::uint64_t* generation = nullptr) {
  detail::expect_checkpoint(root);
  std::vector<FileReport> reports;
  detail::look_until_final(root, [&](const auto& /*is_final*/) {
    reports = detail::look_at_files(root);
    std::string wrong;
    for (const FileReport& report : reports) wrong += report.damage;
    return wrong;
  });
  if (generation != nullptr && reports.size() > 1) {
    *generation = detail::generation_of(reports[1].path).value();
  }
  return reports;
}

}  // namespace anyssr::inline ANYSSR_ABI
