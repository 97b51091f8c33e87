// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Checkpoints in folders: saved, looked at file by file, and edited as somebody would who wants to
/// do harm and knows the checks.

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "anyssr/store.hpp"
#include "support/corpus.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"
#include "support/small_learner.hpp"

namespace anyssr::test {

template <class S>
PointLearner<S> load_points(const std::string& root, const LoadOptions& options = {},
                            LoadReport* report = nullptr) {
  return load<PointLearner<S>>(root, PointBackbone<S>(small_dim), options, report);
}

inline LearnerOptions options_of(SubspaceChoice choice, bool balanced = false,
                                 ExpansionKind kind = ExpansionKind::identity) {
  LearnerOptions options = small_learner_options();
  options.subspace = choice;
  options.router.balanced = balanced;
  options.router.expansion = {.kind = kind, .dim = 20, .seed = 3};
  return options;
}

/// Every file below a folder with its bytes.
inline std::map<std::string, std::string> all_files(const std::filesystem::path& root) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string path = std::filesystem::relative(entry.path(), root).string();
    files[path] = file_bytes(entry.path().string());
  }
  return files;
}

/// Where a test saves hundreds of times: in memory if the system has such a place, since an fsync
/// of a disk takes milliseconds.
inline std::filesystem::path quick_folder() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK | X_OK) == 0 ? memory
                                                    : std::filesystem::temp_directory_path();
}

inline void overwrite(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// The current generation of a checkpoint, whose manifest and files can be changed with all checks
/// made to fit, so that only the content is wrong.
class EditedCheckpoint {
 public:
  explicit EditedCheckpoint(std::filesystem::path root)
      : root_(std::move(root)), name_(detail::read_current(root_).manifest) {}

  [[nodiscard]] std::filesystem::path path(const std::string& name) const { return root_ / name; }
  [[nodiscard]] std::string manifest_path() const { return path(name_).string(); }
  [[nodiscard]] Json manifest() const { return read_json(manifest_path()); }

  void edit(const std::function<void(Json&)>& change) const {
    Json json = manifest();
    change(json);
    write_manifest(json.dump(1) + "\n");
  }
  /// Any text; a check in it is made to fit.
  void write_manifest(std::string text) const {
    constexpr std::string_view key = "\"check\": \"sha256:";
    const std::size_t at = text.find(key);
    if (at != std::string::npos) {
      text.replace(at + key.size(), detail::check_digits, std::string(detail::check_digits, '0'));
      text.replace(at + key.size(), detail::check_digits, sha256_hex(text));
    }
    keep_for_fuzzing("manifest", text);
    overwrite(manifest_path(), text);
    overwrite(path("CURRENT"),
              detail::current_text({.manifest = name_, .check = sha256_hex(text)}));
  }
  /// Puts other bytes into a file of the manifest, and its size and check beside its path.
  void replace(const std::string& file, const std::string& bytes) const {
    overwrite(path(file), bytes);
    edit([&](Json& json) {
      for (Json& entry : json.at("files")) {
        if (entry.at("path") != file) continue;
        entry["bytes"] = bytes.size();
        entry["check"] = "sha256:" + sha256_hex(bytes);
      }
    });
  }
  /// Changes a JSON file of the manifest.
  void edit_file(const std::string& file, const std::function<void(Json&)>& change) const {
    Json json = read_json(path(file));
    change(json);
    replace(file, json.dump(1) + "\n");
  }

 private:
  std::filesystem::path root_;
  std::string name_;
};

/// A copy of a folder, in the place of whatever is at `to`.
inline void copy_folder(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

}  // namespace anyssr::test
