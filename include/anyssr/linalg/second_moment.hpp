// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Threaded accumulation of the second moment of rows, one triangle only:
///
///   S += sum_i s_i x_i^T x_i          (lower triangle, diagonal included; s_i = 1 by default)
///
/// Dense rows enter as tiles of general matrix products: n d^2 flops. Sparse rows cost the square
/// of their count of nonzeros. A tile has one owner, so any number of threads gives the same bits.

#include <algorithm>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/threads.hpp"

namespace anyssr::inline v0 {

namespace detail {

/// Width of the tiles that a d x d triangle is cut into: wide enough for the product kernels,
/// narrow enough to share out.
inline constexpr Index triangle_tile = 256;

/// Calls body(row_begin, rows, col_begin, cols) for every tile on or below the diagonal.
template <class Body>
void for_each_lower_tile(int threads, Index dim, const Body& body) {
  const Index side = (dim + triangle_tile - 1) / triangle_tile;
  parallel_for(threads, side * (side + 1) / 2, [&](Index tile) {
    // Long columns of tiles first: the last tiles to be shared out are then cheap to wait for.
    Index column = 0;
    while (tile >= side - column) tile -= side - column++;
    const Index i = (column + tile) * triangle_tile;
    const Index j = column * triangle_tile;
    body(i, std::min(triangle_tile, dim - i), j, std::min(triangle_tile, dim - j));
  });
}

}  // namespace detail

/// second_moment.lower += X^T X; the strict upper triangle is neither read nor written.
/// @param x  n x d, any storage order, finite (the caller has checked)
/// @param second_moment  d x d
template <class X, RealScalar S>
void accumulate_second_moment(const Eigen::MatrixBase<X>& x, Matrix<S>& second_moment,
                              int threads) {
  if (x.rows() == 0) return;
  const double flops = static_cast<double>(x.rows()) * static_cast<double>(x.cols() * x.cols());
  const int team = flops < 1e8 ? 1 : threads;  // below about a millisecond threads do not pay
  detail::for_each_lower_tile(team, x.cols(), [&](Index i, Index rows, Index j, Index cols) {
    const auto left = x.derived().middleCols(i, rows).transpose();
    const auto right = x.derived().middleCols(j, cols);
    auto tile = second_moment.block(i, j, rows, cols);
    if (i == j) {
      tile.template triangularView<Eigen::Lower>() += left * right;
    } else {
      tile.noalias() += left * right;
    }
  });
}

/// The same for compressed sparse rows (their column numbers ascend within a row), with weights
/// s_i.
/// @param row_weights  one a row, or null for all 1
template <RealScalar S>
void accumulate_second_moment(const SparseRows<S>& x, const S* row_weights,
                              Matrix<S>& second_moment) {
  for (Index i = 0; i < x.rows(); ++i) {
    const Index begin = x.outerIndexPtr()[i];
    const Index end = x.isCompressed() ? x.outerIndexPtr()[i + 1] : begin + x.innerNonZeroPtr()[i];
    for (Index p = begin; p < end; ++p) {
      const S scaled = row_weights != nullptr ? row_weights[i] * x.valuePtr()[p] : x.valuePtr()[p];
      S* const column = second_moment.col(x.innerIndexPtr()[p]).data();
      for (Index q = p; q < end; ++q) column[x.innerIndexPtr()[q]] += scaled * x.valuePtr()[q];
    }
  }
}

}  // namespace anyssr::inline v0
