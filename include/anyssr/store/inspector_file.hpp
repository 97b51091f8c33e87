// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The state of a learner's data inspector as a file of its generation (inspector_json.hpp): it
/// grows with every window of time, so each save writes it anew.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "anyssr/io/atomic_file.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/store/inspector_json.hpp"
#include "anyssr/store/manifest.hpp"
#include "anyssr/store/pending_files.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

inline constexpr std::uint64_t max_inspector_bytes = std::uint64_t{512} << 20;

/// @param inspector  none: nothing is written
/// @return bytes written
/// @throws ArgumentError  a name that is not UTF-8, or more than a load would take;  FileError
inline std::uint64_t write_inspector(const std::filesystem::path& root,
                                     const std::optional<InspectorState>& inspector, Manifest& next,
                                     PendingFiles& pending) {
  if (!inspector) return 0;
  const std::string text = inspector_state_json(*inspector).dump() + "\n";
  expect(text.size() <= max_inspector_bytes, "the inspector's state needs a file of ", text.size(),
         " bytes, expected at most ", max_inspector_bytes,
         ": keep a smaller sketch or fewer windows");
  next.inspector = "inspector-" + numbered(next.generation) + ".json";
  pending.add(next.inspector);
  AtomicFile file(root / next.inspector);
  file.write(text);
  file.commit();
  next.files.push_back(
      {.path = next.inspector, .bytes = text.size(), .check = "sha256:" + sha256_hex(text)});
  return text.size();
}

/// @return none where the generation has none
/// @throws FileError, FormatError
[[nodiscard]] inline std::optional<InspectorState> read_inspector(const std::filesystem::path& root,
                                                                  const Manifest& manifest) {
  if (manifest.inspector.empty()) return std::nullopt;
  const std::filesystem::path path = root / manifest.inspector;
  InspectorState state =
      parse_inspector_state(read_json(path, max_inspector_bytes), path_text(path));
  expect<FormatError>(static_cast<std::uint64_t>(state.dim) == manifest.feature_dim,
                      path_text(path), ": dim is ", state.dim, ", expected ", manifest.feature_dim,
                      " features as in the manifest");
  return state;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
