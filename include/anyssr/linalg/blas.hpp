// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Where products run. Our loops share tiles of Eigen's serial products out over threads. With a
/// BLAS (CMake option ANYSSR_WITH_BLAS, which defines ANYSSR_HAS_BLAS) the few large products go to
/// it by explicit calls: second moments (syrk) and the panels of a Cholesky factorisation (trsm,
/// syrk). Nothing of a decision or of a training step does: the threads of a BLAS wait for each
/// other, which on a machine that others use too takes many times as long as the product.
///
/// A call uses at most the threads that its caller was given, where the BLAS can be told (OpenBLAS,
/// BLIS, MKL); others bring as many as their own settings say.
/// Source: ours.

#include <climits>
#include <mutex>
#include <type_traits>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/threads.hpp"

#if defined(ANYSSR_HAS_BLAS) && !defined(EIGEN_USE_BLAS)  // else Eigen has declared them
extern "C" {
int ssyrk_(const char*, const char*, const int*, const int*, const float*, const float*, const int*,
           const float*, float*, const int*);
int dsyrk_(const char*, const char*, const int*, const int*, const double*, const double*,
           const int*, const double*, double*, const int*);
int strsm_(const char*, const char*, const char*, const char*, const int*, const int*, const float*,
           const float*, const int*, float*, const int*);
int dtrsm_(const char*, const char*, const char*, const char*, const int*, const int*,
           const double*, const double*, const int*, double*, const int*);
}
#endif
#if defined(ANYSSR_HAS_BLAS) && defined(__GNUC__)
#define ANYSSR_BLAS_THREADS  // weak: null where the BLAS that is linked has no such function
extern "C" {
[[gnu::weak]] void openblas_set_num_threads(int);
[[gnu::weak]] int openblas_get_num_threads(void);
[[gnu::weak]] void bli_thread_set_num_threads(long);
[[gnu::weak]] long bli_thread_get_num_threads(void);
[[gnu::weak]] int MKL_Set_Num_Threads_Local(int);
}
#endif

namespace anyssr::inline ANYSSR_ABI::detail {

/// Whether a loop that does `flops`, at some 5e10 a second and thread, is worth sharing out.
[[nodiscard]] inline bool is_worth_sharing(double flops) noexcept {
  return flops >= least_shared_seconds * 5e10;
}

/// Threads for such a loop.
[[nodiscard]] inline int team_for(double flops, int threads) noexcept {
  return is_worth_sharing(flops) ? threads : 1;
}

#ifdef ANYSSR_HAS_BLAS
inline constexpr bool has_blas = true;
#else
inline constexpr bool has_blas = false;
#endif

/// Whether a product is worth a call of the BLAS, if there is one.
[[nodiscard]] inline bool goes_to_blas(double flops) noexcept { return has_blas && flops >= 1e9; }

#ifdef ANYSSR_HAS_BLAS
/// Has the BLAS use so many threads as long as it lives. One call at a time: the number is one for
/// the whole process in most libraries.
class BlasThreads {
 public:
  explicit BlasThreads(int threads) : lock_(mutex()) {
#ifdef ANYSSR_BLAS_THREADS
    if (openblas_set_num_threads != nullptr && openblas_get_num_threads != nullptr) {
      before_ = openblas_get_num_threads();
      openblas_set_num_threads(threads);
    } else if (MKL_Set_Num_Threads_Local != nullptr) {
      before_ = MKL_Set_Num_Threads_Local(threads);
    } else if (bli_thread_set_num_threads != nullptr && bli_thread_get_num_threads != nullptr) {
      before_ = static_cast<int>(bli_thread_get_num_threads());
      bli_thread_set_num_threads(threads);
    }
#else
    (void)threads;
#endif
  }
  BlasThreads(const BlasThreads&) = delete;
  BlasThreads& operator=(const BlasThreads&) = delete;
  ~BlasThreads() {
#ifdef ANYSSR_BLAS_THREADS
    if (openblas_set_num_threads != nullptr && openblas_get_num_threads != nullptr) {
      openblas_set_num_threads(before_);
    } else if (MKL_Set_Num_Threads_Local != nullptr) {
      MKL_Set_Num_Threads_Local(before_);
    } else if (bli_thread_set_num_threads != nullptr && before_ > 0) {
      bli_thread_set_num_threads(before_);
    }
#endif
  }

 private:
  static std::mutex& mutex() noexcept {
    static std::mutex one;
    return one;
  }
  std::scoped_lock<std::mutex> lock_;
  int before_ = 0;  // what the BLAS was told before; 0 for MKL: its own choice
};

inline int blas_size(Index n) {
  expect(n <= INT_MAX, "a matrix has a side of ", n, ", expected at most ", INT_MAX, " with BLAS");
  return static_cast<int>(n);
}

/// C.lower += alpha A A^T for A (n x k), or alpha A^T A for A (k x n) where `transposed`;
/// C.upper where `upper`. Column-major with leading dimensions lda and ldc.
template <RealScalar S>
void blas_syrk(bool upper, bool transposed, Index n, Index k, S alpha, const S* a, Index lda, S* c,
               Index ldc, int threads) {
  const BlasThreads team(threads);
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

/// B <- U^-T B for an upper triangle U (n x n) and B (n x m).
template <RealScalar S>
void blas_trsm(Index n, Index m, const S* u, Index ldu, S* b, Index ldb, int threads) {
  const BlasThreads team(threads);
  const char left = 'L';
  const char uplo = 'U';
  const char trans = 'T';
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
#endif

}  // namespace anyssr::inline ANYSSR_ABI::detail
