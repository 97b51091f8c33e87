// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// R = (S + lambda I)^-1 of a stream of rows:
///
///   R = R_0 - K^T K
///
/// The rows K of small batches wait and are folded into R_0 64 at a time: a single row so reads R_0
/// once and writes nothing of order d^2. R_0 is symmetric by construction, one triangle of it.
/// Source: ours.

#include <algorithm>
#include <cstdint>

#include "anyssr/core/random.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/second_moment.hpp"
#include "anyssr/linalg/symmetric_product.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

template <RealScalar S>
class InverseGram {
 public:
  /// R = I / lambda
  InverseGram(Index dim, double ridge, int threads) : lower_(dim, dim), threads_(threads) {
    start_over(ridge);
  }
  void start_over(double ridge);

  [[nodiscard]] Index dim() const noexcept { return lower_.rows(); }

  /// R Z for Z (d x n).
  [[nodiscard]] Matrix<S> times(const Matrix<S>& z) const;
  /// R z in double, for the probes.
  [[nodiscard]] Eigen::VectorXd times_in_double(const Eigen::VectorXd& z) const;

  /// Takes what memory and time the next change needs, and leaves R as it is.
  /// @param n  rows of that change
  void make_room(Index n);
  /// R -= sign K^T K, after make_room.
  /// @param k  K^T, d x n
  void subtract(const Matrix<S>& k, Sign sign);

  /// Has `write` write the lower triangle of R anew, given the d x d matrix it stands in.
  template <class Write>
  void rewrite(const Write& write) {
    write(lower_);
    waiting_count_ = 0;
  }

  [[nodiscard]] Vector<S> diagonal() const;
  /// R, full and symmetric.
  [[nodiscard]] Matrix<S> full() const;
  /// The largest eigenvalue, by 20 steps of power iteration.
  [[nodiscard]] double largest_eigenvalue() const;

  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(lower_.size() + waiting_.size()) * sizeof(S);
  }

 private:
  static constexpr Index most_waiting = 64;

  Matrix<S> lower_;    // R_0
  Matrix<S> waiting_;  // d x 64: K^T in its first columns, or empty
  Index waiting_count_ = 0;
  int threads_;
};

template <RealScalar S>
void InverseGram<S>::start_over(double ridge) {
  lower_.setZero();
  lower_.diagonal().setConstant(static_cast<S>(1 / ridge));
  waiting_count_ = 0;
}

template <RealScalar S>
Matrix<S> InverseGram<S>::times(const Matrix<S>& z) const {
  Matrix<S> product(z.rows(), z.cols());
  multiply_symmetric(lower_, z, product, threads_);
  if (waiting_count_ > 0) {
    const auto waiting = waiting_.leftCols(waiting_count_);
    subtract_product(product, waiting, product_of<Matrix<S>>(waiting.transpose(), z));
  }
  return product;
}

template <RealScalar S>
Eigen::VectorXd InverseGram<S>::times_in_double(const Eigen::VectorXd& z) const {
  Eigen::VectorXd product = Eigen::VectorXd::Zero(dim());
  for (Index j = 0; j < dim(); ++j) {
    const Index below = dim() - j - 1;
    const auto column = lower_.col(j).tail(below).template cast<double>();
    product(j) += static_cast<double>(lower_(j, j)) * z(j) + column.dot(z.tail(below));
    product.tail(below) += z(j) * column;
  }
  for (Index j = 0; j < waiting_count_; ++j) {
    const auto column = waiting_.col(j).template cast<double>();
    product -= column.dot(z) * column;
  }
  return product;
}

template <RealScalar S>
void InverseGram<S>::make_room(Index n) {
  if (waiting_.size() == 0) waiting_.resize(dim(), most_waiting);
  if (waiting_count_ + n <= most_waiting) return;
  accumulate_second_moment(waiting_.leftCols(waiting_count_).transpose(), lower_, threads_,
                           Sign::subtract);
  waiting_count_ = 0;
}

template <RealScalar S>
void InverseGram<S>::subtract(const Matrix<S>& k, Sign sign) {
  const Index n = k.cols();
  if (sign == Sign::add && n <= most_waiting) {
    waiting_.middleCols(waiting_count_, n) = k;
    waiting_count_ += n;
  } else {
    accumulate_second_moment(k.transpose(), lower_, threads_,
                             sign == Sign::add ? Sign::subtract : Sign::add);
  }
}

template <RealScalar S>
Vector<S> InverseGram<S>::diagonal() const {
  Vector<S> diagonal = lower_.diagonal();
  if (waiting_count_ > 0) diagonal -= waiting_.leftCols(waiting_count_).rowwise().squaredNorm();
  return diagonal;
}

template <RealScalar S>
Matrix<S> InverseGram<S>::full() const {
  Matrix<S> lower = lower_;
  accumulate_second_moment(waiting_.leftCols(waiting_count_).transpose(), lower, threads_,
                           Sign::subtract);
  return lower.template selfadjointView<Eigen::Lower>();
}

template <RealScalar S>
double InverseGram<S>::largest_eigenvalue() const {
  Matrix<S> z = random_normal<S>(dim(), 1, 0x636F6E64);  // any start that is no eigenvector
  double largest = 0;
  for (int step = 0; step < 20; ++step) {
    z /= z.norm();
    z = times(z);
    largest = static_cast<double>(z.norm());
  }
  return largest;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
