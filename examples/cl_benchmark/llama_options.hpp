// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What `cl_benchmark` is told about a language model (--llama): its tasks, and how adapters are
/// trained.

#include <CLI/CLI.hpp>
#include <anyssr/learner/learner_options.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "llama_continual/experiment.hpp"
#include "support/run_files.hpp"

namespace cl_benchmark {

/// Every method gets the same settings; defaults are those of `llama_continual`.
struct LlamaOptions {
  std::string model;               ///< checkpoint folder; empty: the methods read features
  std::vector<std::string> tasks;  ///< NAME=train.jsonl[,test.jsonl], in the order of learning
  std::int64_t train_rows = 0;     ///< first rows only, of each task; 0: all
  std::int64_t test_rows = 0;
  anyssr::Index shallow_layers = 4;                                     ///< k
  anyssr::LearnerOptions learner = llama_continual::default_learner();  ///< seeds: of the run
  std::string schedule = "linear";
  std::string subspace = "own";
  std::string sites;  ///< with commas; empty: those of the backbone
  bool recompute_activations = false;
};

/// The methods that --llama runs, in the order of a report.
[[nodiscard]] const std::vector<std::string>& llama_method_names();

/// @throws anyssr::ArgumentError  for a name that is not among them
void expect_llama_method(std::string_view name);

/// --llama, --task and --llama-*. To be called last: --llama excludes what is about features.
void declare_llama_options(CLI::App& app, LlamaOptions& options);

void name_inputs(const LlamaOptions& options, support::RunFiles& files);

/// In words, with every setting that a result depends on.
[[nodiscard]] std::string describe(const LlamaOptions& options);

/// What the methods learn by.
/// @throws anyssr::ArgumentError  for an option out of range
[[nodiscard]] anyssr::LearnerOptions learner_options(const LlamaOptions& options);

}  // namespace cl_benchmark
