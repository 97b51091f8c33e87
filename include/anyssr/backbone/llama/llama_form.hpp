// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the layers of one decoder compute and those of another do not: norms, activation, factors,
/// and the base by which a layer turns its queries and keys. The defaults are llama's. A family of
/// models is a choice of these (llama_families.hpp); the passes forward and backward know no
/// family.

#include <cstdint>
#include <string_view>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"

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

/// Where a layer's rotary frequencies come from.
enum class LayerRope : std::uint8_t {
  main,   ///< LlamaConfig::rope
  local,  ///< LlamaConfig::local_rope
  none,   ///< queries and keys are not turned
};

/// What the gate goes through before it multiplies `up`.
enum class GateActivation : std::uint8_t {
  silu,       ///< g / (1 + exp(-g))
  gelu_tanh,  ///< g / 2 (1 + tanh(sqrt(2 / pi) (g + 0.044715 g^3)))
};

namespace detail {
template <>
inline constexpr LayerRope last_enumerator<LayerRope> = LayerRope::none;
template <>
inline constexpr GateActivation last_enumerator<GateActivation> = GateActivation::gelu_tanh;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(LayerRope rope) {
  switch (rope) {
    case LayerRope::main:
      return "main";
    case LayerRope::local:
      return "local";
    case LayerRope::none:
      return "none";
  }
  detail::raise_no_enumerator("rope of a layer", rope);
}

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(GateActivation activation) {
  switch (activation) {
    case GateActivation::silu:
      return "silu";
    case GateActivation::gelu_tanh:
      return "gelu_tanh";
  }
  detail::raise_no_enumerator("gate activation", activation);
}

/// What holds for all layers of a model.
struct LlamaForm {
  GateActivation activation = GateActivation::silu;
  bool head_norms = false;      ///< each head of q and k has an RMSNorm, before it is turned
  bool branch_norms = false;    ///< attention and MLP have an RMSNorm on what they add
  bool centred_norms = false;   ///< files store w where norms multiply by 1 + w
  double embedding_factor = 1;  ///< above 0; the output weight of tied models goes without it
  double query_scalar = 0;      ///< scores are divided by its square root; 0: by head_dim's

  [[nodiscard]] friend bool operator==(const LlamaForm&, const LlamaForm&) = default;
};

namespace detail {

/// @param name  of the rope in its config, and the key of its base in config.json
inline void check_rope(const RopeOptions& rope, std::string_view name = "rope",
                       std::string_view key = "rope_theta") {
  expect_positive(concat(name, ".theta (", key, ")"), rope.theta);
  if (rope.type == RopeType::standard) return;
  expect(is_finite(rope.factor) && rope.factor >= 1, name, ".factor is ", rope.factor,
         ", expected a finite number of at least 1");
  if (rope.type == RopeType::linear) return;
  expect_positive(concat(name, ".low_freq_factor"), rope.low_freq_factor);
  expect(is_finite(rope.high_freq_factor) && rope.high_freq_factor > rope.low_freq_factor, name,
         ".high_freq_factor is ", rope.high_freq_factor,
         ", expected a finite number above low_freq_factor, ", rope.low_freq_factor);
  expect(is_finite(rope.original_max_positions) && rope.original_max_positions >= 1, name,
         ".original_max_positions (original_max_position_embeddings) is ",
         rope.original_max_positions, ", expected a finite number of at least 1");
}

inline void check_form(const LlamaForm& form) {
  expect_positive("form.embedding_factor", form.embedding_factor);
  expect(is_finite(form.query_scalar) && form.query_scalar >= 0,
         "form.query_scalar (query_pre_attn_scalar) is ", form.query_scalar,
         ", expected a finite number of at least 0");
}

}  // namespace detail

}  // namespace anyssr::inline ANYSSR_ABI
