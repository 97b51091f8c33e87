// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A Cholesky factor of a Gram matrix that outlives the sums it came from:
///
///   S + lambda I = U^T U        leverage(h) = h (S + lambda I)^-1 h^T = |U^-T h^T|^2
///
/// Source: ours.

#include <algorithm>

#include "anyssr/linalg/cholesky.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
struct GramFactor {
  Matrix<S> square;    ///< d x d: U above the diagonal; the rest is not read
  Vector<S> diagonal;  ///< d: that of U
  int threads = 1;

  /// @param rows      n x d, dense or row-major sparse
  /// @param solved    memory to use again
  /// @param leverage  n, gets one number a row
  /// Cost: n d^2 flops, in chunks of 512 rows.
  template <class H, class L>
  void leverage(const H& rows, Matrix<S>& solved, L&& leverage) const {
    constexpr Index chunk = 512;
    for (Index begin = 0; begin < rows.rows(); begin += chunk) {
      const Index count = std::min(chunk, rows.rows() - begin);
      solved = rows.middleRows(begin, count).transpose();
      solve_forward(square, diagonal, solved, threads);
      leverage.segment(begin, count) = solved.colwise().squaredNorm().transpose();
    }
  }
};

}  // namespace anyssr::inline ANYSSR_ABI
