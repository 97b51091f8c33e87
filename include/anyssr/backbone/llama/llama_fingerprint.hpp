// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The identity of a language model as a backbone.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "anyssr/backbone/llama/llama_model.hpp"
#include "anyssr/io/json_fields.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// What layers compute beside llama's, and nothing where that is nothing: the names of models that
/// are saved in checkpoints stay.
inline void add_form(const LlamaConfig& config, Digest& digest) {
  const LlamaForm& form = config.form;
  if (form != LlamaForm{}) {
    digest.add(std::string_view("form"));
    digest.add(static_cast<std::uint64_t>(form.activation));
    for (const bool has : {form.head_norms, form.branch_norms, form.centred_norms}) {
      digest.add(std::uint64_t{has});
    }
    digest.add(form.embedding_factor);
    digest.add(form.query_scalar);
  }
  if (config.rotations.empty()) return;
  digest.add(std::string_view("rotations"));
  for (const LayerRope rotation : config.rotations) {
    digest.add(static_cast<std::uint64_t>(rotation));
  }
  if (std::ranges::count(config.rotations, LayerRope::local) == 0) return;
  const RopeOptions& rope = config.local_rope;
  for (const double number : {rope.theta, rope.factor, rope.low_freq_factor, rope.high_freq_factor,
                              rope.original_max_positions}) {
    digest.add(number);
  }
  digest.add(static_cast<std::uint64_t>(rope.type));
}

/// What a checkpoint names its backbone by: configuration, k and weights, a sample of each large
/// tensor. The same in any scalar.
template <RealScalar S>
[[nodiscard]] std::string llama_fingerprint(const LlamaModel<S>& model, Index shallow_layers) {
  const LlamaConfig& c = model.config();
  const RopeOptions& rope = c.rope;
  Digest digest;
  digest.add(std::string_view(c.model_type));
  for (const Index size : {c.vocab_size, c.hidden_size, c.intermediate_size, c.layers, c.heads,
                           c.kv_heads, c.head_dim, shallow_layers}) {
    digest.add(static_cast<std::uint64_t>(size));
  }
  for (const double number : {c.rms_norm_eps, rope.theta, rope.factor, rope.low_freq_factor,
                              rope.high_freq_factor, rope.original_max_positions}) {
    digest.add(number);
  }
  digest.add(static_cast<std::uint64_t>(rope.type));
  for (const Index window : c.windows) digest.add(static_cast<std::uint64_t>(window));
  add_form(c, digest);
  const auto add_matrix = [&](const WeightMatrix& matrix) {
    constexpr std::size_t piece = 4096;
    constexpr std::size_t pieces = 64;
    const std::span<const std::byte> bytes = matrix.data();
    const std::size_t step = std::max(piece, bytes.size() / pieces);
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      const auto part = bytes.subspan(at, std::min(piece, bytes.size() - at));
      digest.add(std::string_view(reinterpret_cast<const char*>(part.data()), part.size()));
    }
  };
  add_matrix(model.weights().embedding);
  add_matrix(model.weights().output);
  const auto add_vector = [&](const RowVector<S>& vector) {  // the same digest in any S
    digest.add(RowVector<float>(vector.template cast<float>()));
  };
  add_vector(model.weights().norm);
  const auto linears = llama_linears<S>(c);
  const auto norms = llama_norms<S>(c);
  for (Index layer = 0; layer < c.layers; ++layer) {
    const LlamaLayerWeights<S>& w = model.layer_weights(layer);
    for (const LlamaNorm<S>& norm : norms) {
      if (norm.size > 0) add_vector(w.*norm.weight);
    }
    for (const LlamaLinear<S>& linear : linears) {
      add_matrix(w.*linear.weight);
      add_vector(w.*linear.bias);
    }
  }
  return concat(c.model_type, "-", c.layers, "x", c.hidden_size, "|k:", shallow_layers, "|",
                word_text(digest.value()));
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
