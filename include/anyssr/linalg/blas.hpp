// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Where products run. By default our loops share tiles of Eigen's serial products out over
/// threads. With EIGEN_USE_BLAS (CMake option ANYSSR_WITH_BLAS) Eigen hands its products to a BLAS,
/// and the symmetric ones go there directly; the BLAS then brings its own threads, so our loops
/// around them stay serial and `threads` options do not bind it. Products that are too small for
/// that, or that our own loops share out all the same, are Eigen's in every build (eigen_product):
/// two pools of threads on the same cores slow each other down.

#include <climits>
#include <type_traits>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

#ifdef EIGEN_USE_BLAS
inline constexpr bool use_blas = true;

inline int blas_size(Index n) {
  expect(n <= INT_MAX, "a matrix has a side of ", n, ", expected at most ", INT_MAX, " with BLAS");
  return static_cast<int>(n);
}

/// C.lower += alpha A A^T for A (n x k), or alpha A^T A for A (k x n) where `transposed`;
/// C.upper where `upper`. Column-major with leading dimensions lda and ldc.
template <RealScalar S>
void blas_syrk(bool upper, bool transposed, Index n, Index k, S alpha, const S* a, Index lda, S* c,
               Index ldc) {
  const char uplo = upper ? 'U' : 'L';
  const char trans = transposed ? 'T' : 'N';
  const int size = blas_size(n);
  const int depth = blas_size(k);
  const int a_stride = blas_size(lda);
  const int c_stride = blas_size(ldc);
  const S one = 1;
  if constexpr (std::is_same_v<S, float>) {
    ssyrk_(&uplo, &trans, &size, &depth, &alpha, a, &a_stride, &one, c, &c_stride);
  } else {
    dsyrk_(&uplo, &trans, &size, &depth, &alpha, a, &a_stride, &one, c, &c_stride);
  }
}

/// B <- U^-T B (transposed) or U^-1 B for an upper triangle U (n x n) and B (n x m).
template <RealScalar S>
void blas_trsm(bool transposed, Index n, Index m, const S* u, Index ldu, S* b, Index ldb) {
  const char left = 'L';
  const char uplo = 'U';
  const char trans = transposed ? 'T' : 'N';
  const char diagonal = 'N';
  const int rows = blas_size(n);
  const int cols = blas_size(m);
  const int u_stride = blas_size(ldu);
  const int b_stride = blas_size(ldb);
  const S one = 1;
  if constexpr (std::is_same_v<S, float>) {
    strsm_(&left, &uplo, &trans, &diagonal, &rows, &cols, &one, u, &u_stride, b, &b_stride);
  } else {
    dtrsm_(&left, &uplo, &trans, &diagonal, &rows, &cols, &one, u, &u_stride, b, &b_stride);
  }
}

/// P = R Z for a symmetric R (d x d, lower triangle) and Z (d x n).
template <RealScalar S>
void blas_symm(Index d, Index n, const S* r, Index ldr, const S* z, Index ldz, S* p, Index ldp) {
  const char left = 'L';
  const char uplo = 'L';
  const int rows = blas_size(d);
  const int cols = blas_size(n);
  const int r_stride = blas_size(ldr);
  const int z_stride = blas_size(ldz);
  const int p_stride = blas_size(ldp);
  const S one = 1;
  const S zero = 0;
  if constexpr (std::is_same_v<S, float>) {
    ssymm_(&left, &uplo, &rows, &cols, &one, r, &r_stride, z, &z_stride, &zero, p, &p_stride);
  } else {
    dsymm_(&left, &uplo, &rows, &cols, &one, r, &r_stride, z, &z_stride, &zero, p, &p_stride);
  }
}
#else
inline constexpr bool use_blas = false;
#endif

/// Threads for a loop of products that does `flops`: one where BLAS brings its own, and below about
/// a millisecond, where starting threads costs more than they bring.
[[nodiscard]] inline int team_for(double flops, int threads) noexcept {
  return use_blas || flops < 1e8 ? 1 : threads;
}

/// y, where products assigned to it are Eigen's own on the calling thread, with a BLAS too: Eigen
/// calls a BLAS only where it knows at compile time that entries lie side by side.
/// @param y  dense, with storage of its own or of another's
template <class Y>
[[nodiscard]] auto eigen_product(Y&& y) {
  using Dense = std::remove_cvref_t<Y>;
  using Scalar = typename Dense::Scalar;
  using Plain = std::conditional_t<bool(Dense::IsRowMajor), RowMajorMatrix<Scalar>, Matrix<Scalar>>;
  constexpr bool gaps = use_blas || Dense::InnerStrideAtCompileTime != 1;
  using Stride = Eigen::Stride<Eigen::Dynamic, gaps ? Eigen::Dynamic : 1>;
  return Eigen::Map<Plain, 0, Stride>(y.data(), y.rows(), y.cols(),
                                      Stride(y.outerStride(), y.innerStride()));
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
