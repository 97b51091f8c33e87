// SPDX-License-Identifier: MIT
#include "anyssr/linalg/symmetric_eigen.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

namespace anyssr {
namespace {

using detail::symmetric_eigen;
using detail::SymmetricEigen;

constexpr double eps = std::numeric_limits<double>::epsilon();

/// V^T V = I, A V = V diag(values), descending.
void check_decomposition(const Matrix<double>& a, const SymmetricEigen& found) {
  const Index n = a.rows();
  REQUIRE(found.values.size() == n);
  REQUIRE(found.vectors.rows() == n);
  REQUIRE(found.vectors.cols() == n);
  const double size = found.values.cwiseAbs().maxCoeff();
  const auto bound = 8 * eps * static_cast<double>(n);
  const Matrix<double> gram = found.vectors.transpose() * found.vectors;
  CHECK((gram - Matrix<double>::Identity(n, n)).cwiseAbs().maxCoeff() <= bound);
  const Matrix<double> rest = a * found.vectors - found.vectors * found.values.asDiagonal();
  CHECK(rest.cwiseAbs().maxCoeff() <= bound * size);
  for (Index i = 1; i < n; ++i) CHECK(found.values(i) <= found.values(i - 1));
}

/// The same by Eigen; what stands above the diagonal is not read.
void check(const Matrix<double>& a) {
  Matrix<double> lower = a;
  lower.triangularView<Eigen::StrictlyUpper>().setConstant(
      std::numeric_limits<double>::quiet_NaN());
  const SymmetricEigen found = symmetric_eigen(lower);
  check_decomposition(a, found);
  const Vector<double> expected = test::eigenvalues_of(a).reverse();
  const double bound = 20 * eps * static_cast<double>(a.rows());
  CHECK((found.values - expected).cwiseAbs().maxCoeff() <= bound * expected.cwiseAbs().maxCoeff());
}

/// Q diag(values) Q^T for a random orthonormal Q.
Matrix<double> with_eigenvalues(const Vector<double>& values, std::uint64_t seed) {
  const Index n = values.size();
  const Matrix<double> q = test::orthonormal_columns_of(random_normal<double>(n, n, seed));
  const Matrix<double> a = q * values.asDiagonal() * q.transpose();
  return (a + a.transpose()) / 2;
}

}  // namespace

TEST_CASE("a symmetric matrix is that of its eigenvalues and vectors", "[linalg][property]") {
  const Index n = GENERATE(1, 2, 3, 5, 31, 32, 33, 34, 65, 130);
  CAPTURE(n);
  const Matrix<double> x = random_normal<double>(n, n, 7);
  check(x + x.transpose());  // of both signs
  check(x * x.transpose());  // a Gram
  const Matrix<double> thin = x.leftCols((n + 2) / 3);
  check(thin * thin.transpose());  // most are 0
}

TEST_CASE("spectra that are hard to separate are found", "[linalg][property]") {
  const Index n = 40;
  Vector<double> values(n);
  for (Index i = 0; i < n; ++i) values(i) = std::pow(0.5, static_cast<double>(i));
  check(with_eigenvalues(values, 1));
  for (Index i = 0; i < n; ++i) values(i) = i < 25 ? 3 : -1;  // two, many times
  check(with_eigenvalues(values, 2));
  for (Index i = 0; i < n; ++i) values(i) = 1 + 1e-14 * static_cast<double>(i);
  check(with_eigenvalues(values, 3));
  Matrix<double> wilkinson = Matrix<double>::Zero(21, 21);  // pairs that agree to 15 digits
  for (Index i = 0; i < 21; ++i) {
    wilkinson(i, i) = std::abs(static_cast<double>(i - 10));
    if (i > 0) wilkinson(i, i - 1) = wilkinson(i - 1, i) = 1;
  }
  check(wilkinson);
  Matrix<double> graded = Matrix<double>::Zero(30, 30);
  for (Index j = 0; j < 30; ++j) {
    for (Index i = 0; i < 30; ++i) {
      graded(i, j) = std::pow(10.0, -static_cast<double>(std::max(i, j)));
    }
  }
  check(graded);
  check(graded.reverse());
}

TEST_CASE("the second difference has the eigenvalues of its closed form", "[linalg][golden]") {
  const Index n = 77;
  Matrix<double> a = 2 * Matrix<double>::Identity(n, n);
  for (Index i = 1; i < n; ++i) a(i, i - 1) = a(i - 1, i) = -1;
  const SymmetricEigen found = symmetric_eigen(a);
  check_decomposition(a, found);
  for (Index k = 0; k < n; ++k) {
    const double angle = std::numbers::pi * static_cast<double>(n - k) / (2.0 * (n + 1));
    const double sine = std::sin(angle);
    CHECK(std::abs(found.values(k) - 4 * sine * sine) < 50 * eps);
  }
}

TEMPLATE_TEST_CASE("a norm is right where its squares leave the range", "[linalg][property]", float,
                   double) {
  using Limits = std::numeric_limits<TestType>;
  const Vector<TestType> x = random_normal<TestType>(23, 1, 4);
  const double plain = x.template cast<double>().norm();
  for (const TestType factor : {Limits::min(), TestType(1), Limits::max() / 64}) {
    CAPTURE(factor);
    const Vector<TestType> scaled = factor * x;
    CHECK(std::abs(static_cast<double>(detail::norm(scaled.data(), 23) / factor) - plain) <
          8 * static_cast<double>(Limits::epsilon()) * plain);
  }
  const Vector<TestType> zero = Vector<TestType>::Zero(3);
  CHECK(detail::norm(zero.data(), 3) == 0);
  CHECK(detail::norm(zero.data(), 0) == 0);
  Vector<TestType> special = x;
  special(5) = Limits::infinity();
  CHECK(detail::norm(special.data(), 23) == Limits::infinity());
  special(7) = Limits::quiet_NaN();
  CHECK(std::isnan(detail::norm(special.data(), 23)));
}

TEST_CASE("matrices without anything to rotate are taken as they are", "[linalg][property]") {
  CHECK(symmetric_eigen(Matrix<double>(0, 0)).values.size() == 0);
  const SymmetricEigen zero = symmetric_eigen(Matrix<double>::Zero(5, 5));
  CHECK(zero.values.isZero(0));
  CHECK(zero.vectors.isIdentity(0));
  const Vector<double> diagonal = Vector<double>::LinSpaced(9, -4, 4);
  const SymmetricEigen found = symmetric_eigen(Matrix<double>(diagonal.asDiagonal()));
  CHECK(found.values == diagonal.reverse());
  CHECK(found.vectors.cwiseAbs() ==
        Matrix<double>(Matrix<double>::Identity(9, 9).rowwise().reverse()));
  Matrix<double> blocks = Matrix<double>::Zero(7, 7);
  blocks.topLeftCorner(3, 3).setOnes();
  blocks.bottomRightCorner(3, 3).setConstant(-2);
  check(blocks);
}

TEST_CASE("the largest and the smallest numbers leave no range", "[linalg][property]") {
  const Matrix<double> x = random_normal<double>(12, 12, 5);
  const Matrix<double> a = x + x.transpose();
  const SymmetricEigen plain = symmetric_eigen(a);
  for (const double factor : {0x1p-1020, 0x1p-600, 0x1p600, 0x1p1015}) {
    CAPTURE(factor);
    const SymmetricEigen found = symmetric_eigen(factor * a);
    CHECK((found.values / factor - plain.values).cwiseAbs().maxCoeff() <=
          100 * eps * plain.values.cwiseAbs().maxCoeff());
    CHECK((found.vectors - plain.vectors).cwiseAbs().maxCoeff() < 1e-12);
  }
}

}  // namespace anyssr
