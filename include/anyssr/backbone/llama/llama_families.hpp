// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The families of decoders that are read, one table entry each: what their layers compute
/// (llama_form.hpp), and what config.json of a family means where a key is absent. Another family
/// that is made of the same parts is another entry, and a test of it.
///
///   llama        two norms per layer
///   mistral      llama with one window for all layers
///   qwen2        llama with biases on q, k and v
///   qwen3        llama with norms on the heads of q and k
///   smollm3      llama with layers that do not turn queries and keys
///   gemma3_text  four norms per layer and norms on heads, all 1 + w; GELU; scaled embeddings; most
///                layers with a window and a rotary base of their own
/// Sources: arXiv 2302.13971, 2307.09288 (LLaMA), 2310.06825 (Mistral), 2407.10671 (Qwen2),
/// 2505.09388 (Qwen3), 2501.18795 (layers without rotation), 2503.19786 (Gemma 3).

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "anyssr/backbone/llama/llama_form.hpp"
#include "anyssr/core/token_id.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Which of q, k, v and o have a bias.
enum class BiasRule : std::uint8_t {
  none,
  by_key,  // all four where attention_bias is true
  qkv,     // q, k and v, which no key says
};

/// Which layers have the window of sliding_window, where no layer_types say it.
enum class WindowRule : std::uint8_t {
  none,        // a window is refused
  all,         // and layer_types must agree
  late,        // from max_window_layers on, if use_sliding_window is true
  unrotated,   // those that do not turn queries and keys, if use_sliding_window is true
  by_pattern,  // all but every sliding_window_pattern-th
};

struct LlamaFamily {
  std::string_view model_type;
  std::string_view architecture;
  LlamaForm form = {};
  bool scales_embeddings = false;  // by sqrt(hidden_size), rounded to float
  BiasRule attention_bias = BiasRule::none;
  bool has_mlp_bias = false;  // where mlp_bias is true
  WindowRule windows = WindowRule::none;
  bool has_unrotated_layers = false;  // those where no_rope_layers has a 0
  bool has_local_rope = false;        // layers with a window turn by a base of their own
  std::string_view activation_key = "hidden_act";

  // where a key is absent
  Index kv_heads = 0;  // 0: as many as heads, which null means in any family
  Index head_dim = 0;  // also for null; 0: hidden_size / heads
  Index max_positions = 2048;
  bool tied_output = false;
  double rope_theta = 10000;
  double local_theta = 10000;
  Index window = 4096;  // 0: none
  std::optional<TokenId> bos = std::nullopt;
  std::optional<TokenId> eos = std::nullopt;
};

inline constexpr auto llama_families = std::to_array<LlamaFamily>({
    {.model_type = "llama",
     .architecture = "LlamaForCausalLM",
     .attention_bias = BiasRule::by_key,
     .has_mlp_bias = true,
     .bos = 1,
     .eos = 2},
    {.model_type = "mistral",
     .architecture = "MistralForCausalLM",
     .windows = WindowRule::all,
     .kv_heads = 8,
     .bos = 1,
     .eos = 2},
    {.model_type = "qwen2",
     .architecture = "Qwen2ForCausalLM",
     .attention_bias = BiasRule::qkv,
     .windows = WindowRule::late,
     .kv_heads = 32},
    {.model_type = "qwen3",
     .architecture = "Qwen3ForCausalLM",
     .form = {.head_norms = true},
     .attention_bias = BiasRule::by_key,
     .windows = WindowRule::late,
     .kv_heads = 32,
     .head_dim = 128,
     .max_positions = 32768},
    {.model_type = "smollm3",
     .architecture = "SmolLM3ForCausalLM",
     .attention_bias = BiasRule::by_key,
     .has_mlp_bias = true,
     .windows = WindowRule::unrotated,
     .has_unrotated_layers = true,
     .kv_heads = 4,
     .max_positions = 32768,
     .tied_output = true,
     .rope_theta = 2e6,
     .window = 0,
     .bos = 128000,
     .eos = 128001},
    {.model_type = "gemma3_text",
     .architecture = "Gemma3ForCausalLM",
     .form = {.activation = GateActivation::gelu_tanh,
              .head_norms = true,
              .branch_norms = true,
              .centred_norms = true,
              .query_scalar = 256},
     .scales_embeddings = true,
     .attention_bias = BiasRule::by_key,
     .windows = WindowRule::by_pattern,
     .has_local_rope = true,
     .activation_key = "hidden_activation",
     .kv_heads = 4,
     .head_dim = 256,
     .max_positions = 131072,
     .tied_output = true,
     .rope_theta = 1e6,
     .bos = 2,
     .eos = 1},
});

/// Null for a model type that is not read.
[[nodiscard]] constexpr const LlamaFamily* find_llama_family(std::string_view model_type) {
  const auto* const found = std::ranges::find(llama_families, model_type, &LlamaFamily::model_type);
  return found == llama_families.end() ? nullptr : found;
}

/// "llama, mistral, ... or gemma3_text"
[[nodiscard]] inline std::string llama_family_names() {
  std::string names;
  for (std::size_t i = 0; i < llama_families.size(); ++i) {
    if (i > 0) names += i + 1 == llama_families.size() ? " or " : ", ";
    names += llama_families[i].model_type;
  }
  return names;
}

/// Why a model type that resembles one of those above is not read.
[[nodiscard]] constexpr std::string_view reason_against(std::string_view model_type) {
  if (model_type.ends_with("_moe") || model_type == "mixtral") {
    return "layers of experts are not supported";
  }
  if (model_type == "gemma3") return "of that one only the text model, gemma3_text, is read";
  return "others compute differently under like names";
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
