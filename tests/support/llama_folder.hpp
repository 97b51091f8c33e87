// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Small models of the LLaMA family as checkpoint folders, tensor by tensor, so that a test can
/// damage any of them before it is written.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/llama_weights.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/safetensors_writer.hpp"

namespace anyssr::test {

/// Two layers, two query heads a key head, heads that are wider than hidden_size / heads.
inline LlamaConfig small_llama_config() {
  LlamaConfig config;
  config.vocab_size = 11;
  config.hidden_size = 8;
  config.intermediate_size = 12;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 6;
  config.rms_norm_eps = 1e-5;
  config.max_positions = 64;
  config.windows = {0, 0};
  config.bos = 1;
  config.eos = {2};
  return config;
}

/// What qwen2 and qwen3, smollm3 and gemma3_text say of their windows and rotary bases.
inline void add_layer_words(Json& json, const LlamaConfig& config) {
  std::size_t first = 0;
  while (first < config.windows.size() && config.windows[first] == 0) ++first;
  const bool has_window = first < config.windows.size();
  json["sliding_window"] = has_window ? Json(config.windows[first]) : Json(nullptr);
  if (config.model_type == "gemma3_text") {
    std::size_t full = 0;
    while (full < config.windows.size() && config.windows[full] > 0) ++full;
    json["sliding_window_pattern"] = full + 1;
    json["rope_local_base_freq"] = config.local_rope.theta;
    json["query_pre_attn_scalar"] = config.form.query_scalar;
    json["hidden_activation"] = "gelu_pytorch_tanh";
    json.erase("hidden_act");
  } else if (config.model_type != "mistral") {
    json["use_sliding_window"] = has_window;
    json["max_window_layers"] = first;
  }
  for (const LayerRope rope : config.rotations) {
    if (config.model_type == "smollm3") {
      json["no_rope_layers"].push_back(rope == LayerRope::none ? 0 : 1);
    }
  }
}

/// config.json in the words of transformers 4. (mistral: one window for all layers; qwen2 and
/// qwen3: a window from some layer on.)
inline Json llama_config_json(const LlamaConfig& config) {
  Json json = {{"model_type", config.model_type},
               {"vocab_size", config.vocab_size},
               {"hidden_size", config.hidden_size},
               {"intermediate_size", config.intermediate_size},
               {"num_hidden_layers", config.layers},
               {"num_attention_heads", config.heads},
               {"num_key_value_heads", config.kv_heads},
               {"head_dim", config.head_dim},
               {"hidden_act", "silu"},
               {"rms_norm_eps", config.rms_norm_eps},
               {"max_position_embeddings", config.max_positions},
               {"rope_theta", config.rope.theta},
               {"tie_word_embeddings", config.tied_output},
               {"bos_token_id", config.bos ? Json(*config.bos) : Json(nullptr)},
               {"eos_token_id", config.eos}};
  if (config.model_type != "mistral" && config.model_type != "qwen2") {
    json["attention_bias"] = config.output_bias;
  }
  if (config.model_type == "llama" || config.model_type == "smollm3") {
    json["mlp_bias"] = config.mlp_bias;
  }
  if (config.model_type != "llama") add_layer_words(json, config);
  const RopeOptions& rope = config.rope;
  if (rope.type == RopeType::linear) {
    json["rope_scaling"] = {{"rope_type", "linear"}, {"factor", rope.factor}};
  } else if (rope.type == RopeType::llama3) {
    json["rope_scaling"] = {
        {"rope_type", "llama3"},
        {"factor", rope.factor},
        {"low_freq_factor", rope.low_freq_factor},
        {"high_freq_factor", rope.high_freq_factor},
        {"original_max_position_embeddings", static_cast<Index>(rope.original_max_positions)}};
  }
  return json;
}

/// A tensor as it stands in a file.
struct StoredTensor {
  Dtype dtype = Dtype::F32;
  std::vector<std::uint64_t> shape;
  std::vector<std::byte> bytes;
};
using StoredTensors = std::map<std::string, StoredTensor>;

inline StoredTensor stored(const WeightMatrix& matrix) {
  const auto bytes = matrix.data();
  return {matrix.dtype(),
          {static_cast<std::uint64_t>(matrix.rows()), static_cast<std::uint64_t>(matrix.cols())},
          {bytes.begin(), bytes.end()}};
}
template <RealScalar S>
StoredTensor stored(const RowVector<S>& vector) {
  const auto bytes =
      std::as_bytes(std::span(vector.data(), static_cast<std::size_t>(vector.size())));
  return {dtype_of<S>(), {static_cast<std::uint64_t>(vector.size())}, {bytes.begin(), bytes.end()}};
}
/// Zeros, or any one value for each byte.
inline StoredTensor stored(Dtype dtype, std::vector<std::uint64_t> shape, unsigned char value = 0) {
  std::size_t size = bits_of(dtype) / 8;
  for (const std::uint64_t dimension : shape) size *= dimension;
  return {dtype, std::move(shape), std::vector<std::byte>(size, std::byte{value})};
}

/// Every tensor of a model by its name in files, but no output of a tied one.
template <RealScalar S>
StoredTensors llama_tensors(const LlamaConfig& config, const LlamaWeights<S>& weights) {
  StoredTensors tensors;
  tensors["model.embed_tokens.weight"] = stored(weights.embedding);
  if (!config.tied_output) tensors["lm_head.weight"] = stored(weights.output);
  const auto norm = [&](RowVector<S> factors) {
    if (config.form.centred_norms) factors.array() -= S{1};
    return stored(factors);
  };
  tensors["model.norm.weight"] = norm(weights.norm);
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    const LlamaLayerWeights<S>& layer = weights.layers[i];
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    const auto add = [&](const std::string& name, const WeightMatrix& weight,
                         const RowVector<S>& bias) {
      tensors[prefix + name + ".weight"] = stored(weight);
      if (bias.size() > 0) tensors[prefix + name + ".bias"] = stored(bias);
    };
    add("self_attn.q_proj", layer.q, layer.q_bias);
    add("self_attn.k_proj", layer.k, layer.k_bias);
    add("self_attn.v_proj", layer.v, layer.v_bias);
    add("self_attn.o_proj", layer.o, layer.o_bias);
    add("mlp.gate_proj", layer.gate, layer.gate_bias);
    add("mlp.up_proj", layer.up, layer.up_bias);
    add("mlp.down_proj", layer.down, layer.down_bias);
    tensors[prefix + "input_layernorm.weight"] = norm(layer.input_norm);
    if (config.form.head_norms) {
      tensors[prefix + "self_attn.q_norm.weight"] = norm(layer.q_norm);
      tensors[prefix + "self_attn.k_norm.weight"] = norm(layer.k_norm);
    }
    if (config.form.branch_norms) {
      tensors[prefix + "post_attention_layernorm.weight"] = norm(layer.attention_branch_norm);
      tensors[prefix + "pre_feedforward_layernorm.weight"] = norm(layer.post_attention_norm);
      tensors[prefix + "post_feedforward_layernorm.weight"] = norm(layer.mlp_branch_norm);
    } else {
      tensors[prefix + "post_attention_layernorm.weight"] = norm(layer.post_attention_norm);
    }
  }
  return tensors;
}

/// model.safetensors, or so many shards with their index, the tensors dealt out like cards.
inline void write_llama_tensors(const std::filesystem::path& folder, const StoredTensors& tensors,
                                std::size_t shards = 1) {
  std::vector<SafetensorsWriter> writers(shards);
  Json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", Json::object()}};
  const auto file_of = [&](std::size_t shard) {
    if (shards == 1) return std::string("model.safetensors");
    return "model-" + std::to_string(shard + 1) + "-of-" + std::to_string(shards) + ".safetensors";
  };
  std::size_t number = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t shard = number++ % shards;
    writers[shard].add_bytes(name, tensor.dtype, tensor.shape, tensor.bytes);
    index["weight_map"][name] = file_of(shard);
  }
  for (std::size_t i = 0; i < shards; ++i) writers[i].write(folder / file_of(i));
  if (shards == 1) return;
  std::ofstream(folder / "model.safetensors.index.json", std::ios::binary) << index.dump(1);
}

/// config.json and the tensors.
template <RealScalar S>
void write_llama_folder(const std::filesystem::path& folder, const LlamaConfig& config,
                        const LlamaWeights<S>& weights, std::size_t shards = 1) {
  std::ofstream(folder / "config.json", std::ios::binary) << llama_config_json(config).dump(1);
  write_llama_tensors(folder, llama_tensors(config, weights), shards);
}

}  // namespace anyssr::test
