// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The keys (turned by their positions) and values of one sequence, layer by layer: what decoding
/// goes on from.

#include <cstddef>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
class KeyValueCache {
 public:
  /// @param capacity  positions that it can hold
  /// @param width     kv_heads head_dim
  /// Cost: 2 layers capacity width numbers.
  KeyValueCache(Index layers, Index capacity, Index width)
      : layers_(static_cast<std::size_t>(layers)) {
    for (Layer& layer : layers_) {
      layer.keys.resize(capacity, width);
      layer.values.resize(capacity, width);
    }
  }

  /// Sets the positions from `position` on.
  /// @throws ArgumentError  beyond the capacity
  template <class K, class V>
  void put(Index layer, Index position, const K& keys, const V& values) {
    Layer& own = layers_[static_cast<std::size_t>(layer)];
    detail::expect(position + keys.rows() <= own.keys.rows(), "positions ", position, " to ",
                   position + keys.rows(), " are to be kept, expected at most ", own.keys.rows());
    own.keys.middleRows(position, keys.rows()) = keys;
    own.values.middleRows(position, values.rows()) = values;
  }

  [[nodiscard]] const S* keys(Index layer) const noexcept {
    return layers_[static_cast<std::size_t>(layer)].keys.data();
  }
  [[nodiscard]] const S* values(Index layer) const noexcept {
    return layers_[static_cast<std::size_t>(layer)].values.data();
  }

 private:
  struct Layer {
    RowMajorMatrix<S> keys;  // capacity x width
    RowMajorMatrix<S> values;
  };
  std::vector<Layer> layers_;
};

}  // namespace anyssr::inline ANYSSR_ABI
