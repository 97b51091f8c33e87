// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Threaded accumulation of the second moment of rows, one triangle only:
///
///   S += sign sum_i s_i x_i^T x_i          (lower triangle, diagonal included; s_i = 1 by default)
///
/// Dense rows enter as tiles of general matrix products, or by a BLAS's syrk: n d^2 flops. Sparse
/// rows cost the square of their count of nonzeros. A tile has one owner, so any number of threads
/// gives the same bits (not where a BLAS takes the large ones).
/// Source: ours.

#include <algorithm>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/blas.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// Width of the tiles that a d x d triangle is cut into: wide enough for the product kernels,
/// narrow enough to share out.
[[nodiscard]] inline Index triangle_tile(Index dim) noexcept { return dim < 2048 ? 256 : 512; }

/// Calls body(row_begin, rows, col_begin, cols) for every tile on or below the diagonal.
template <class Body>
void for_each_lower_tile(int threads, Index dim, const Body& body) {
  const Index width = triangle_tile(dim);
  const Index side = (dim + width - 1) / width;
  parallel_for(threads, side * (side + 1) / 2, [&](Index tile) {
    // Long columns of tiles first: the last tiles to be shared out are then cheap to wait for.
    Index column = 0;
    while (tile >= side - column) tile -= side - column++;
    const Index i = (column + tile) * width;
    const Index j = column * width;
    body(i, std::min(width, dim - i), j, std::min(width, dim - j));
  });
}

}  // namespace detail

/// second_moment.lower += sign X^T X; the strict upper triangle is neither read nor written.
/// @param x  n x d, any storage order, finite (the caller has checked)
/// @param second_moment  d x d
template <class X, RealScalar S>
void accumulate_second_moment(const Eigen::MatrixBase<X>& x, Matrix<S>& second_moment, int threads,
                              Sign sign = Sign::add) {
  if (x.rows() == 0) return;
  const double flops = static_cast<double>(x.rows()) * static_cast<double>(x.cols() * x.cols());
#ifdef ANYSSR_HAS_BLAS
  if constexpr (detail::MatrixInMemory<X>) {
    if (detail::goes_to_blas(flops)) {
      detail::blas_syrk(false, !bool(X::IsRowMajor), x.cols(), x.rows(), static_cast<S>(sign),
                        x.derived().data(), x.derived().outerStride(), second_moment.data(),
                        second_moment.rows(), threads);
      return;
    }
  }
#endif
  detail::for_each_lower_tile(
      detail::team_for(flops, threads), x.cols(), [&](Index i, Index rows, Index j, Index cols) {
        const auto left = x.derived().middleCols(i, rows).transpose();
        const auto right = x.derived().middleCols(j, cols);
        auto tile = second_moment.block(i, j, rows, cols);
        if (i == j) {
          detail::add_triangle_of_product<Eigen::Lower>(tile, left, right, sign);
        } else {
          detail::add_signed_product(tile, left, right, sign);
        }
      });
}

/// The same for compressed sparse rows (their column numbers ascend within a row), with weights
/// s_i.
/// @param row_weights  one a row, or null for all 1
template <RealScalar S>
void accumulate_second_moment(const SparseRows<S>& x, const S* row_weights,
                              Matrix<S>& second_moment, Sign sign = Sign::add) {
  for (Index i = 0; i < x.rows(); ++i) {
    const Index begin = x.outerIndexPtr()[i];
    const Index end = x.isCompressed() ? x.outerIndexPtr()[i + 1] : begin + x.innerNonZeroPtr()[i];
    const S weight = static_cast<S>(sign) * (row_weights != nullptr ? row_weights[i] : S(1));
    for (Index p = begin; p < end; ++p) {
      const S scaled = weight * x.valuePtr()[p];
      S* const column = second_moment.col(x.innerIndexPtr()[p]).data();
      for (Index q = p; q < end; ++q) column[x.innerIndexPtr()[q]] += scaled * x.valuePtr()[q];
    }
  }
}

}  // namespace anyssr::inline ANYSSR_ABI
