// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the applications share of their command lines and reports.

#include <sys/resource.h>

#include <anyssr/core/error.hpp>
#include <anyssr/io/atomic_file.hpp>
#include <anyssr/subspace/expansion.hpp>
#include <filesystem>
#include <sstream>
#include <string>
#include <system_error>

namespace support {

/// "none", "dense:8192" or "hadamard:8192".
inline anyssr::ExpansionOptions parse_expansion(const std::string& text,
                                                const std::string& activation, std::uint64_t seed) {
  anyssr::ExpansionOptions result{.kind = anyssr::ExpansionKind::identity};
  result.activation = anyssr::parse_activation(activation);
  result.seed = seed;
  if (text == "none") return result;
  const std::size_t colon = text.find(':');
  std::istringstream number(colon == std::string::npos ? "" : text.substr(colon + 1));
  if (!(number >> result.dim) || !number.eof()) {
    throw anyssr::ArgumentError("--expansion is '" + text +
                                "', expected none, dense:D or hadamard:D");
  }
  result.kind = anyssr::parse_expansion_kind(text.substr(0, colon));
  return result;
}

/// Refuses a scalar that no run is compiled for.
inline void expect_scalar(const std::string& name) {
  if (name != "float" && name != "double") {
    throw anyssr::ArgumentError("--scalar is '" + name + "', expected float or double");
  }
}

/// Refuses an output file before the work instead of after it.
inline void expect_writable(const std::string& path) {
  if (path.empty()) return;
  // the new file takes the name of what is there: of a device, nothing would be left
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  const bool is_taken =
      std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
  if (is_taken || std::filesystem::path(path).parent_path() == "/dev") {
    throw anyssr::FormatError(path + ": is no regular file, expected one, or a new name");
  }
  try {
    const anyssr::AtomicFile probe{std::filesystem::path(path)};  // leaves nothing behind
  } catch (const anyssr::FileError&) {
    throw anyssr::FormatError(path +
                              ": cannot be written; does the folder exist, may you write there?");
  }
}

/// Refuses two outputs of one name.
inline void expect_apart(const std::string& json, const std::string& report) {
  const auto plain = [](const std::string& path) {
    return std::filesystem::path(path).lexically_normal();
  };
  if (json.empty() || plain(json) != plain(report)) return;
  throw anyssr::ArgumentError("--json and --report are both " + json + ", expected two files");
}

/// Most memory that this process has held so far.
inline std::size_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace support
