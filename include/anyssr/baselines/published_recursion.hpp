// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The recursion as published code evaluates it, from left to right: to compare with in speed and
/// in exactness.
///
///   R <- R - R X^T pinv(I + X R X^T) X R          W <- W + R X^T (Y - X W)
///
/// With R d x d and X n x d the product before the last is d x d, so a batch costs 2 d^3 flops
/// however few rows it has. Rounding errors of R add up from batch to batch.
/// Source: arXiv 2503.13575, arXiv 2205.14922 and their codes.

#include <Eigen/QR>
#include <cstddef>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
class PublishedRecursion {
 public:
  /// @param dim      d, at least 1
  /// @param targets  at least 1
  /// @param ridge    above 0: R starts at I / ridge
  /// @throws ArgumentError
  PublishedRecursion(Index dim, Index targets, double ridge) {
    detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
    detail::expect(targets >= 1, "targets is ", targets, ", expected at least 1");
    detail::expect_positive("ridge", ridge);
    inverse_gram_ = Matrix<S>::Identity(dim, dim) / static_cast<S>(ridge);
    weights_ = Matrix<S>::Zero(dim, targets);
  }

  /// A batch of rows, which may be empty.
  /// @param x  n x d;  y  n x targets
  /// @throws ShapeError, NonFiniteError; nothing has changed then
  void update(const Matrix<S>& x, const Matrix<S>& y) {
    detail::expect_cols("x", x, inverse_gram_.rows());
    detail::expect_shape("y", y, x.rows(), weights_.cols());
    detail::expect_finite("x", x);
    detail::expect_finite("y", y);
    const Index n = x.rows();
    if (n == 0) return;  // Eigen decomposes no empty matrix
    const auto right = detail::product_of<Matrix<S>>(inverse_gram_, x.transpose());
    Matrix<S> inner = Matrix<S>::Identity(n, n);
    detail::add_product(inner, x, right);
    const Matrix<S> pseudo_inverse = inner.completeOrthogonalDecomposition().pseudoInverse();
    const auto gain = detail::product_of<Matrix<S>>(right, pseudo_inverse);
    const auto square = detail::product_of<Matrix<S>>(gain, x);
    inverse_gram_ -= detail::product_of<Matrix<S>>(square, inverse_gram_);
    Matrix<S> innovation = y;
    detail::subtract_product(innovation, x, weights_);
    const auto step = detail::product_of<Matrix<S>>(inverse_gram_, x.transpose());
    detail::add_product(weights_, step, innovation);
  }

  /// d x targets.
  [[nodiscard]] const Matrix<S>& weights() const noexcept { return weights_; }
  /// Another target, whose weights are 0: rows before it were examples of the others.
  void add_target() {
    weights_.conservativeResize(Eigen::NoChange, weights_.cols() + 1);
    weights_.rightCols(1).setZero();
  }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(inverse_gram_.size() + weights_.size()) * sizeof(S);
  }

 private:
  Matrix<S> inverse_gram_;  // R, d x d
  Matrix<S> weights_;       // W, d x targets
};

}  // namespace anyssr::inline ANYSSR_ABI
