// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The files of a run, told apart before the work begins: no output is an input, another output,
/// among the files that the run keeps, or behind a standard stream, and no folder that the run
/// keeps holds an input or lies in one.

#include <sys/stat.h>
#include <unistd.h>

#include <anyssr/core/error.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/output_file.hpp"

namespace support {

/// Where a path leads, by whatever name or link.
class Place {
 public:
  explicit Place(const std::filesystem::path& path) : path_(resolved(path)) {
    struct stat found {};
    if (::stat(path_.c_str(), &found) == 0) file_ = {found.st_dev, found.st_ino};
  }
  /// What an open descriptor leads to.
  explicit Place(int descriptor) {
    struct stat found {};
    if (::fstat(descriptor, &found) == 0) file_ = {found.st_dev, found.st_ino};
  }

  /// Device and inode tell, which hard links share; of what is not there yet, the name.
  [[nodiscard]] bool is_same(const Place& other) const {
    if (file_ && other.file_) return *file_ == *other.file_;
    return !file_ && !other.file_ && !path_.empty() && path_ == other.path_;
  }
  [[nodiscard]] bool is_inside(const Place& folder) const {
    for (std::filesystem::path at = path_; at.has_relative_path();) {
      at = at.parent_path();
      if (Place(at).is_same(folder)) return true;
    }
    return false;
  }

 private:
  /// Without links, also where the last one leads to nothing.
  [[nodiscard]] static std::filesystem::path resolved(std::filesystem::path path) {
    constexpr int most_links = 40;  // as many as Linux follows
    std::error_code error;
    path = std::filesystem::absolute(path, error);
    for (int i = 0; i < most_links; ++i) {
      const auto canonical = std::filesystem::weakly_canonical(path, error);
      if (!error) path = canonical;
      if (!path.has_filename()) path = path.parent_path();
      const auto target = std::filesystem::read_symlink(path, error);
      if (error) break;
      path = path.parent_path() / target;
    }
    return path;
  }

  std::filesystem::path path_;
  std::optional<std::pair<dev_t, ino_t>> file_;
};

/// Files and folders by the options that name them; an empty path is none.
class RunFiles {
 public:
  /// A file, or a folder with all that is in it.
  void reads(const std::string& option, const std::string& path) { add(inputs_, option, path); }
  /// A folder that the run writes to: a state, a log, an adapter.
  void keeps(const std::string& option, const std::string& path) { add(kept_, option, path); }
  /// A file that is written at the end.
  void writes(const std::string& option, const std::string& path) { add(outputs_, option, path); }

  /// Refuses a run that would write over what it reads, or cannot write.
  /// @throws anyssr::ArgumentError, anyssr::FormatError
  void expect_apart() const {
    for (const Named& output : outputs_) expect_writable(output.path);
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const Named& output = outputs_[i];
      for (const Named& input : inputs_) expect_outside(output, input);
      for (const Named& folder : kept_) expect_outside(output, folder);
      for (std::size_t k = 0; k < i; ++k) {
        if (output.place.is_same(outputs_[k].place)) refuse(output, outputs_[k]);
      }
      expect_no_stream(output);
    }
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      expect_folder(kept_[i]);
      for (const Named& input : inputs_) expect_separate(kept_[i], input);
      for (std::size_t k = 0; k < i; ++k) expect_separate(kept_[i], kept_[k]);
    }
  }

 private:
  struct Named {
    std::string option;
    std::string path;
    Place place;
  };

  static void add(std::vector<Named>& list, const std::string& option, const std::string& path) {
    if (!path.empty()) list.push_back({option, path, Place(path)});
  }

  [[noreturn]] static void raise(const Named& file, const std::string& what) {
    throw anyssr::ArgumentError(file.option + " is '" + file.path + "', " + what);
  }
  [[noreturn]] static void refuse(const Named& file, const Named& other) {
    raise(file, "the same as " + other.option + " '" + other.path + "', expected another one");
  }
  /// What a shell reads from or prints to is a file of the run too: `<in >out 2>log`.
  static void expect_no_stream(const Named& output) {
    constexpr std::pair<int, const char*> streams[] = {{STDIN_FILENO, "standard input"},
                                                       {STDOUT_FILENO, "standard output"},
                                                       {STDERR_FILENO, "standard error"}};
    for (const auto& [descriptor, name] : streams) {
      if (!output.place.is_same(Place(descriptor))) continue;
      raise(output, std::string("which is ") + name + ", expected a file of its own");
    }
  }
  static void expect_outside(const Named& output, const Named& other) {
    if (output.place.is_same(other.place)) refuse(output, other);
    if (!output.place.is_inside(other.place)) return;
    raise(output,
          "inside " + other.option + " '" + other.path + "', expected a file outside that folder");
  }

  static void expect_folder(const Named& folder) {
    std::error_code ignored;
    const auto status = std::filesystem::status(folder.path, ignored);
    if (!std::filesystem::exists(status) || std::filesystem::is_directory(status)) return;
    raise(folder, "which is no folder, expected one, or a new name");
  }
  /// A run replaces files in a folder that it keeps, and deletes those that it needs no more.
  static void expect_separate(const Named& folder, const Named& other) {
    if (folder.place.is_same(other.place)) refuse(folder, other);
    const auto outside = [](const Named& named) {
      return named.option + " '" + named.path + "', expected it outside that folder";
    };
    if (other.place.is_inside(folder.place)) raise(other, "inside " + outside(folder));
    if (folder.place.is_inside(other.place)) raise(folder, "inside " + outside(other));
  }

  std::vector<Named> inputs_;
  std::vector<Named> kept_;
  std::vector<Named> outputs_;
};

}  // namespace support
