// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Cholesky factorisation that shares one square buffer with its matrix:
///
///   S + lambda I = U^T U         S: lower triangle with diagonal;  U: strict upper triangle
///
/// The diagonal of U stands in a vector of its own, so S stays as it was and the pair needs
/// d^2 + d numbers. Recursive halves: U_12 = U_11^-T A_12, then A_22 -= U_12^T U_12, so nearly all
/// of the d^3 / 3 flops are wide matrix products. They are shared out over threads by tiles with
/// one owner each (same bits for any number of threads), or go to the BLAS as trsm and syrk.

#include <algorithm>
#include <cmath>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/blas.hpp"
#include "anyssr/linalg/lower_cholesky.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/second_moment.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// Rows that one triangular solve of Eigen takes at once; between them stand matrix products.
inline constexpr Index cholesky_block = 128;
/// Columns of a right-hand side that one thread takes at once: wide enough to use each number of U
/// often, narrow enough to share out.
[[nodiscard]] inline Index solve_chunk(Index cols) noexcept {
  return std::clamp<Index>((cols / 4 + 31) / 32 * 32, 32, 256);
}

/// Tile k of U with its diagonal, as a matrix of its own: U in the upper triangle, or U^T in the
/// lower one, with which Eigen solves in half the time that a transposed view takes.
template <RealScalar S>
Matrix<S> diagonal_tile(const Matrix<S>& square, const Vector<S>& diagonal, Index begin, Index size,
                        bool transposed) {
  Matrix<S> tile = square.block(begin, begin, size, size);
  if (transposed) tile.transposeInPlace();
  tile.diagonal() = diagonal.segment(begin, size);
  return tile;
}

/// rows <- L^-1 rows for the lower triangle of a tile (Mode Lower), or U^-1 rows for the upper one.
/// Wide right-hand sides take leaves of 32 rows whose inverses are multiplied: that runs at the
/// speed of products, and a leaf's condition is at most the square root of the Gram's.
template <unsigned Mode, RealScalar S, class Rows>
void solve_tile(const Matrix<S>& tile, Rows& rows) {
  constexpr Index leaf = 32;
  if (rows.cols() < leaf) {
    solve_triangle<Mode>(tile, rows);
    return;
  }
  constexpr bool forward = Mode == Eigen::Lower;
  const Index size = tile.rows();
  const Index leaves = (size + leaf - 1) / leaf;
  Matrix<S> right;
  for (Index l = 0; l < leaves; ++l) {
    const Index begin = (forward ? l : leaves - 1 - l) * leaf;
    const Index count = std::min(leaf, size - begin);
    const Index done = forward ? begin : size - begin - count;  // rows solved before
    const Index from = forward ? 0 : begin + count;
    auto part = rows.middleRows(begin, count);
    right = part;
    subtract_product(right, tile.block(begin, from, count, done), rows.middleRows(from, done));
    Matrix<S> inverse = Matrix<S>::Identity(count, count);
    solve_triangle<Mode>(tile.block(begin, begin, count, count), inverse);
    set_product(part, inverse, right);
  }
}

/// The factorisation of rows and columns begin..begin+size-1 of a square whose upper triangle, with
/// the diagonal, turns from A into U. A region is `fresh` as long as A stands in the mirror image
/// below only: it is fetched where it is first needed, tile by tile, while the tile is in cache.
template <RealScalar S>
class InPlaceCholesky {
 public:
  InPlaceCholesky(Matrix<S>& square, int threads)
      : square_(square), lower_tiles_(cholesky_block, square.cols()), threads_(threads) {}

  /// @return false at a pivot that is not finite and positive
  [[nodiscard]] bool factor(Index begin, Index size, bool fresh) {
    if (size <= cholesky_block) return factor_leaf(begin, size, fresh);
    const Index blocks = (size + cholesky_block - 1) / cholesky_block;
    const Index head = (blocks + 1) / 2 * cholesky_block;
    if (!factor(begin, head, fresh)) return false;
    solve_right(begin, head, size - head, fresh);
    subtract_below(begin, head, size - head, fresh);
    return factor(begin + head, size - head, false);
  }

 private:
  /// In a compact tile of its own: the square's long columns would share few cache sets.
  bool factor_leaf(Index begin, Index size, bool fresh) {
    MatrixMap<S> tile(&lower_tiles_(0, begin), size, size,
                      Eigen::OuterStride<>(lower_tiles_.outerStride()));
    for (Index j = 0; j < size; ++j) {
      for (Index i = j; i < size; ++i) {
        tile(i, j) = fresh ? square_(begin + i, begin + j) : square_(begin + j, begin + i);
      }
    }
    if (!factor_lower(tile)) return false;
    for (Index j = 0; j < size; ++j) {
      for (Index i = 0; i <= j; ++i) square_(begin + i, begin + j) = tile(j, i);
    }
    return true;
  }

  /// A_12 <- U_11^-T A_12, shared out by columns.
  void solve_right(Index begin, Index head, Index rest, bool fresh) {
    const double flops = static_cast<double>(head * head) * static_cast<double>(rest);
#ifdef ANYSSR_HAS_BLAS
    if (goes_to_blas(flops)) return solve_right_by_blas(begin, head, rest, fresh);
#endif
    const Index chunk = solve_chunk(rest);
    parallel_for(team_for(flops, threads_), (rest + chunk - 1) / chunk, [&](Index c) {
      const Index j = begin + head + c * chunk;
      const Index cols = std::min(chunk, begin + head + rest - j);
      for (Index k = begin; k < begin + head; k += cholesky_block) {
        const Index size = std::min(cholesky_block, begin + head - k);
        auto rows = square_.block(k, j, size, cols);
        if (fresh) rows = square_.block(j, k, cols, size).transpose();
        subtract_product(rows, square_.block(begin, k, k - begin, size).transpose(),
                         square_.block(begin, j, k - begin, cols));
        solve_triangle<Eigen::Lower>(lower_tiles_.block(0, k, size, size), rows);
      }
    });
  }

  /// A_22 -= U_12^T U_12, upper triangle, shared out by tiles.
  void subtract_below(Index begin, Index head, Index rest, bool fresh) {
    const Index corner = begin + head;
    const double flops = static_cast<double>(rest * rest) * static_cast<double>(head);
#ifdef ANYSSR_HAS_BLAS
    if (goes_to_blas(flops)) return subtract_below_by_blas(begin, head, rest, fresh);
#endif
    for_each_lower_tile(
        team_for(flops, threads_), rest, [&](Index j, Index cols, Index i, Index rows) {
          const auto left = square_.block(begin, corner + i, head, rows).transpose();
          const auto right = square_.block(begin, corner + j, head, cols);
          auto tile = square_.block(corner + i, corner + j, rows, cols);
          if (i == j) {
            if (fresh) mirror_diagonal(corner + i, rows);
            add_triangle_of_product<Eigen::Upper>(tile, left, right, Sign::subtract);
          } else {
            if (fresh) tile = square_.block(corner + j, corner + i, cols, rows).transpose();
            subtract_product(tile, left, right);
          }
        });
  }
#ifdef ANYSSR_HAS_BLAS
  void solve_right_by_blas(Index begin, Index head, Index rest, bool fresh) {
    const Index corner = begin + head;
    auto right = square_.block(begin, corner, head, rest);
    if (fresh) right = square_.block(corner, begin, rest, head).transpose();
    blas_trsm(head, rest, &square_(begin, begin), square_.rows(), right.data(), square_.rows(),
              threads_);
  }

  void subtract_below_by_blas(Index begin, Index head, Index rest, bool fresh) {
    const Index corner = begin + head;
    if (fresh) mirror(corner, rest);
    blas_syrk(true, true, rest, head, S(-1), &square_(begin, corner), square_.rows(),
              &square_(corner, corner), square_.rows(), threads_);
  }

  void mirror(Index begin, Index size) {
    for_each_lower_tile(1, size, [&](Index j, Index cols, Index i, Index rows) {
      if (i == j) return mirror_diagonal(begin + i, rows);
      square_.block(begin + i, begin + j, rows, cols) =
          square_.block(begin + j, begin + i, cols, rows).transpose();
    });
  }
#endif

  /// Strict upper triangle of a tile on the diagonal from its lower one.
  void mirror_diagonal(Index begin, Index size) {
    for (Index j = begin; j < begin + size; ++j) {
      for (Index i = begin; i < j; ++i) square_(i, j) = square_(j, i);
    }
  }

  Matrix<S>& square_;
  Matrix<S> lower_tiles_;  // L = U^T of each leaf: Eigen solves with it in half the time
  int threads_;
};

/// The diagonal of a square that holds `other` as long as this lives.
template <RealScalar S>
class BorrowedDiagonal {
 public:
  BorrowedDiagonal(Matrix<S>& square, Vector<S>& other) noexcept : square_(square), other_(other) {
    swap();
  }
  BorrowedDiagonal(const BorrowedDiagonal&) = delete;
  BorrowedDiagonal& operator=(const BorrowedDiagonal&) = delete;
  ~BorrowedDiagonal() { swap(); }

 private:
  void swap() noexcept {
    for (Index i = 0; i < other_.size(); ++i) std::swap(square_(i, i), other_(i));
  }
  Matrix<S>& square_;
  Vector<S>& other_;
};

}  // namespace detail

/// Factors square.lower + ridge I into square.strict_upper and `diagonal`. Allocates nothing of
/// order d^2.
/// @param square    d x d; its lower triangle is read, its strict upper triangle written
/// @param diagonal  d numbers: the diagonal of U
/// @return false where a pivot is not positive and finite: the factor is then unusable, S is
/// untouched
template <RealScalar S>
[[nodiscard]] bool factor_shifted(Matrix<S>& square, S ridge, Vector<S>& diagonal, int threads) {
  diagonal = square.diagonal();
  diagonal.array() += ridge;
  const detail::BorrowedDiagonal<S> borrowed(square, diagonal);
  return detail::InPlaceCholesky<S>(square, threads).factor(0, square.rows(), true);
}

namespace detail {

/// part <- U^-T part with the trailing triangle of U that begins at row `begin`.
template <RealScalar S, class Part>
void solve_forward_from(const Matrix<S>& square, const Vector<S>& diagonal, Index begin,
                        Part part) {
  const Index d = square.rows();
  for (Index k = begin; k < d; k += cholesky_block) {
    const Index size = std::min(cholesky_block, d - k);
    auto rows = part.middleRows(k - begin, size);
    subtract_product(rows, square.block(begin, k, k - begin, size).transpose(),
                     part.topRows(k - begin));
    solve_tile<Eigen::Lower>(diagonal_tile(square, diagonal, k, size, true), rows);
  }
}

}  // namespace detail

/// z <- U^-T z, the forward half of a solve, for d x m right-hand sides, shared out by columns.
template <RealScalar S>
void solve_forward(const Matrix<S>& square, const Vector<S>& diagonal, Matrix<S>& z, int threads) {
  const Index chunk = detail::solve_chunk(z.cols());
  const double flops =
      static_cast<double>(square.rows()) * static_cast<double>(square.rows() * z.cols());
  parallel_for(detail::team_for(flops, threads), (z.cols() + chunk - 1) / chunk, [&](Index c) {
    detail::solve_forward_from(square, diagonal, 0,
                               z.middleCols(c * chunk, std::min(chunk, z.cols() - c * chunk)));
  });
}

/// z <- U^-1 z, the backward half of a solve.
template <RealScalar S>
void solve_backward(const Matrix<S>& square, const Vector<S>& diagonal, Matrix<S>& z, int threads) {
  const Index chunk = detail::solve_chunk(z.cols());
  const Index d = square.rows();
  const Index blocks = (d + detail::cholesky_block - 1) / detail::cholesky_block;
  const double flops = static_cast<double>(d) * static_cast<double>(d * z.cols());
  parallel_for(detail::team_for(flops, threads), (z.cols() + chunk - 1) / chunk, [&](Index c) {
    auto part = z.middleCols(c * chunk, std::min(chunk, z.cols() - c * chunk));
    for (Index b = blocks; b-- > 0;) {
      const Index k = b * detail::cholesky_block;
      const Index size = std::min(detail::cholesky_block, d - k);
      auto rows = part.middleRows(k, size);
      detail::solve_tile<Eigen::Upper>(detail::diagonal_tile(square, diagonal, k, size, false),
                                       rows);
      detail::subtract_product(part.topRows(k), square.block(0, k, k, size), rows);
    }
  });
}

/// Diagonal of (U^T U)^-1: squared norms of the columns of U^-T, which start at the diagonal, made
/// and dropped in chunks.
/// @return d numbers
/// Cost: d^3 / 3 flops and 64 d numbers per thread.
template <RealScalar S>
[[nodiscard]] Vector<double> inverse_diagonal(const Matrix<S>& square, const Vector<S>& diagonal,
                                              int threads) {
  constexpr Index chunk = 64;
  const Index d = square.rows();
  Vector<double> result(d);
  const double flops = static_cast<double>(d) * static_cast<double>(d * d) / 3;
  parallel_for(detail::team_for(flops, threads), (d + chunk - 1) / chunk, [&](Index c) {
    const Index begin = c * chunk;
    const Index width = std::min(chunk, d - begin);
    Matrix<S> part = Matrix<S>::Identity(d - begin, width);
    detail::solve_forward_from<S>(square, diagonal, begin, part.leftCols(width));
    for (Index i = 0; i < width; ++i) {
      result(begin + i) = part.col(i).template cast<double>().squaredNorm();
    }
  });
  return result;
}

/// tr((U^T U)^-1), at the cost of inverse_diagonal.
template <RealScalar S>
[[nodiscard]] double trace_of_inverse(const Matrix<S>& square, const Vector<S>& diagonal,
                                      int threads) {
  return inverse_diagonal(square, diagonal, threads).sum();
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/factorisations.hpp"
#endif
