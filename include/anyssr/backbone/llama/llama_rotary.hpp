// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The rotary tables of a model's layers: one for all, two where some layers have a base of their
/// own, and none for layers that do not turn queries and keys.

#include <algorithm>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/backbone/llama/llama_kernels.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

template <RealScalar S>
class LlamaRotary {
 public:
  explicit LlamaRotary(const LlamaConfig& config)
      : rotations_(config.rotations), main_(rotary_frequencies(config)) {
    if (std::ranges::count(rotations_, LayerRope::local) > 0) {
      local_.emplace_back(rotary_frequencies(config.head_dim, config.local_rope));
    }
  }

  /// Makes the positions 0..count-1 known.
  void grow(Index count) {
    main_.grow(count);
    for (RotaryTable<S>& table : local_) table.grow(count);
  }

  /// Null where the layer turns nothing.
  [[nodiscard]] const RotaryTable<S>* of(Index layer) const {
    if (rotations_.empty()) return &main_;
    switch (rotations_[static_cast<std::size_t>(layer)]) {
      case LayerRope::main:
        return &main_;
      case LayerRope::local:
        return &local_.front();
      case LayerRope::none:
        break;
    }
    return nullptr;
  }

 private:
  std::vector<LayerRope> rotations_;  // by layer; none: main
  RotaryTable<S> main_;
  std::vector<RotaryTable<S>> local_;  // one at most
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
