// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A folder of what is done (--state): one file per method and run, so that a run that was stopped
/// goes on.

#include <optional>
#include <string>
#include <vector>

#include "cl_benchmark/experiment.hpp"

namespace cl_benchmark {

class RunState {
 public:
  /// @param folder  made where it is not there; "": nothing is kept
  /// @param model   fingerprint of a language model; "": none
  /// @throws anyssr::ArgumentError  for a folder of other data or other settings
  /// @throws anyssr::FileError      where it cannot be made or written
  RunState(const std::string& folder, const Benchmark& benchmark, const Options& options,
           const std::string& model = "");

  /// @throws anyssr::FormatError  for a file that this program did not write
  [[nodiscard]] std::optional<MethodRun> find(const std::string& method, const RunPlan& plan) const;
  void keep(const std::string& method, const RunPlan& plan, const MethodRun& run) const;

  [[nodiscard]] std::optional<std::vector<MergeFinding>> find_merges(const RunPlan& plan) const;
  void keep_merges(const RunPlan& plan, const std::vector<MergeFinding>& merges) const;

 private:
  [[nodiscard]] std::string path_of(const std::string& what, const RunPlan& plan) const;

  std::string folder_;
  std::string merges_;  // what findings are kept under
};

}  // namespace cl_benchmark
