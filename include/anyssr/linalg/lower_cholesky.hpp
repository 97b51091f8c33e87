// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Cholesky factors of matrices of moderate size, A = L L^T, in place and on the calling thread:
/// recursive halves down to leaves of 128 columns, leaves by panels of 8, so that nearly all flops
/// are matrix products and few sums are rounded on the way. It is the leaf of cholesky.hpp, which
/// factors large Grams.
/// Source: Golub and Van Loan, Matrix Computations, 4th ed., 4.2.

#include <algorithm>
#include <cmath>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/vectors.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// x <- T^-1 x for the triangle `Mode` of a; x is column-major.
template <unsigned Mode, MatrixInMemory A, MatrixInMemory X>
void solve_triangle(const A& a, X&& x) {
  static_assert(!bool(std::remove_cvref_t<X>::IsRowMajor));
  MatrixMap<typename A::Scalar> columns(x.data(), x.rows(), x.cols(),
                                        Eigen::OuterStride<>(x.outerStride()));
  as_map(a).template triangularView<Mode>().solveInPlace(columns);
}

/// Columns begin..end-1 of a leaf, whose earlier panels have been subtracted.
/// @return false at a pivot that is not finite and positive
template <RealScalar S>
[[nodiscard]] bool factor_panel(MatrixMap<S> a, Index begin, Index end) {
  for (Index j = begin; j < end; ++j) {
    const Index below = a.rows() - j;
    S* const column = &a(j, j);
    for (Index k = begin; k < j; ++k) add_multiple(-a(j, k), &a(j, k), column, below);
    const S pivot = *column;
    if (!(pivot > S(0)) || !is_finite(pivot)) return false;
    VectorMap<S>(column, below) /= std::sqrt(pivot);  // a reciprocal would round twice
  }
  return true;
}

/// A <- L in the lower triangle; what stands above the diagonal may change and means nothing.
/// @param a  n x n, column-major; its lower triangle is read
/// @return false where a pivot is not finite and positive: A is then half done
template <RealScalar S>
[[nodiscard]] bool factor_lower(MatrixMap<S> a) {
  const Index n = a.rows();
  constexpr Index leaf = 128;
  if (n > leaf) {
    const Index head = (n / 2 + leaf - 1) / leaf * leaf;
    const Index rest = n - head;
    const auto part = [&](Index row, Index col, Index rows, Index cols) {
      return MatrixMap<S>(&a(row, col), rows, cols, Eigen::OuterStride<>(a.outerStride()));
    };
    const MatrixMap<S> corner = part(0, 0, head, head);
    if (!factor_lower(corner)) return false;
    Matrix<S> below = part(head, 0, rest, head).transpose();
    solve_triangle<Eigen::Lower>(corner, below);
    part(head, 0, rest, head) = below.transpose();
    add_triangle_of_product<Eigen::Lower>(part(head, head, rest, rest), below.transpose(), below,
                                          Sign::subtract);
    return factor_lower(part(head, head, rest, rest));
  }
  constexpr Index panel = 8;
  for (Index begin = 0; begin < n; begin += panel) {
    const Index cols = std::min(panel, n - begin);
    const auto left = a.block(begin, 0, n - begin, begin);
    subtract_product(a.block(begin, begin, n - begin, cols), left, left.topRows(cols).transpose());
    if (!factor_panel(a, begin, begin + cols)) return false;
  }
  return true;
}
template <RealScalar S>
[[nodiscard]] bool factor_lower(Matrix<S>& a) {
  return factor_lower(
      MatrixMap<S>(a.data(), a.rows(), a.cols(), Eigen::OuterStride<>(a.outerStride())));
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
