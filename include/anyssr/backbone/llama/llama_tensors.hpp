// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The tensors of a LLaMA-family model: their names in files, shapes and places in memory.
///
/// H = hidden_size, I = intermediate_size, n = heads, k = kv_heads, h = head_dim:
///
///   model.embed_tokens.weight  [vocab, H]    model.layers.i.self_attn.q_proj.weight  [n h, H]
///   lm_head.weight             [vocab, H]                     .k_proj, .v_proj       [k h, H]
///   model.norm.weight          [H]                            .o_proj                [H, n h]
///   model.layers.i.input_layernorm, .post_attention_layernorm .weight                [H]
///   model.layers.i.mlp.gate_proj, .up_proj [I, H], .down_proj [H, I] .weight
///
/// and in some families
///
///   model.layers.i.self_attn.q_norm, .k_norm .weight                                 [h]
///   model.layers.i.pre_feedforward_layernorm, .post_feedforward_layernorm .weight    [H]

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/weight_matrix.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// One layer. Biases and norms that the config does not ask for have size 0.
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
  // What norms multiply by, which is 1 + w where the files of a family store w.
  RowVector<S> input_norm;             ///< H, before q, k and v
  RowVector<S> post_attention_norm;    ///< H, before gate and up
  RowVector<S> q_norm, k_norm;         ///< head_dim, the same for all heads
  RowVector<S> attention_branch_norm;  ///< H, of what o puts out
  RowVector<S> mlp_branch_norm;        ///< H, of what down puts out
};

namespace detail {

/// A linear layer of every layer: its name in files, its shape and its place.
template <RealScalar S>
struct LlamaLinear {
  std::string_view name;  // behind "model.layers.i."
  Index rows = 0;
  Index cols = 0;
  bool has_bias = false;
  WeightMatrix LlamaLayerWeights<S>::*weight = nullptr;
  RowVector<S> LlamaLayerWeights<S>::*bias = nullptr;
};

template <RealScalar S>
[[nodiscard]] std::array<LlamaLinear<S>, 7> llama_linears(const LlamaConfig& config) {
  using Layer = LlamaLayerWeights<S>;
  const Index h = config.hidden_size;
  const Index i = config.intermediate_size;
  const Index q = config.query_dim();
  const Index kv = config.kv_dim();
  return {{{"self_attn.q_proj", q, h, config.qkv_bias, &Layer::q, &Layer::q_bias},
           {"self_attn.k_proj", kv, h, config.qkv_bias, &Layer::k, &Layer::k_bias},
           {"self_attn.v_proj", kv, h, config.qkv_bias, &Layer::v, &Layer::v_bias},
           {"self_attn.o_proj", h, q, config.output_bias, &Layer::o, &Layer::o_bias},
           {"mlp.gate_proj", i, h, config.mlp_bias, &Layer::gate, &Layer::gate_bias},
           {"mlp.up_proj", i, h, config.mlp_bias, &Layer::up, &Layer::up_bias},
           {"mlp.down_proj", h, i, config.mlp_bias, &Layer::down, &Layer::down_bias}}};
}

/// An RMSNorm of every layer.
template <RealScalar S>
struct LlamaNorm {
  std::string_view name;    // in files, behind "model.layers.i."
  std::string_view member;  // in messages
  Index size = 0;           // 0: the config does not ask for it
  RowVector<S> LlamaLayerWeights<S>::*weight = nullptr;
};

/// Files of families with norms on the branches call the norm before the MLP by another name, and
/// that on the attention's branch by its usual one.
template <RealScalar S>
[[nodiscard]] std::array<LlamaNorm<S>, 6> llama_norms(const LlamaConfig& config) {
  using Layer = LlamaLayerWeights<S>;
  const Index h = config.hidden_size;
  const bool has_branches = config.form.branch_norms;
  const Index branch = has_branches ? h : 0;
  const Index head = config.form.head_norms ? config.head_dim : 0;
  constexpr std::string_view post_attention = "post_attention_layernorm";
  const std::string_view middle = has_branches ? "pre_feedforward_layernorm" : post_attention;
  return {{{"input_layernorm", "input_norm", h, &Layer::input_norm},
           {middle, "post_attention_norm", h, &Layer::post_attention_norm},
           {"self_attn.q_norm", "q_norm", head, &Layer::q_norm},
           {"self_attn.k_norm", "k_norm", head, &Layer::k_norm},
           {post_attention, "attention_branch_norm", branch, &Layer::attention_branch_norm},
           {"post_feedforward_layernorm", "mlp_branch_norm", branch, &Layer::mlp_branch_norm}}};
}

}  // namespace detail

/// All of them. A copy shares the matrices.
template <RealScalar S>
struct LlamaWeights {
  WeightMatrix embedding;  ///< vocab x H
  WeightMatrix output;     ///< vocab x H; the bytes of the embedding where the config ties them
  RowVector<S> norm;       ///< H, before the output
  std::vector<LlamaLayerWeights<S>> layers;

  /// Of matrices and vectors, tied ones counted once. Cost: O(layers).
  [[nodiscard]] std::size_t bytes() const {
    std::size_t vectors = static_cast<std::size_t>(norm.size());
    std::size_t matrices = embedding.bytes();
    if (output.data().data() != embedding.data().data()) matrices += output.bytes();
    for (const LlamaLayerWeights<S>& layer : layers) {
      for (const auto& kind : detail::llama_norms<S>({})) {
        vectors += static_cast<std::size_t>((layer.*kind.weight).size());
      }
      for (const auto& linear : detail::llama_linears<S>({})) {
        matrices += (layer.*linear.weight).bytes();
        vectors += static_cast<std::size_t>((layer.*linear.bias).size());
      }
    }
    return matrices + vectors * sizeof(S);
  }
};

}  // namespace anyssr::inline ANYSSR_ABI
