// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The shape of a LLaMA-family model: sizes, biases, rotary base and windows.
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
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/token_id.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI {

enum class RopeType : std::uint8_t { standard, linear, llama3 };

namespace detail {
template <>
inline constexpr RopeType last_enumerator<RopeType> = RopeType::llama3;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(RopeType type) {
  switch (type) {
    case RopeType::standard:
      return "standard";
    case RopeType::linear:
      return "linear";
    case RopeType::llama3:
      return "llama3";
  }
  detail::raise_no_enumerator("rope type", type);
}

struct RopeOptions {
  RopeType type = RopeType::standard;
  double theta = 10000;                  ///< above 0
  double factor = 1;                     ///< linear, llama3: at least 1
  double low_freq_factor = 1;            ///< llama3: above 0
  double high_freq_factor = 4;           ///< llama3: above low_freq_factor
  double original_max_positions = 8192;  ///< llama3: M, at least 1

  [[nodiscard]] friend bool operator==(const RopeOptions&, const RopeOptions&) = default;
};

/// A model's shape. The names in brackets are the keys of config.json.
struct LlamaConfig {
  std::string model_type = "llama";  ///< llama, mistral or qwen2
  Index vocab_size = 0;
  Index hidden_size = 0;
  Index intermediate_size = 0;
  Index layers = 0;    ///< (num_hidden_layers) 1..4096
  Index heads = 0;     ///< (num_attention_heads)
  Index kv_heads = 0;  ///< (num_key_value_heads) a divisor of heads
  Index head_dim = 0;  ///< even; need not be hidden_size / heads
  double rms_norm_eps = 1e-6;
  Index max_positions = 2048;  ///< (max_position_embeddings)
  RopeOptions rope = {};
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

  /// @throws ArgumentError  naming a field that is out of range
  void check() const;
};

namespace detail {

inline constexpr std::array<std::string_view, 3> llama_types{"llama", "mistral", "qwen2"};
inline constexpr Index max_llama_layers = 4096;
inline constexpr Index max_llama_width = Index{1} << 24;  // so that no product of sizes overflows
inline constexpr Index max_llama_count = std::numeric_limits<TokenId>::max();

inline void expect_llama_size(std::string_view name, Index value, Index most) {
  expect(value >= 1 && value <= most, name, " is ", value, ", expected 1..", most);
}

inline void check_rope(const RopeOptions& rope) {
  expect_positive("rope.theta (rope_theta)", rope.theta);
  if (rope.type == RopeType::standard) return;
  expect(is_finite(rope.factor) && rope.factor >= 1, "rope.factor is ", rope.factor,
         ", expected a finite number of at least 1");
  if (rope.type == RopeType::linear) return;
  expect_positive("rope.low_freq_factor", rope.low_freq_factor);
  expect(is_finite(rope.high_freq_factor) && rope.high_freq_factor > rope.low_freq_factor,
         "rope.high_freq_factor is ", rope.high_freq_factor,
         ", expected a finite number above low_freq_factor, ", rope.low_freq_factor);
  expect(is_finite(rope.original_max_positions) && rope.original_max_positions >= 1,
         "rope.original_max_positions (original_max_position_embeddings) is ",
         rope.original_max_positions, ", expected a finite number of at least 1");
}

}  // namespace detail

inline void LlamaConfig::check() const {
  using detail::expect;
  using detail::expect_llama_size;
  expect(std::ranges::count(detail::llama_types, model_type) > 0, "model_type is \"", model_type,
         "\", expected llama, mistral or qwen2");
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
  detail::check_rope(rope);
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
[[nodiscard]] inline Vector<double> rotary_frequencies(const LlamaConfig& config) {
  const RopeOptions& rope = config.rope;
  detail::expect(config.head_dim >= 2 && config.head_dim % 2 == 0, "head_dim is ", config.head_dim,
                 ", expected an even number above 0");
  detail::check_rope(rope);
  Vector<double> frequencies(config.head_dim / 2);
  for (Index i = 0; i < frequencies.size(); ++i) {
    const double share = static_cast<double>(2 * i) / static_cast<double>(config.head_dim);
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

}  // namespace anyssr::inline ANYSSR_ABI
