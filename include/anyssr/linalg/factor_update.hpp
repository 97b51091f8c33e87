// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Rows enter a Cholesky factor without a new factorisation:
///
///   U'^T U' = U^T U + X^T X          by Householder reflections that empty X below U
///
/// Column j of [U; X] is reflected onto its place in U: v = [1; x / (u - u')], with the length
/// u' = sqrt(u^2 + |x|^2) > 0, so the diagonal stays positive. A block of reflections is
/// Q^T = I - V T^T V^T (compact WY: Schreiber and Van Loan 1989), which makes the rest matrix
/// products: 2 k d^2 flops and a little. Panels of several blocks run ahead; the columns right of a
/// panel take all its blocks at once, shared out over threads with one owner each (same bits for
/// any number of threads).

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/blas.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/vectors.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

template <RealScalar S>
class FactorUpdate {
 public:
  using Rows = Eigen::Ref<RowMajorMatrix<S>, 0, Eigen::OuterStride<>>;

  FactorUpdate(Matrix<S>& square, Vector<S>& diagonal, Rows rows, int threads)
      : square_(square),
        diagonal_(diagonal),
        rows_(rows),
        block_(rows.rows() <= 8 ? 16 : 32),
        threads_(threads),
        v_(rows.rows(), panel),
        t_(block_, panel) {}

  void run() {
    const SerialEigen serial;
    const Index d = square_.cols();
    for (Index begin = 0; begin < d; begin += panel) {
      const Index end = std::min(d, begin + panel);
      for (Index k = begin; k < end; k += block_) {
        const Index size = std::min(block_, end - k);
        reflect(k, size, k - begin);
        apply(k, size, k - begin, k + size, end - k - size);
      }
      constexpr Index chunk = column_chunk;
      if (end == d) break;
      const double flops = 4.0 * static_cast<double>(rows_.rows() + block_ / 2) *
                           static_cast<double>(panel) * static_cast<double>(d - end);
      parallel_for(team_for(flops, threads_), (d - end + chunk - 1) / chunk, [&](Index c) {
        const Index j = end + c * chunk;
        for (Index k = begin; k < end; k += block_) {
          apply(k, std::min(block_, end - k), k - begin, j, std::min(chunk, d - j));
        }
      });
    }
  }

 private:
  static constexpr Index panel = 256;         // columns that run ahead on one thread
  static constexpr Index column_chunk = 256;  // columns that one thread takes at once
  static constexpr S eps = std::numeric_limits<S>::epsilon();

  /// Reflections of columns k..k+size-1; V at column `at` of v_, T at column `at` of t_.
  void reflect(Index k, Index size, Index at) {
    const Index n = v_.rows();
    v_.middleCols(at, size) = rows_.middleCols(k, size);
    for (Index j = 0; j < size; ++j) {
      S* const v = &v_(0, at + j);
      S* const t = &t_(0, at + j);
      std::fill_n(t, size, S(0));
      const S u = diagonal_(k + j);
      const S square_sum = dot<S>(v, v, n);
      // Nothing to empty, up to round-off: to be divided by it, v would overflow.
      if (square_sum <= eps * u * (eps * u)) {
        std::fill_n(v, n, S(0));
        continue;
      }
      const S length = std::sqrt(u * u + square_sum);
      const S sum = u + length;
      const S tau = 2 * square_sum / (sum * sum + square_sum);
      diagonal_(k + j) = length;
      scale(-sum / square_sum, v, n);  // 1 / (u - length) without cancellation
      for (Index c = j + 1; c < size; ++c) {
        S& entry = square_(k + j, k + c);
        S* const other = &v_(0, at + c);
        const S moved = tau * (entry + dot<S>(v, other, n));
        entry -= moved;
        add_multiple<S>(-moved, v, other, n);
      }
      t[j] = tau;
      for (Index i = 0; i < j; ++i) {  // -tau T V^T v, by the columns of the triangle T
        const S inner = dot<S>(&v_(0, at + i), v, n);
        add_multiple<S>(-tau * inner, &t_(0, at + i), t, i + 1);
      }
    }
  }

  /// [U; X] <- (I - V T^T V^T) [U; X] on columns begin..begin+count-1.
  void apply(Index k, Index size, Index at, Index begin, Index count) {
    if (count <= 0) return;
    const auto v = v_.middleCols(at, size);
    auto u = square_.block(k, begin, size, count);
    auto x = rows_.middleCols(begin, count);
    Matrix<S> sum = u;
    add_product(sum, v.transpose(), x);
    const auto w = product_of<Matrix<S>>(t_.block(0, at, size, size).transpose(), sum);
    u -= w;
    subtract_product(x, v, w);
  }

  Matrix<S>& square_;
  Vector<S>& diagonal_;
  Rows rows_;
  Index block_;
  int threads_;
  Matrix<S> v_;  // k x panel
  Matrix<S> t_;  // block x panel, upper triangles side by side
};

}  // namespace detail

/// U^T U += rows^T rows for the U that factor_shifted leaves.
/// @param square    d x d; its strict upper triangle changes, the rest is not touched
/// @param diagonal  d numbers above 0: the diagonal of U
/// @param rows      k x d, finite; what it holds afterwards is of no use
template <RealScalar S>
void update_factor(Matrix<S>& square, Vector<S>& diagonal,
                   Eigen::Ref<RowMajorMatrix<S>, 0, Eigen::OuterStride<>> rows, int threads) {
  if (rows.rows() > 0) detail::FactorUpdate<S>(square, diagonal, rows, threads).run();
}

}  // namespace anyssr::inline ANYSSR_ABI
