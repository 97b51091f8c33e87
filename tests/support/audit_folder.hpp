// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// An audit log in a folder of its own: written, read line by line without the library's reader,
/// and altered as somebody would who wants to hide something.

#include <array>
#include <cstdint>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "anyssr/io/audit_log.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

namespace anyssr::test {

inline constexpr std::array<ScoredTask, 2> sample_top{
    {{.task = "billing", .score = 0.88}, {.task = "cards", .score = 0.47}}};

inline RouteEvent sample_route(std::uint64_t changes = 7) {
  return {.changes = changes,
          .query = "q-17",
          .task = "billing",
          .outcome = "routed",
          .confidence = 0.93,
          .margin = 0.41,
          .novelty = 0.07,
          .top = sample_top,
          .policy = "default"};
}

/// The texts between the ends of lines; one after the last \n counts where it is not empty.
inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class AuditFolder {
 public:
  [[nodiscard]] std::string path() const { return folder_.file("log"); }
  [[nodiscard]] std::string file(const std::string& name = "000001.jsonl") const {
    return path() + "/" + name;
  }
  [[nodiscard]] AuditLog open(const AuditLogOptions& options = {}) const {
    return AuditLog(path(), options);
  }
  /// Opens the log, appends routes after 1..count changes and closes it. Gives its head.
  std::string append(std::uint64_t count, const AuditLogOptions& options = {}) const {
    const AuditLog log = open(options);
    for (std::uint64_t i = 1; i <= count; ++i) log.append(sample_route(i));
    return log.head();
  }

  [[nodiscard]] std::string bytes(const std::string& name = "000001.jsonl") const {
    return file_bytes(file(name));
  }
  [[nodiscard]] std::vector<std::string> lines(const std::string& name = "000001.jsonl") const {
    return lines_of(bytes(name));
  }
  void write(const std::string& text, const std::string& name = "000001.jsonl") const {
    std::filesystem::create_directories(path());
    folder_.write("log/" + name, text);
  }
  void write_lines(const std::vector<std::string>& lines,
                   const std::string& name = "000001.jsonl") const {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    write(text, name);
  }
  /// Names of the files of the log, sorted.
  [[nodiscard]] std::vector<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path())) {
      if (entry.path().extension() == ".jsonl") names.insert(entry.path().filename().string());
    }
    return {names.begin(), names.end()};
  }
  /// All lines of all files.
  [[nodiscard]] std::vector<std::string> all_lines() const {
    std::vector<std::string> all;
    for (const std::string& name : names()) {
      for (const std::string& line : lines(name)) all.push_back(line);
    }
    return all;
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace anyssr::test
