// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The weights of a LLaMA-family model, frozen.

#include <cstddef>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/weight_matrix.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline v0 {

/// One layer. Biases that the config does not ask for have size 0.
template <RealScalar S>
struct LlamaLayerWeights {
  WeightMatrix q;     ///< query_dim x H
  WeightMatrix k;     ///< kv_dim x H
  WeightMatrix v;     ///< kv_dim x H
  WeightMatrix o;     ///< H x query_dim
  WeightMatrix gate;  ///< I x H
  WeightMatrix up;    ///< I x H
  WeightMatrix down;  ///< H x I
  RowVector<S> q_bias, k_bias, v_bias, o_bias, gate_bias, up_bias, down_bias;
  RowVector<S> input_norm;           ///< H
  RowVector<S> post_attention_norm;  ///< H
};

/// All of them.
template <RealScalar S>
struct LlamaWeights {
  WeightMatrix embedding;  ///< vocab x H
  WeightMatrix output;     ///< vocab x H; the bytes of the embedding where the config ties them
  RowVector<S> norm;       ///< H, before the output
  std::vector<LlamaLayerWeights<S>> layers;

  /// Of the matrices and vectors, what is shared once.
  [[nodiscard]] std::size_t bytes() const;
};

}  // namespace anyssr::inline v0
