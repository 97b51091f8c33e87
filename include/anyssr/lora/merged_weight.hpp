// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A layer's weight with LoRA modules merged into it:
///
///   W = W0 + sum_i w_i c_i B_i A_i        (arXiv 2106.09685, section 4.1)
///
/// Subtracting a module again would not give W0 back: W0 + D - D differs in its last bits. So W0
/// is kept, and restore() copies it: bit for bit what it was.

#include <utility>

#include "anyssr/lora/lora_module.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
class MergedWeight {
 public:
  using Scalar = S;

  /// @param weight  W0, out x in
  /// @throws NonFiniteError
  explicit MergedWeight(Matrix<S> weight) : original_(std::move(weight)) {
    detail::expect_finite("weight", original_);
    weight_ = original_;
  }

  /// W += weight * c B A, on top of what is merged already.
  /// @throws ShapeError     the module is of another layer
  /// @throws ArgumentError  weight is not finite
  /// @throws NumericalError  the sum overflows; nothing changes then
  /// Cost: out * r * in time, one more out x in matrix for a moment.
  void merge(const LoraModule<S>& module, double weight = 1) {
    detail::expect<ShapeError>(
        module.out_dim() == original_.rows() && module.in_dim() == original_.cols(),
        "module is out ", module.out_dim(), " x in ", module.in_dim(), ", expected out ",
        original_.rows(), " x in ", original_.cols());
    detail::expect(detail::is_finite(weight), "weight is ", weight, ", expected a finite number");
    Matrix<S> sum = weight_ + static_cast<S>(weight) * module.delta();
    detail::expect<NumericalError>(
        detail::is_finite(sum),
        "merging overflows the weight; nothing was changed, lower the weight (", weight, ")");
    weight_ = std::move(sum);
    is_merged_ = true;
  }

  /// W = W0, bit for bit.
  void restore() {
    weight_ = original_;
    is_merged_ = false;
  }

  /// W, out x in.
  [[nodiscard]] const Matrix<S>& weight() const noexcept { return weight_; }
  /// W0, out x in.
  [[nodiscard]] const Matrix<S>& original() const noexcept { return original_; }
  [[nodiscard]] bool is_merged() const noexcept { return is_merged_; }

 private:
  Matrix<S> original_;  // W0, never written after the constructor
  Matrix<S> weight_;    // W0 and what is merged
  bool is_merged_ = false;
};

}  // namespace anyssr::inline ANYSSR_ABI
