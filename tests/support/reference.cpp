// SPDX-License-Identifier: MIT
#include "support/reference.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <limits>

namespace anyssr::test {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

MatrixXd product_of(const MatrixXd& a, const MatrixXd& b) { return a * b; }

MatrixXd gram_of(const MatrixXd& x) { return x.transpose() * x; }

MatrixXd solution_of(const MatrixXd& a, const MatrixXd& b) { return a.partialPivLu().solve(b); }

MatrixXd inverse_of(const MatrixXd& a) { return a.inverse(); }

MatrixXd least_squares_of(const MatrixXd& a, const MatrixXd& b) {
  return a.colPivHouseholderQr().solve(b);
}

MatrixXd lower_root_of(const MatrixXd& a) { return a.llt().matrixL(); }

VectorXd eigenvalues_of(const MatrixXd& a) {
  return Eigen::SelfAdjointEigenSolver<MatrixXd>(a, Eigen::EigenvaluesOnly).eigenvalues();
}

SingularVectors singular_vectors_of(const MatrixXd& x) {
  const Eigen::JacobiSVD<MatrixXd> svd(x, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return {.u = svd.matrixU(), .values = svd.singularValues(), .v = svd.matrixV()};
}

VectorXd singular_values_of(const MatrixXd& x) {
  return Eigen::JacobiSVD<MatrixXd>(x).singularValues();
}

MatrixXd orthonormal_columns_of(const MatrixXd& x, Index columns) {
  return Eigen::HouseholderQR<MatrixXd>(x).householderQ() * MatrixXd::Identity(x.rows(), columns);
}

MatrixXd orthonormal_columns_of(const MatrixXd& x) { return orthonormal_columns_of(x, x.cols()); }

MatrixXd span_of(const MatrixXd& x, Index rank) {
  return Eigen::ColPivHouseholderQR<MatrixXd>(x).householderQ() *
         MatrixXd::Identity(x.rows(), rank);
}

double relative_difference(const MatrixXd& a, const MatrixXd& b) {
  return (a - b).norm() / std::max(b.norm(), std::numeric_limits<double>::min());
}

}  // namespace anyssr::test
