// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Linear algebra in double by Eigen's own decompositions and products: what tests compare with.
/// Compiled once for all rooms, since a decomposition costs a compiler more than a test does.

#include <Eigen/Core>

namespace anyssr::test {

/// A B.
Eigen::MatrixXd product_of(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b);

/// X^T X.
Eigen::MatrixXd gram_of(const Eigen::MatrixXd& x);

/// A^-1 B of a regular matrix.
Eigen::MatrixXd solution_of(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b);

Eigen::MatrixXd inverse_of(const Eigen::MatrixXd& a);

/// The V that makes |A V - B| smallest, by QR with column pivoting.
Eigen::MatrixXd least_squares_of(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b);

/// L with A = L L^T, lower triangular, of a positive definite matrix.
Eigen::MatrixXd lower_root_of(const Eigen::MatrixXd& a);

/// Eigenvalues of a symmetric matrix, ascending.
Eigen::VectorXd eigenvalues_of(const Eigen::MatrixXd& a);

/// The thin decomposition, by Jacobi rotations.
struct SingularVectors {
  Eigen::MatrixXd u;
  Eigen::VectorXd values;  ///< descending
  Eigen::MatrixXd v;
};
SingularVectors singular_vectors_of(const Eigen::MatrixXd& x);

/// Descending.
Eigen::VectorXd singular_values_of(const Eigen::MatrixXd& x);

/// The first `columns` columns of Q by Householder's QR decomposition of X.
Eigen::MatrixXd orthonormal_columns_of(const Eigen::MatrixXd& x, Eigen::Index columns);

/// As many as X has.
Eigen::MatrixXd orthonormal_columns_of(const Eigen::MatrixXd& x);

/// Orthonormal columns that span those of a matrix of the given rank.
Eigen::MatrixXd span_of(const Eigen::MatrixXd& x, Eigen::Index rank);

/// |A - B| / |B| in the Frobenius norm.
double relative_difference(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b);

}  // namespace anyssr::test
