// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The model of llama_bench: 110 million parameters, random weights.

#include <map>
#include <vector>

#include "anyssr/backbone/llama/llama_model.hpp"

namespace bench {

using namespace anyssr;

inline constexpr Index prompt_size = 256;
inline constexpr Index answer_size = 128;

[[nodiscard]] inline LlamaConfig shape() {
  LlamaConfig config;
  config.vocab_size = 32000;
  config.hidden_size = 768;
  config.intermediate_size = 2048;
  config.layers = 12;
  config.heads = 12;
  config.kv_heads = 12;
  config.head_dim = 64;
  config.max_positions = 512;
  config.tied_output = true;
  config.windows.assign(12, 0);
  return config;
}

[[nodiscard]] inline const LlamaModel<float>& model(Dtype dtype) {
  static std::map<Dtype, LlamaModel<float>> made;
  const auto found = made.find(dtype);
  if (found != made.end()) return found->second;
  const LlamaConfig config = shape();
  return made
      .emplace(dtype, LlamaModel<float>(config, random_llama_weights<float>(config, 1, dtype)))
      .first->second;
}

[[nodiscard]] inline std::vector<TokenId> tokens(Index count, std::uint64_t seed = 2) {
  std::vector<TokenId> ids;
  RandomStream random(seed);
  for (Index i = 0; i < count; ++i) ids.push_back(static_cast<TokenId>(random.below(32000)));
  return ids;
}

}  // namespace bench
