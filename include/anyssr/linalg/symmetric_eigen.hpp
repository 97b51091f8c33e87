// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The eigenvalues and eigenvectors of a symmetric matrix, in double:
///
///   A = V diag(values) V^T
///
/// By Householder reflections to a tridiagonal T, then implicit QR steps with Wilkinson's shift.
/// T alone leads to the rotations of these steps: they are collected, and V takes many of them a
/// panel of rows at a time, while the panel is in cache.
/// Source: Golub and Van Loan, Matrix Computations, 4th ed., 8.3.1 to 8.3.5.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/vectors.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

struct SymmetricEigen {
  Vector<double> values;   // descending
  Matrix<double> vectors;  // one per column, orthonormal
};

/// A = Q T Q^T, T tridiagonal; Q = H_0 H_1 ..., H_k = I - tau_k v_k v_k^T, v_k zero up to row k.
template <std::same_as<double> R>
class Tridiagonal {
 public:
  /// @param a  lower triangle
  explicit Tridiagonal(Matrix<R> a)
      : packed_(std::move(a)),
        diagonal_(packed_.rows()),
        below_(Vector<R>::Zero(packed_.rows())),
        taus_(packed_.rows()) {
    const Index n = packed_.rows();
    Vector<R> w = Vector<R>::Zero(n);
    Vector<R> previous_w = Vector<R>::Zero(n);
    for (Index k = 0; k < n; ++k) {
      // A - v w^T - w v^T of the step before, a column at a time when that is read anyway
      if (k > 0) update_column(k, k - 1, previous_w);
      diagonal_(k) = packed_(k, k);
      if (k + 1 == n) break;
      reflect(k);
      w.setZero();
      const R* const v = packed_.data() + k * n;
      for (Index j = k + 1; j < n; ++j) {
        if (k > 0) update_column(j, k - 1, previous_w);
        const R* const column = packed_.data() + j * n;
        const Index rest = n - j - 1;
        w(j) += column[j] * v[j] + dot(column + j + 1, v + j + 1, rest);
        add_multiple(v[j], column + j + 1, w.data() + j + 1, rest);
      }
      const Index size = n - k - 1;
      const R tau = taus_(k);
      scale(tau, w.data() + k + 1, size);
      const R half = tau * dot(w.data() + k + 1, v + k + 1, size) / 2;
      add_multiple(-half, v + k + 1, w.data() + k + 1, size);
      w.swap(previous_w);
    }
  }

  [[nodiscard]] Vector<R>& diagonal() noexcept { return diagonal_; }
  /// T(k + 1, k) at k.
  [[nodiscard]] Vector<R>& below() noexcept { return below_; }

  /// Blocks of reflections at a time, as I - V T V^T (5.1.7).
  [[nodiscard]] Matrix<R> q() const {
    constexpr Index width = 32;
    const Index n = packed_.rows();
    Matrix<R> q = Matrix<R>::Identity(n, n);
    Matrix<R> overlaps;
    Matrix<R> projected;
    Matrix<R> turned;
    for (Index end = n - 1; end > 0;) {
      const Index begin = (end - 1) / width * width;
      const Index size = n - begin - 1;
      Matrix<R> v = Matrix<R>::Zero(size, end - begin);
      for (Index k = begin; k < end; ++k) {
        std::copy_n(&packed_(k + 1, k), n - k - 1, &v(k - begin, k - begin));
      }
      set_product(overlaps, v.transpose(), v);
      Matrix<R> t = Matrix<R>::Zero(v.cols(), v.cols());
      for (Index j = 0; j < t.cols(); ++j) {
        const R tau = taus_(begin + j);
        for (Index l = 0; l < j; ++l)
          add_multiple(-tau * overlaps(l, j), &t(0, l), &t(0, j), l + 1);
        t(j, j) = tau;
      }
      auto changing = q.block(begin + 1, begin + 1, size, size);
      set_product(projected, v.transpose(), changing);
      set_product(turned, t, projected);
      subtract_product(changing, v, turned);
      end = begin;
    }
    return q;
  }

 private:
  void update_column(Index j, Index k, const Vector<R>& w) {
    const Index n = packed_.rows();
    const R* const v = packed_.data() + k * n;
    R* const column = packed_.data() + j * n;
    VectorMap<R>(column + j, n - j) -=
        v[j] * ConstVectorMap<R>(w.data() + j, n - j) + w(j) * ConstVectorMap<R>(v + j, n - j);
  }

  /// Column k below the diagonal becomes [below_(k), 0, ...]; v takes its place.
  void reflect(Index k) {
    R* const x = &packed_(k + 1, k);
    const Index rest = packed_.rows() - k - 2;
    const R tail = norm(x + 1, rest);
    below_(k) = x[0];
    taus_(k) = 0;
    if (tail > std::numeric_limits<R>::min()) {
      const R length = std::copysign(std::hypot(x[0], tail), x[0]);
      const R first = x[0] + length;  // no cancellation: both have one sign
      taus_(k) = first / length;
      below_(k) = -length;
      for (Index i = 1; i <= rest; ++i) x[i] /= first;
    }
    x[0] = 1;
  }

  Matrix<R> packed_;  // v_k in column k
  Vector<R> diagonal_;
  Vector<R> below_;
  Vector<R> taus_;
};

/// Rotations of neighbouring columns of V, put off until there are many.
template <std::same_as<double> R>
class ColumnRotations {
 public:
  explicit ColumnRotations(Matrix<R>& v) : v_(v), panel_(Matrix<R>::Zero(chunk, v.cols())) {
    waiting_.reserve(most);
  }

  /// [v_k, v_k+1] <- [c v_k - s v_k+1, s v_k + c v_k+1]
  void add(Index k, R c, R s) {
    waiting_.push_back({k, c, s});
    if (waiting_.size() == most) apply();
  }

  void apply() {
    for (Index row = 0; row < v_.rows() && !waiting_.empty(); row += chunk) {
      const Index rows = std::min(chunk, v_.rows() - row);
      for (Index j = 0; j < v_.cols(); ++j) std::copy_n(&v_(row, j), rows, &panel_(0, j));
      turn_panel();
      for (Index j = 0; j < v_.cols(); ++j) std::copy_n(&panel_(0, j), rows, &v_(row, j));
    }
    waiting_.clear();
  }

 private:
  struct Rotation {
    Index k;
    R c;
    R s;
  };
  static constexpr std::size_t most = 4096;
  static constexpr Index chunk = 4 * EIGEN_MAX_STATIC_ALIGN_BYTES / sizeof(R);  // four registers

  void turn_panel() {
    using Chunk = Eigen::Array<R, chunk, 1>;
    using Column = Eigen::Map<Chunk, Eigen::AlignedMax>;
    Index at = waiting_.front().k;  // a step turns 0 and 1, then 1 and 2, ...
    Chunk left = Column(&panel_(0, at));
    for (const Rotation& rotation : waiting_) {
      if (rotation.k != at) {
        Column(&panel_(0, at)) = left;
        at = rotation.k;
        left = Column(&panel_(0, at));
      }
      const Chunk right = Column(&panel_(0, at + 1));
      Column(&panel_(0, at)) = rotation.c * left - rotation.s * right;
      left = rotation.s * left + rotation.c * right;
      ++at;
    }
    Column(&panel_(0, at)) = left;
  }

  Matrix<R>& v_;
  Matrix<R> panel_;  // some rows of V, whose columns stand side by side
  std::vector<Rotation> waiting_;
};

/// One QR step on rows begin..end of T, none of whose e is 0.
/// @param d  diagonal;  e  below it
template <std::same_as<double> R>
void qr_step(R* d, R* e, Index begin, Index end, ColumnRotations<R>& rotations) {
  constexpr R tiny_square = 1e-280;  // below it digits are lost
  // the eigenvalue of the last 2 x 2 block that is nearer to its last entry
  const R half = (d[end - 1] - d[end]) / 2;
  const R last = e[end - 1];
  const R shift = d[end] - last * (last / (half + std::copysign(std::hypot(half, last), half)));
  R x = d[begin] - shift;
  R bulge = e[begin];
  for (Index k = begin; k < end && bulge != R(0); ++k) {
    const R square = x * x + bulge * bulge;
    const R length = square > tiny_square ? std::sqrt(square) : std::hypot(x, bulge);
    const R c = x / length;
    const R s = -bulge / length;
    if (k > begin) e[k - 1] = length;
    const R upper = d[k];
    const R lower = d[k + 1];
    const R between = e[k];
    const R mixed = 2 * c * s * between;
    d[k] = c * c * upper + s * s * lower - mixed;
    d[k + 1] = s * s * upper + c * c * lower + mixed;
    e[k] = c * s * (upper - lower) + (c * c - s * s) * between;
    if (k + 1 < end) {
      bulge = -s * e[k + 1];
      e[k + 1] *= c;
    }
    x = e[k];
    rotations.add(k, c, s);
  }
}

/// @param a  n x n, finite; its lower triangle is read
/// Cost: about 9 n^3 operations.
template <std::same_as<double> R = double>
[[nodiscard]] SymmetricEigen symmetric_eigen(const Matrix<double>& a) {
  const Index n = a.rows();
  if (n == 0) return {Vector<double>(0), Matrix<double>(0, 0)};
  R unit = 0;
  for (Index j = 0; j < n; ++j) {
    for (Index i = j; i < n; ++i) unit = std::max(unit, std::abs(a(i, j)));
  }
  if (unit == 0) unit = 1;
  Matrix<R> scaled = a / unit;  // squares stay in range
  Tridiagonal<R> t(std::move(scaled));
  Vector<R>& d = t.diagonal();
  Vector<R>& e = t.below();
  Matrix<R> v = t.q();
  ColumnRotations<R> rotations(v);
  Index steps = 0;
  for (Index end = n - 1; end > 0;) {
    const auto is_small = [&](Index k) {
      return std::abs(e(k)) <=
             std::numeric_limits<R>::epsilon() * (std::abs(d(k)) + std::abs(d(k + 1)));
    };
    if (is_small(end - 1)) {
      --end;
      continue;
    }
    Index begin = end - 1;
    while (begin > 0 && !is_small(begin - 1)) --begin;
    expect<NumericalError>(++steps <= 40 * n, "the eigenvalues of a ", n, " x ", n,
                           " matrix did not converge");
    qr_step(d.data(), e.data(), begin, end, rotations);
  }
  rotations.apply();

  for (Index i = 0; i < n; ++i) {
    const Index first = std::max_element(d.data() + i, d.data() + n) - d.data();
    if (first == i) continue;
    std::swap(d(i), d(first));
    std::swap_ranges(&v(0, i), &v(0, i) + n, &v(0, first));
  }
  scale(unit, d.data(), n);
  return {std::move(d), std::move(v)};
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
