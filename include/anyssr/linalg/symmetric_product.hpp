// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Products with a symmetric matrix of which one triangle is stored:
///
///   P = R Z          R: d x d, lower triangle;  Z: d x n
///
/// Shared out by tiles of rows with one owner each (same bits for any number of threads).
/// Source: ours.

#include <algorithm>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/blas.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// @param square   d x d; the strict upper triangle is not read
/// @param columns  Z, d x n
/// @param product  d x n, gets P; no part of Z
/// Cost: 2 n d^2 flops; one column reads the triangle once.
template <RealScalar S>
void multiply_symmetric(const Matrix<S>& square, const Matrix<S>& columns, Matrix<S>& product,
                        int threads) {
  if (columns.cols() == 1) {
    product.col(0).noalias() = square.template selfadjointView<Eigen::Lower>() * columns.col(0);
    return;
  }
  const Index d = square.rows();
  constexpr Index tile = 256;
  const double flops = 2 * static_cast<double>(d * d) * static_cast<double>(columns.cols());
  parallel_for(detail::team_for(flops, threads), (d + tile - 1) / tile, [&](Index t) {
    const Index begin = t * tile;
    const Index size = std::min(tile, d - begin);
    const Index below = d - begin - size;
    auto part = product.middleRows(begin, size);
    const Matrix<S> middle =
        square.block(begin, begin, size, size).template selfadjointView<Eigen::Lower>();
    detail::set_product(part, middle, columns.middleRows(begin, size));
    detail::add_product(part, square.block(begin, 0, size, begin), columns.topRows(begin));
    detail::add_product(part, square.block(begin + size, begin, below, size).transpose(),
                        columns.bottomRows(below));
  });
}

}  // namespace anyssr::inline ANYSSR_ABI
