// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The shape of a LLaMA-family model: sizes, biases, what a layer computes, rotary bases, windows.
///
/// Rotary frequencies, i = 0 .. h/2 - 1 with h = head_dim, w = 2 pi / f the wavelength and M the
/// positions of the original model:
///
///   standard  f_i = theta^(-2 i / h)
///   linear    f_i / factor
///   llama3    w < M / high      f_i
///             w > M / low       f_i / factor
///             between           (1 - s) f_i / factor + s f_i,  s = (M / w - low) / (high - low)

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/backbone/llama/llama_families.hpp"
#include "anyssr/backbone/llama/llama_form.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/token_id.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// A model's shape. The names in brackets are the keys of config.json.
struct LlamaConfig {
  std::string model_type = "llama";  ///< of one of the families (llama_families.hpp)
  Index vocab_size = 0;
  Index hidden_size = 0;
  Index intermediate_size = 0;
  Index layers = 0;    ///< (num_hidden_layers) 1..4096
  Index heads = 0;     ///< (num_attention_heads)
  Index kv_heads = 0;  ///< (num_key_value_heads) a divisor of heads
  Index head_dim = 0;  ///< even; need not be hidden_size / heads
  double rms_norm_eps = 1e-6;
  Index max_positions = 2048;  ///< (max_position_embeddings)
  LlamaForm form = {};
  RopeOptions rope = {};
  RopeOptions local_rope = {};            ///< of layers whose rotation is `local`
  std::vector<LayerRope> rotations = {};  ///< one per layer; none at all: main in every layer
  bool qkv_bias = false;
  bool output_bias = false;  ///< of o_proj
  bool mlp_bias = false;     ///< of gate, up and down
  bool tied_output = false;  ///< (tie_word_embeddings) the output weight is the embedding
  /// One a layer: tokens that a query may see, itself included; 0: all that are before it.
  std::vector<Index> windows = {};
  std::optional<TokenId> bos = std::nullopt;
  std::vector<TokenId> eos = {};  ///< any of them ends a text

  [[nodiscard]] friend bool operator==(const LlamaConfig&, const LlamaConfig&) = default;

  [[nodiscard]] Index query_dim() const noexcept { return heads * head_dim; }
  [[nodiscard]] Index kv_dim() const noexcept { return kv_heads * head_dim; }
  [[nodiscard]] LayerRope rotation(Index layer) const {
    return rotations.empty() ? LayerRope::main : rotations[static_cast<std::size_t>(layer)];
  }

  /// @throws ArgumentError  naming a field that is out of range
  void check() const;
};

namespace detail {

inline constexpr Index max_llama_layers = 4096;
inline constexpr Index max_llama_width = Index{1} << 24;  // so that no product of sizes overflows
inline constexpr Index max_llama_count = std::numeric_limits<TokenId>::max();

inline void expect_llama_size(std::string_view name, Index value, Index most) {
  expect(value >= 1 && value <= most, name, " is ", value, ", expected 1..", most);
}

}  // namespace detail

inline void LlamaConfig::check() const {
  using detail::expect;
  using detail::expect_llama_size;
  expect(detail::find_llama_family(model_type) != nullptr, "model_type is \"", model_type,
         "\", expected ", detail::llama_family_names());
  expect_llama_size("vocab_size", vocab_size, detail::max_llama_count);
  expect_llama_size("hidden_size", hidden_size, detail::max_llama_width);
  expect_llama_size("intermediate_size", intermediate_size, detail::max_llama_width);
  expect_llama_size("layers (num_hidden_layers)", layers, detail::max_llama_layers);
  expect_llama_size("heads (num_attention_heads)", heads, detail::max_llama_width);
  expect(kv_heads >= 1 && kv_heads <= heads && heads % kv_heads == 0,
         "kv_heads (num_key_value_heads) is ", kv_heads,
         ", expected a divisor of heads (num_attention_heads), ", heads);
  expect_llama_size("head_dim", head_dim, detail::max_llama_width);
  expect(head_dim % 2 == 0, "head_dim is ", head_dim, ", expected an even number");
  expect_llama_size("heads times head_dim", query_dim(), detail::max_llama_width);
  detail::expect_positive("rms_norm_eps", rms_norm_eps);
  expect_llama_size("max_positions (max_position_embeddings)", max_positions,
                    detail::max_llama_count);
  detail::check_form(form);
  detail::check_rope(rope);
  expect(rotations.empty() || static_cast<Index>(rotations.size()) == layers, "rotations have ",
         rotations.size(), " entries, expected none or one entry per layer, ", layers);
  if (std::ranges::count(rotations, LayerRope::local) > 0) {
    detail::check_rope(local_rope, "local_rope", "rope_local_base_freq");
  }
  expect(static_cast<Index>(windows.size()) == layers, "windows have ", windows.size(),
         " entries, expected one entry per layer, ", layers);
  for (const Index window : windows) {
    expect(window >= 0, "windows have ", window, ", expected 0 or more tokens");
  }
  if (bos) {
    expect(*bos >= 0 && *bos < vocab_size, "bos (bos_token_id) is ", *bos, ", expected 0..",
           vocab_size - 1);
  }
  for (const TokenId id : eos) {
    expect(id >= 0 && id < vocab_size, "eos (eos_token_id) has ", id, ", expected 0..",
           vocab_size - 1);
  }
}

/// Radians a position for each pair of elements (j, j + head_dim / 2), head_dim / 2 numbers.
/// @throws ArgumentError  where head_dim or rope is out of range
[[nodiscard]] inline Vector<double> rotary_frequencies(Index head_dim, const RopeOptions& rope) {
  detail::expect(head_dim >= 2 && head_dim % 2 == 0, "head_dim is ", head_dim,
                 ", expected an even number above 0");
  detail::check_rope(rope);
  Vector<double> frequencies(head_dim / 2);
  for (Index i = 0; i < frequencies.size(); ++i) {
    const double share = static_cast<double>(2 * i) / static_cast<double>(head_dim);
    const double f = std::pow(rope.theta, -share);
    frequencies[i] = f;
    if (rope.type == RopeType::linear) frequencies[i] = f / rope.factor;
    if (rope.type != RopeType::llama3) continue;
    const double turns = rope.original_max_positions * f / (2 * std::numbers::pi);  // M / w
    const double low = rope.low_freq_factor;
    const double high = rope.high_freq_factor;
    const double s = std::clamp((turns - low) / (high - low), 0.0, 1.0);  // ends: the outer cases
    frequencies[i] = (1 - s) * (f / rope.factor) + s * f;
  }
  return frequencies;
}

/// Of the layers that turn by the main base.
/// @throws ArgumentError  where head_dim or rope is out of range
[[nodiscard]] inline Vector<double> rotary_frequencies(const LlamaConfig& config) {
  return rotary_frequencies(config.head_dim, config.rope);
}

}  // namespace anyssr::inline ANYSSR_ABI
