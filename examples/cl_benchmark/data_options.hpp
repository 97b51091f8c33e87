// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The options of `cl_benchmark` that say what is learned: which data, in which order, and what is
/// done to them first.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "cl_benchmark/tasks.hpp"
#include "support/run_files.hpp"

namespace cl_benchmark {

/// Of --data, --clinc and --synthetic one is given; an empty text is an option not given.
struct DataOptions {
  std::string data;
  std::string clinc;
  std::string synthetic;
  std::string order;
  std::string measured = "test";  ///< test or val
  bool strips_templates = false;
  std::optional<std::int64_t> cut = {};    ///< answers per task
  std::optional<std::int64_t> rows = {};   ///< training rows per task
  std::optional<double> label_noise = {};  ///< share of training rows
  std::optional<double> imbalance = {};    ///< training rows of the first task to the last
  std::string two_visits = {};             ///< a task
};

void declare_data_options(CLI::App& app, DataOptions& options);

/// Tells `files` what the data are read from.
void name_inputs(const DataOptions& options, support::RunFiles& files);

/// Reads or makes the tasks and changes them as asked. Options are checked before files are read.
/// Templates are found before tasks are cut; what changes training rows comes last, so that what is
/// measured on does not depend on it.
/// @throws anyssr::ArgumentError  naming the option, what came and what was expected
/// @throws anyssr::FormatError    as read_folder, read_clinc, expect_measurable
[[nodiscard]] Benchmark read_data(const DataOptions& options, std::uint64_t seed);

/// What the tasks are, in words: "data/tasks, order long, without template words".
[[nodiscard]] std::string describe(const DataOptions& options);

}  // namespace cl_benchmark
