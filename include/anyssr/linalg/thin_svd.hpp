// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The thin singular value decomposition in double, in one place: Eigen 3.4 takes its options at
/// run time, Eigen 5 in the type.
///
///   X = U diag(values) V^T
///
/// These functions are templates of a type that is always double, as is what else in the library
/// decomposes a matrix: a compiler then reads Eigen's decompositions only where one is used.
/// Source: ours.

#include <Eigen/SVD>
#include <concepts>

#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

struct ThinSvd {
  Matrix<double> u;       // rows x k, k = min(rows, cols)
  Vector<double> values;  // k, descending
  Matrix<double> v;       // cols x k
};

template <std::same_as<double> R = double>
[[nodiscard]] ThinSvd thin_svd(const Matrix<double>& x) {
#if EIGEN_VERSION_AT_LEAST(3, 4, 90)
  const Eigen::BDCSVD<Matrix<R>, Eigen::ComputeThinU | Eigen::ComputeThinV> svd(x);
#else
  const Eigen::BDCSVD<Matrix<R>> svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
#endif
  return {svd.matrixU(), svd.singularValues(), svd.matrixV()};
}

/// The values alone, descending.
template <std::same_as<double> R = double>
[[nodiscard]] Vector<double> singular_values(const Matrix<double>& x) {
  return Eigen::BDCSVD<Matrix<R>>(x).singularValues();
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
