// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How two subspaces lie to each other: the principal angles a_1 <= a_2 <= ... between the spans of
/// U (D x k) and V (D x l), k >= l,
///
///   cos a_i = singular values of U^T V          sin a_i = those of V - U U^T V
///
/// Cosines are used above pi/4 and sines below, since either is flat at one end.
/// Source: Bjorck and Golub, Numerical methods for computing angles between linear subspaces, 1973.

#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/thin_svd.hpp"
#include "anyssr/subspace/subspace_projector.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

template <class U, class V>
void expect_two_bases(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v) {
  static_assert(RealScalar<typename U::Scalar>);
  static_assert(std::same_as<typename U::Scalar, typename V::Scalar>);
  expect_rows("v", v, u.rows());
  expect_orthonormal("u", u);
  expect_orthonormal("v", v);
}

}  // namespace detail

/// Principal angles in radians, 0..pi/2, ascending, min(k, l) of them.
/// @param u, v  D x k and D x l, orthonormal columns
/// @throws ShapeError, NonFiniteError, ArgumentError  (not orthonormal)
/// Cost: O(D k l) and an SVD of D x min(k, l), in double.
template <class U, class V>
[[nodiscard]] Vector<double> principal_angles(const Eigen::MatrixBase<U>& u,
                                              const Eigen::MatrixBase<V>& v) {
  detail::expect_two_bases(u, v);
  if (v.cols() > u.cols()) return principal_angles(v, u);
  if (v.cols() == 0) return Vector<double>(0);
  const Matrix<double> left = u.template cast<double>();
  const Matrix<double> right = v.template cast<double>();
  const auto core = detail::product_of<Matrix<double>>(left.transpose(), right);
  Matrix<double> rest = right;
  detail::subtract_product(rest, left, core);
  const Vector<double> cosines = detail::singular_values(core);
  const Vector<double> sines = detail::singular_values(rest).reverse();
  Vector<double> angles(v.cols());
  for (Index i = 0; i < angles.size(); ++i) {
    angles(i) =
        cosines(i) * cosines(i) < 0.5 ? std::acos(cosines(i)) : std::asin(std::min(1.0, sines(i)));
  }
  return angles;
}

/// Mean squared cosine of the principal angles, |U^T V|^2 / min(k, l): 0 orthogonal, 1 the smaller
/// span lies in the other. 0 where one is empty.
/// @throws ShapeError, NonFiniteError, ArgumentError  (not orthonormal)
/// Cost: O(D k l).
template <class U, class V>
[[nodiscard]] double subspace_overlap(const Eigen::MatrixBase<U>& u,
                                      const Eigen::MatrixBase<V>& v) {
  detail::expect_two_bases(u, v);
  const Index fewer = std::min(u.cols(), v.cols());
  if (fewer == 0) return 0;
  const auto core =
      detail::product_of<Matrix<typename U::Scalar>>(u.derived().transpose(), v.derived());
  return std::min(1.0, core.template cast<double>().squaredNorm() / static_cast<double>(fewer));
}

}  // namespace anyssr::inline ANYSSR_ABI
