// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Rank-revealing orthonormal basis of the span of the columns of a tall matrix Y (m x c):
///
///   Y^T Y = V diag(s^2) V^T          Q = Y V diag(1/s)
///
/// The small Gram and the product are accumulated in double whatever the scalar of Y is. One pass
/// leaves Q orthonormal to about eps (s_1/s_c)^2; a second, by Cholesky of Q^T Q, to round-off
/// ("twice is enough"). Both are matrix products, several times faster than Householder QR.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/linalg/lower_cholesky.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/symmetric_eigen.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// Directions below this share of the largest singular value drown in the round-off of a Gram in
/// double, where they stand squared.
inline constexpr double gram_resolution = 1e-6;

/// Rows that are cast to double at a time.
inline constexpr Index cast_block = 256;

/// A block of rows of Y in double and in Y's storage order.
template <class Y>
using DoubleBlock = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic,
                                  bool(Y::IsRowMajor) ? Eigen::RowMajor : Eigen::ColMajor>;

/// Y^T Y in double, lower triangle.
template <class Y>
[[nodiscard]] Matrix<double> gram_in_double(const Eigen::MatrixBase<Y>& y) {
  Matrix<double> gram = Matrix<double>::Zero(y.cols(), y.cols());
  if (gram.size() == 0) return gram;
  DoubleBlock<Y> block;
  for (Index i = 0; i < y.rows(); i += cast_block) {
    const Index rows = std::min(cast_block, y.rows() - i);
    block = y.derived().middleRows(i, rows).template cast<double>();
    gram.template selfadjointView<Eigen::Lower>().rankUpdate(block.transpose());
  }
  return gram;
}

/// Square roots of the eigenvalues of a Gram and its eigenvectors, largest first.
struct GramSpectrum {
  Vector<double> singular_values;  // descending, not negative
  Matrix<double> vectors;          // one a column, orthonormal
};

/// @param gram  lower triangle
template <std::same_as<double> R = double>
[[nodiscard]] GramSpectrum gram_spectrum(const Matrix<double>& gram) {
  SymmetricEigen eigen = symmetric_eigen<R>(gram);
  for (double& value : eigen.values) value = std::sqrt(std::max(value, 0.0));
  return {std::move(eigen.values), std::move(eigen.vectors)};
}

/// How many leading singular values are at least `relative_tolerance` of the first.
[[nodiscard]] inline Index numerical_rank(const Vector<double>& singular_values,
                                          double relative_tolerance) {
  if (singular_values.size() == 0 || singular_values(0) <= 0) return 0;
  const double least = std::max(relative_tolerance, gram_resolution) * singular_values(0);
  Index rank = 0;
  while (rank < singular_values.size() && singular_values(rank) >= least) ++rank;
  return rank;
}

/// Q <- Q L^-T with Q^T Q = L L^T. Column i changes by multiples of columns 0..i only.
/// @return false, and Q as it was, where the columns are too dependent: the pivots of L, which are
/// the norms of what each column adds to the ones before, vary by more than `most_spread`
template <class Q>
[[nodiscard]] bool cholesky_orthonormalise(Eigen::PlainObjectBase<Q>& q, double most_spread) {
  using Scalar = typename Q::Scalar;
  if (q.cols() == 0) return true;
  Matrix<double> gram = gram_in_double(q);
  if (!factor_lower(gram)) return false;
  const Vector<double> pivots = gram.diagonal();
  if (pivots.maxCoeff() > most_spread * pivots.minCoeff()) return false;
  const Matrix<Scalar> upper = gram.transpose().template cast<Scalar>();
  upper.template triangularView<Eigen::Upper>().template solveInPlace<Eigen::OnTheRight>(
      q.derived());
  return true;
}

/// The second pass over columns that are nearly orthonormal.
template <class Q>
void reorthonormalise(Eigen::PlainObjectBase<Q>& q) {
  expect<NumericalError>(cholesky_orthonormalise(q, 1e3), "a basis of ", q.cols(),
                         " columns lost its rank while it was made orthonormal");
}

/// The first `count` left singular vectors of Y (m x c, m >= c), orthonormal to round-off.
/// @param spectrum  of Y^T Y
template <class Y>
[[nodiscard]] Matrix<typename Y::Scalar> left_singular_vectors(const Eigen::MatrixBase<Y>& y,
                                                               const GramSpectrum& spectrum,
                                                               Index count) {
  using Scalar = typename Y::Scalar;
  if (count == 0) return Matrix<Scalar>(y.rows(), 0);
  const auto kept = spectrum.singular_values.head(count);
  const Matrix<double> coefficients =
      spectrum.vectors.leftCols(count) * kept.cwiseInverse().asDiagonal();
  Matrix<Scalar> q(y.rows(), count);
  DoubleBlock<Y> block;
  Matrix<double> product;
  for (Index i = 0; i < y.rows(); i += cast_block) {
    const Index rows = std::min(cast_block, y.rows() - i);
    block = y.derived().middleRows(i, rows).template cast<double>();
    set_product(product, block, coefficients);
    q.middleRows(i, rows) = product.template cast<Scalar>();
  }
  const double spread = kept(0) / kept(count - 1);
  const double first_pass_error =
      4 * static_cast<double>(y.cols()) * std::numeric_limits<double>::epsilon() * spread * spread;
  if (first_pass_error > static_cast<double>(std::numeric_limits<Scalar>::epsilon())) {
    reorthonormalise(q);
  }
  return q;
}

}  // namespace detail

/// Orthonormal basis of the span of the columns of y, ordered by decreasing singular value of y.
/// @param y  m x c, any storage order; tall is the intended shape, wide (c > m) works
/// @param relative_tolerance  0..1: directions whose singular value is below this share of the
///   largest are dropped; below 1e-6 it acts as 1e-6, the resolution of a Gram in double
/// @return m x r, r <= min(m, c), Q^T Q = I to round-off; no columns for a zero or empty y
/// @throws NonFiniteError, ArgumentError
/// Cost: O(m c^2 + c^3) with c <= m, one copy of y; 8192 x 528 in float takes 0.15 s on one core
/// with AVX-512, 0.5 s with SSE2.
template <class Y>
[[nodiscard]] Matrix<typename Y::Scalar> orthonormal_basis(const Eigen::MatrixBase<Y>& y,
                                                           double relative_tolerance) {
  using Scalar = typename Y::Scalar;
  static_assert(RealScalar<Scalar>);
  detail::expect(detail::is_within(relative_tolerance, 0.0, 1.0), "relative_tolerance is ",
                 relative_tolerance, ", expected 0..1");
  detail::expect_finite("columns", y);
  if (y.size() == 0) return Matrix<Scalar>(y.rows(), 0);
  // Squares of tiny or huge numbers would leave the range of double.
  const Scalar scale = y.cwiseAbs().maxCoeff();
  if (scale == Scalar(0)) return Matrix<Scalar>(y.rows(), 0);
  const Matrix<Scalar> scaled = y / scale;
  const bool is_wide = y.cols() > y.rows();
  const detail::GramSpectrum spectrum = detail::gram_spectrum(
      is_wide ? detail::gram_in_double(scaled.transpose()) : detail::gram_in_double(scaled));
  const Index rank = detail::numerical_rank(spectrum.singular_values, relative_tolerance);
  if (is_wide) return spectrum.vectors.leftCols(rank).template cast<Scalar>();
  return detail::left_singular_vectors(scaled, spectrum, rank);
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/spectra.hpp"
#endif
