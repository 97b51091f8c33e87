// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The recursion as published code evaluates it, from left to right: a baseline for speed and for
/// exactness, never part of the library.
///
///   R <- R - R X^T pinv(I + X R X^T) X R          W <- W + R X^T (Y - X W)
///
/// With R d x d and X n x d the product before the last is d x d, so a batch costs 2 d^3 flops
/// however few rows it has. Source: arXiv 2503.13575, arXiv 2205.14922 and their codes.

#include <Eigen/QR>

#include "anyssr/core/types.hpp"

namespace bench {

template <class S>
class PublishedRecursion {
 public:
  PublishedRecursion(anyssr::Index dim, anyssr::Index targets, double ridge)
      : inverse_gram_(anyssr::Matrix<S>::Identity(dim, dim) / static_cast<S>(ridge)),
        weights_(anyssr::Matrix<S>::Zero(dim, targets)) {}

  void update(const anyssr::Matrix<S>& x, const anyssr::Matrix<S>& y) {
    const anyssr::Index n = x.rows();
    const anyssr::Matrix<S> right = inverse_gram_ * x.transpose();
    const anyssr::Matrix<S> inner = anyssr::Matrix<S>::Identity(n, n) + x * right;
    const anyssr::Matrix<S> pseudo_inverse =
        inner.completeOrthogonalDecomposition().pseudoInverse();
    const anyssr::Matrix<S> gain = right * pseudo_inverse;
    const anyssr::Matrix<S> square = gain * x;
    inverse_gram_ = (inverse_gram_ - square * inverse_gram_).eval();
    const anyssr::Matrix<S> innovation = y - x * weights_;
    weights_.noalias() += inverse_gram_ * x.transpose() * innovation;
  }

  [[nodiscard]] const anyssr::Matrix<S>& weights() const noexcept { return weights_; }

 private:
  anyssr::Matrix<S> inverse_gram_;  // d x d
  anyssr::Matrix<S> weights_;       // d x T
};

}  // namespace bench
