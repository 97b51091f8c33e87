// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The thin QR factorisation by Householder reflections, in double:
///
///   X = Q R      I - tau v v^T, one reflection per column, v = [1, ...] below the diagonal
///
/// Source: Golub and Van Loan, Matrix Computations, 4th ed., 5.1 and 5.2.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/linalg/vectors.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Q (m x k) and R (k x n) of a matrix m x n, k = min(m, n).
class ThinQr {
 public:
  template <std::same_as<double> R = double>
  explicit ThinQr(const Matrix<double>& x)
      : packed_(x), taus_(static_cast<std::size_t>(std::min(x.rows(), x.cols())), 0.0) {
    for (Index j = 0; j < rank(); ++j) {
      reflect<R>(j);
      for (Index c = j + 1; c < packed_.cols(); ++c) apply<R>(j, &packed_(j, c));
    }
  }

  [[nodiscard]] Matrix<double> r() const {
    Matrix<double> upper = Matrix<double>::Zero(rank(), packed_.cols());
    for (Index j = 0; j < upper.cols(); ++j) {
      for (Index i = 0; i < std::min(j + 1, rank()); ++i) upper(i, j) = packed_(i, j);
    }
    return upper;
  }

  /// Q x, with x of k rows.
  template <std::same_as<double> R = double>
  [[nodiscard]] Matrix<double> q_times(const Matrix<double>& x) const {
    Matrix<R> padded = Matrix<R>::Zero(packed_.rows(), x.cols());
    for (Index c = 0; c < x.cols(); ++c) {
      std::copy_n(x.data() + c * x.rows(), rank(), padded.data() + c * padded.rows());
      for (Index j = rank(); j-- > 0;) apply<R>(j, &padded(j, c));
    }
    return padded;
  }

 private:
  [[nodiscard]] Index rank() const noexcept { return static_cast<Index>(taus_.size()); }

  /// The reflection that leaves R(j, j) of column j; its v without the leading 1 takes the place of
  /// what it empties.
  template <std::same_as<double> R>
  void reflect(Index j) {
    R* const column = &packed_(j, j);
    const Index below = packed_.rows() - j - 1;
    const R tail = norm(column + 1, below);
    if (tail <= std::numeric_limits<R>::min()) return;  // the column is triangular already
    const R length = std::copysign(std::hypot(column[0], tail), column[0]);
    const R first = column[0] + length;  // no cancellation: both have one sign
    taus_[static_cast<std::size_t>(j)] = first / length;
    for (Index i = 1; i <= below; ++i) column[i] /= first;
    column[0] = -length;
  }

  /// column <- (I - tau v v^T) column, from row j on.
  template <std::same_as<double> R>
  void apply(Index j, R* column) const {
    const R tau = taus_[static_cast<std::size_t>(j)];
    if (tau == 0) return;
    const R* const v = &packed_(j, j);
    const Index below = packed_.rows() - j - 1;
    const R moved = tau * (column[0] + dot(v + 1, column + 1, below));
    column[0] -= moved;
    add_multiple(-moved, v + 1, column + 1, below);
  }

  Matrix<double> packed_;     // R in the upper triangle, v below it
  std::vector<double> taus_;  // one per reflection; 0: none
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
