// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The run of `cl_benchmark --llama`: the same measures as on features, where an answer is right if
/// greedy decoding gives it to the token and then ends the text.

#include "cl_benchmark/experiment.hpp"
#include "cl_benchmark/llama_data.hpp"
#include "cl_benchmark/llama_options.hpp"

namespace cl_benchmark {

/// @param options  methods are among `llama_method_names`; of the settings, seed and threads count
/// @throws anyssr::Error
Results run_llama(const LlamaTasks& tasks, const Options& options, const LlamaOptions& llama);

}  // namespace cl_benchmark
