// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The thin singular value decomposition in double, in one place: Eigen 3.4 takes its options at
/// run time, Eigen 5 in the type.
///
///   X = U diag(values) V^T

#include <Eigen/SVD>

#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

struct ThinSvd {
  Matrix<double> u;       // rows x k, k = min(rows, cols)
  Vector<double> values;  // k, descending
  Matrix<double> v;       // cols x k
};

[[nodiscard]] inline ThinSvd thin_svd(const Matrix<double>& x) {
#if EIGEN_VERSION_AT_LEAST(3, 4, 90)
  const Eigen::BDCSVD<Matrix<double>, Eigen::ComputeThinU | Eigen::ComputeThinV> svd(x);
#else
  const Eigen::BDCSVD<Matrix<double>> svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
#endif
  return {svd.matrixU(), svd.singularValues(), svd.matrixV()};
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
