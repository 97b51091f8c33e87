// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Random inputs, independent references and tolerances that the tests share.

#include <limits>
#include <utility>

#include "anyssr/core/random.hpp"
#include "support/reference.hpp"

namespace anyssr::test {

/// |a - b| / |b| in the Frobenius norm, in double.
template <class A, class B>
double relative_error(const A& a, const B& b) {
  return relative_difference(a.template cast<double>(), b.template cast<double>());
}

/// `factor` units of round-off of Scalar.
template <class Scalar>
double round_off(double factor) {
  return factor * static_cast<double>(std::numeric_limits<Scalar>::epsilon());
}

/// |U^T U - I| of an n x k basis, in double.
template <class U>
double orthonormality_error(const U& basis) {
  const Eigen::MatrixXd gram = gram_of(basis.template cast<double>());
  return (gram - Eigen::MatrixXd::Identity(gram.cols(), gram.cols())).norm();
}

/// Ridge regression the slow way, in double: the rows of X over sqrt(ridge) I, solved by QR.
template <class X, class Y>
Eigen::MatrixXd joint_fit(const X& x, const Y& y, double ridge) {
  const Index n = x.rows();
  const Index d = x.cols();
  Eigen::MatrixXd stacked = Eigen::MatrixXd::Zero(n + d, d);
  stacked.topRows(n) = x.template cast<double>();
  stacked.bottomRows(d).diagonal().setConstant(std::sqrt(ridge));
  Eigen::MatrixXd right = Eigen::MatrixXd::Zero(n + d, y.cols());
  right.topRows(n) = y.template cast<double>();
  return least_squares_of(stacked, right);
}

/// n x d features and n x t targets that a noisy linear map gives.
template <class Scalar>
std::pair<Matrix<Scalar>, Matrix<Scalar>> random_regression(Index n, Index d, Index t,
                                                            std::uint64_t seed) {
  const Eigen::MatrixXd x = random_normal<double>(n, d, seed, 1);
  const Eigen::MatrixXd w = random_normal<double>(d, t, seed, 2);
  const Eigen::MatrixXd noise = random_normal<double>(n, t, seed, 3);
  const Eigen::MatrixXd y = x * w + 0.1 * noise;
  return {x.cast<Scalar>(), y.cast<Scalar>()};
}

/// The sparse form of a dense matrix.
template <class Scalar>
SparseRows<Scalar> to_sparse(const Matrix<Scalar>& x) {
  SparseRows<Scalar> sparse = x.sparseView();
  sparse.makeCompressed();
  return sparse;
}

/// n x d, about `density` of the entries not zero.
template <class Scalar>
SparseRows<Scalar> random_sparse(Index n, Index d, double density, std::uint64_t seed) {
  Matrix<Scalar> dense = random_normal<Scalar>(n, d, seed, 4);
  RandomStream random(seed, 5);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < d; ++j) {
      if (random.uniform() >= density) dense(i, j) = 0;
    }
  }
  return to_sparse(dense);
}

}  // namespace anyssr::test
