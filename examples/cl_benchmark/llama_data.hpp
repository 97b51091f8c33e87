// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The tasks of `cl_benchmark --llama`: prompts and answers as token ids, and as texts for reports.

#include <vector>

#include "cl_benchmark/llama_options.hpp"
#include "cl_benchmark/tasks.hpp"
#include "llama_continual/data.hpp"
#include "support/text_tokens.hpp"

namespace cl_benchmark {

struct LlamaTasks {
  Benchmark benchmark;                       ///< the same rows as texts, answers numbered
  std::vector<llama_continual::Task> tasks;  ///< with token ids, in the order of --task
  support::TextTokens tokens;                ///< of the model

  /// The named tasks in that order, which the result points to.
  [[nodiscard]] std::vector<const llama_continual::Task*> in_order(
      std::span<const std::string> names) const;
};

/// @throws anyssr::ArgumentError  for an option that is wrong, and rows that the model cannot read
/// @throws anyssr::FormatError    naming every fault of all files with file and line
[[nodiscard]] LlamaTasks read_llama_tasks(const LlamaOptions& options);

/// What of a row is kept where its prompt and answer are: their texts, or token ids that came
/// without one.
[[nodiscard]] std::size_t kept_bytes(const llama_continual::Item& item);

}  // namespace cl_benchmark
