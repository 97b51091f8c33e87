// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Cholesky factorisation that shares one square buffer with its matrix:
///
///   S + lambda I = U^T U         S: lower triangle with diagonal;  U: strict upper triangle
///
/// The diagonal of U stands in a vector of its own, so S stays as it was and the pair needs
/// d^2 + d numbers. Left-looking by blocks of rows: nearly all work is matrix products, shared out
/// over threads by tiles with one owner each (same bits for any number of threads). d^3 / 3 flops.

#include <algorithm>
#include <cmath>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/threads.hpp"

namespace anyssr::inline v0 {

namespace detail {

inline constexpr Index cholesky_block = 128;

/// Tile k of U with its diagonal, as a matrix of its own (upper triangle).
template <RealScalar S>
Matrix<S> diagonal_tile(const Matrix<S>& square, const Vector<S>& diagonal, Index begin,
                        Index size) {
  Matrix<S> tile = Matrix<S>::Zero(size, size);
  tile.template triangularView<Eigen::StrictlyUpper>() = square.block(begin, begin, size, size);
  tile.diagonal() = diagonal.segment(begin, size);
  return tile;
}

/// Factors the dense symmetric tile (lower triangle) to U in its upper triangle.
/// @return false at a pivot that is not finite and positive
template <RealScalar S>
bool factor_tile(Matrix<S>& tile) {
  for (Index k = 0; k < tile.cols(); ++k) {
    const S pivot = tile(k, k) - tile.col(k).head(k).squaredNorm();
    if (!(pivot > S(0)) || !std::isfinite(pivot)) return false;
    tile(k, k) = std::sqrt(pivot);
    for (Index j = k + 1; j < tile.cols(); ++j) {
      tile(k, j) = (tile(j, k) - tile.col(k).head(k).dot(tile.col(j).head(k))) / tile(k, k);
    }
  }
  return true;
}

}  // namespace detail

/// Factors square.lower + ridge I into square.strict_upper and `diagonal`. Allocates nothing of
/// order d^2.
/// @param square    d x d; its lower triangle is read, its strict upper triangle written
/// @param diagonal  d numbers: the diagonal of U
/// @return false where a pivot is not positive and finite: the factor is then unusable, S is
/// untouched
template <RealScalar S>
[[nodiscard]] bool factor_shifted(Matrix<S>& square, S ridge, Vector<S>& diagonal, int threads) {
  const Index d = square.rows();
  const int team = d < 768 ? 1 : threads;
  diagonal.resize(d);
  Matrix<S> tile;
  for (Index k = 0; k < d; k += detail::cholesky_block) {
    const Index size = std::min(detail::cholesky_block, d - k);
    const auto panel = square.block(0, k, k, size);  // U above the diagonal tile
    tile = square.block(k, k, size, size);
    tile.diagonal().array() += ridge;
    if (k > 0) tile.template triangularView<Eigen::Lower>() -= panel.transpose() * panel;
    if (!detail::factor_tile(tile)) return false;
    square.block(k, k, size, size).template triangularView<Eigen::StrictlyUpper>() = tile;
    diagonal.segment(k, size) = tile.diagonal();

    const Index right = k + size;
    const Index tiles = (d - right + detail::cholesky_block - 1) / detail::cholesky_block;
    parallel_for(team, tiles, [&](Index t) {
      const Index j = right + t * detail::cholesky_block;
      const Index cols = std::min(detail::cholesky_block, d - j);
      Matrix<S> row = square.block(j, k, cols, size).transpose();
      row.noalias() -= panel.transpose() * square.block(0, j, k, cols);
      tile.template triangularView<Eigen::Upper>().transpose().solveInPlace(row);
      square.block(k, j, size, cols) = row;
    });
  }
  return true;
}

/// z <- U^-T z, the forward half of a solve, for d x m right-hand sides, shared out by columns.
template <RealScalar S>
void solve_forward(const Matrix<S>& square, const Vector<S>& diagonal, Matrix<S>& z, int threads) {
  constexpr Index chunk = 64;
  const Index d = square.rows();
  const int team = static_cast<double>(d) * static_cast<double>(d * z.cols()) < 1e8 ? 1 : threads;
  parallel_for(team, (z.cols() + chunk - 1) / chunk, [&](Index c) {
    auto part = z.middleCols(c * chunk, std::min(chunk, z.cols() - c * chunk));
    for (Index k = 0; k < d; k += detail::cholesky_block) {
      const Index size = std::min(detail::cholesky_block, d - k);
      auto rows = part.middleRows(k, size);
      rows.noalias() -= square.block(0, k, k, size).transpose() * part.topRows(k);
      const Matrix<S> tile = detail::diagonal_tile(square, diagonal, k, size);
      tile.template triangularView<Eigen::Upper>().transpose().solveInPlace(rows);
    }
  });
}

/// z <- U^-1 z, the backward half of a solve.
template <RealScalar S>
void solve_backward(const Matrix<S>& square, const Vector<S>& diagonal, Matrix<S>& z, int threads) {
  constexpr Index chunk = 64;
  const Index d = square.rows();
  const Index blocks = (d + detail::cholesky_block - 1) / detail::cholesky_block;
  const int team = static_cast<double>(d) * static_cast<double>(d * z.cols()) < 1e8 ? 1 : threads;
  parallel_for(team, (z.cols() + chunk - 1) / chunk, [&](Index c) {
    auto part = z.middleCols(c * chunk, std::min(chunk, z.cols() - c * chunk));
    for (Index b = blocks; b-- > 0;) {
      const Index k = b * detail::cholesky_block;
      const Index size = std::min(detail::cholesky_block, d - k);
      auto rows = part.middleRows(k, size);
      const Matrix<S> tile = detail::diagonal_tile(square, diagonal, k, size);
      tile.template triangularView<Eigen::Upper>().solveInPlace(rows);
      part.topRows(k).noalias() -= square.block(0, k, k, size) * rows;
    }
  });
}

}  // namespace anyssr::inline v0
