// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The thin singular value decomposition in double:
///
///   X = U diag(values) V^T
///
/// By Jacobi rotations of the triangular factor of X. The matrices here have the ranks of adapters
/// for sizes: for those it is as fast as the divide-and-conquer method, and an eighth of the work
/// for a compiler. These functions are templates of a type that is always double, as is what else
/// in the library decomposes a matrix: a compiler then reads Eigen's decompositions only where one
/// is used.
/// Source: Eigen's JacobiSVD.

#include <Eigen/SVD>
#include <concepts>
#include <utility>

#include "anyssr/core/types.hpp"
#include "anyssr/linalg/thin_qr.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

struct ThinSvd {
  Matrix<double> u;       // rows x k, k = min(rows, cols)
  Vector<double> values;  // k, descending
  Matrix<double> v;       // cols x k
};

/// Of a square matrix.
template <std::same_as<double> R>
[[nodiscard]] ThinSvd square_svd(const Matrix<double>& x) {
#if EIGEN_VERSION_AT_LEAST(3, 4, 90)
  constexpr int options = Eigen::NoQRPreconditioner | Eigen::ComputeFullU | Eigen::ComputeFullV;
  const Eigen::JacobiSVD<Matrix<R>, options> svd(x);
#else
  const Eigen::JacobiSVD<Matrix<R>, Eigen::NoQRPreconditioner> svd(
      x, Eigen::ComputeFullU | Eigen::ComputeFullV);
#endif
  return {svd.matrixU(), svd.singularValues(), svd.matrixV()};
}

template <std::same_as<double> R = double>
[[nodiscard]] ThinSvd thin_svd(const Matrix<double>& x) {
  if (x.rows() < x.cols()) {
    ThinSvd svd = thin_svd<R>(Matrix<double>(x.transpose()));
    std::swap(svd.u, svd.v);
    return svd;
  }
  if (x.cols() == 0) return {Matrix<double>(x.rows(), 0), {}, Matrix<double>(0, 0)};
  const ThinQr qr(x);
  ThinSvd svd = square_svd<R>(qr.r());
  svd.u = qr.q_times(svd.u);
  return svd;
}

/// The values alone, descending.
template <std::same_as<double> R = double>
[[nodiscard]] Vector<double> singular_values(const Matrix<double>& x) {
  return thin_svd<R>(x).values;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/spectra.hpp"
#endif
