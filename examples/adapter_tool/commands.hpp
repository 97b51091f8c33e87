// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What `adapter_tool` does: one function per command, which gives what there is to report.

#include <anyssr/store.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapter_tool/adapters.hpp"
#include "support/warnings.hpp"

namespace adapter_tool {

/// Warnings of this program.
inline constexpr support::Warner warn("adapter_tool");

/// A line of `list`.
struct Listed {
  std::filesystem::path folder = {};
  std::string name = {};
  std::string problem = {};  ///< why it cannot be read; empty: the rest is known
  std::size_t sites = 0;
  std::size_t heads = 0;
  std::vector<anyssr::Index> ranks = {};  ///< each once, ascending
  anyssr::Index parameters = 0;
  std::uint64_t bytes = 0;  ///< of adapter_model.safetensors
  std::string dtype = {};
  std::string base_model = {};
};
struct Listing {
  std::vector<Listed> adapters = {};
  [[nodiscard]] bool is_readable() const;
};
/// What is at or below the paths, by configs and headers: no number is read.
Listing list(const std::vector<std::string>& paths);

struct InspectedSite {
  std::string name = {};
  anyssr::Index out = 0;
  anyssr::Index in = 0;
  anyssr::Index rank = 0;
  double alpha = 0;
  double scale = 0;
  double change_norm = 0;  ///< |s B A|_F
  std::uint64_t bytes = 0;
};
struct InspectedHead {
  std::string name = {};
  anyssr::Index out = 0;
  anyssr::Index in = 0;
  std::uint64_t bytes = 0;
};
struct Inspection {
  std::filesystem::path folder = {};
  std::string name = {};
  std::string base_model = {};
  std::string task_type = {};
  std::string dtype = {};
  std::uint64_t bytes = 0;  ///< of adapter_model.safetensors
  anyssr::Index parameters = 0;
  double change_norm = 0;  ///< of all sites
  bool rank_stabilised = false;
  std::vector<InspectedSite> sites = {};
  std::vector<InspectedHead> heads = {};
  std::vector<std::string> warnings = {};
};
/// @throws anyssr::Error  naming the file
Inspection inspect(const std::string& folder);

struct ConvertOptions {
  std::string folder = {};
  std::string out = {};
  std::string dtype = {};
  bool force = false;
};
struct Conversion {
  std::filesystem::path out = {};
  std::string from = {};
  std::string to = {};
  std::uint64_t bytes_before = 0;
  std::uint64_t bytes_after = 0;
  std::uint64_t numbers = 0;
  std::uint64_t rounded = 0;             ///< of these, zeros below included
  std::uint64_t became_zero = 0;         ///< too small for the dtype
  double largest_relative_rounding = 0;  ///< |x' - x| / |x| of those that did not become 0
  double change_error = 0;               ///< |dW' - dW|_F / |dW|_F over all sites
};
/// Writes the folder with numbers of another dtype; its config is copied as it is.
/// @throws anyssr::Error  before anything is written: a number that the dtype cannot hold, an OUT
///                        that is there
Conversion convert(const ConvertOptions& options);

struct WeightedFolder {
  std::string folder = {};
  double weight = 1;
};
/// FOLDER, or FOLDER:WEIGHT where there is no folder of the whole name.
/// @throws anyssr::ArgumentError  for a weight that is no number
WeightedFolder parse_entry(const std::string& text);

struct MergeOptions {
  std::string out = {};
  std::vector<std::string> folders = {};  ///< FOLDER or FOLDER:WEIGHT
  std::optional<std::int64_t> rank = {};  ///< largest rank of a site; none: the ranks add up
  bool force = false;
};
struct MergedSite {
  std::string name = {};
  anyssr::Index rank_of_sum = 0;
  anyssr::Index rank = 0;
  double norm = 0;   ///< |dW|_F of the exact sum
  double error = 0;  ///< |dW' - dW|_F of what stands in the file
};
struct Merge {
  std::filesystem::path out = {};
  std::vector<std::string> names = {};  ///< of what went in: weights other than 0
  std::vector<double> weights = {};
  std::string dtype = {};
  std::uint64_t bytes = 0;
  bool is_copy = false;  ///< one adapter of weight 1: both files byte for byte
  std::vector<MergedSite> sites = {};
  double norm = 0;   ///< of all sites
  double error = 0;  ///< likewise
  std::vector<std::string> warnings = {};
};
/// Writes the weighted sum of adapters.
/// @throws anyssr::Error  before anything is written: wrong weights, adapters that do not fit one
///                        another, an OUT that is there
Merge merge(const MergeOptions& options);

struct Comparison {
  std::vector<std::string> folders = {};
  std::vector<std::string> names = {};
  std::vector<std::vector<double>> similarity = {};         ///< cosine over the common sites
  std::vector<std::vector<std::size_t>> common_sites = {};  ///< how many these are
};
/// @throws anyssr::Error  naming the file; sites of two shapes
Comparison compare(const std::vector<std::string>& folders);

struct Verification {
  std::string checkpoint = {};
  std::vector<anyssr::FileReport> files = {};
  std::optional<std::uint64_t> newest_whole = {};  ///< generation
  [[nodiscard]] bool is_whole() const;
};
/// @throws anyssr::FileError  where there is no checkpoint
Verification verify(const std::string& checkpoint);

struct LogVerification {
  std::string log = {};
  anyssr::AuditVerification found = {};
  bool has_head = false;  ///< a head that was kept was looked for
  /// A log that was wiped has no break. Only a head that was kept tells it from a new one.
  [[nodiscard]] bool is_intact() const noexcept {
    return found.ok() && (found.lines > 0 || has_head);
  }
};
/// Whether an audit log is as it was written; with a head that was kept, also up to its end.
/// @throws anyssr::Error  where there is no log, or the head is no digest
LogVerification verify_log(const std::string& log, const std::string& head);

}  // namespace adapter_tool
