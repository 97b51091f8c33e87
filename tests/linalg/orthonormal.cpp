// SPDX-License-Identifier: MIT

#include "anyssr/linalg/orthonormal.hpp"

#include <limits>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::contains;
using test::message_of;
using test::round_off;

/// |Q^T Q - I|, largest entry, in double.
template <class Q>
double orthonormality_error(const Q& q) {
  const Eigen::MatrixXd wide = q.template cast<double>();
  const Eigen::MatrixXd gram = wide.transpose() * wide;
  if (gram.size() == 0) return 0;
  return (gram - Eigen::MatrixXd::Identity(gram.rows(), gram.cols())).cwiseAbs().maxCoeff();
}

/// rows x cols orthonormal columns by Householder QR.
Eigen::MatrixXd orthonormal(Index rows, Index cols, std::uint64_t seed) {
  return test::orthonormal_columns_of(random_normal<double>(rows, cols, seed, 1));
}

/// A matrix with the given singular values; its left singular vectors.
struct Spectral {
  Eigen::MatrixXd y;
  Eigen::MatrixXd left;
};

Spectral with_singular_values(Index rows, Index cols, const Eigen::VectorXd& values,
                              std::uint64_t seed) {
  const Eigen::MatrixXd left = orthonormal(rows, values.size(), seed);
  const Eigen::MatrixXd right = orthonormal(cols, values.size(), seed + 1000);
  return {left * values.asDiagonal() * right.transpose(), left};
}

TEMPLATE_TEST_CASE("the basis is orthonormal and spans the columns", "[linalg][property]", float,
                   double) {
  const auto seed = GENERATE(range(1u, 6u));
  const Index rows = GENERATE(1, 7, 40, 300);
  const Index cols = GENERATE(1, 5, 33);
  CAPTURE(seed, rows, cols);
  const Matrix<TestType> y = random_normal<TestType>(rows, cols, seed);
  const Matrix<TestType> q = orthonormal_basis(y, 1e-5);
  CHECK(q.rows() == rows);
  CHECK(q.cols() == std::min(rows, cols));
  CHECK(orthonormality_error(q) < round_off<TestType>(8));
  const Eigen::MatrixXd wide = q.template cast<double>();
  const Eigen::MatrixXd source = y.template cast<double>();
  const Eigen::MatrixXd inside = wide * (wide.transpose() * source);
  CHECK(test::relative_error(inside, source) < round_off<TestType>(100));
}

TEMPLATE_TEST_CASE("both storage orders give the same basis", "[linalg][property]", float, double) {
  const Matrix<TestType> y = random_normal<TestType>(50, 9, 3);
  const RowMajorMatrix<TestType> by_rows = y;
  const Matrix<TestType> q = orthonormal_basis(y, 1e-3);
  CHECK(test::relative_error(orthonormal_basis(by_rows, 1e-3), q) < round_off<TestType>(200));
  CHECK(test::relative_error(orthonormal_basis(y.topRows(50), 1e-3), q) < round_off<TestType>(200));
}

TEMPLATE_TEST_CASE("columns are the left singular vectors by decreasing singular value",
                   "[linalg][property]", float, double) {
  const auto seed = GENERATE(range(1u, 6u));
  const bool is_wide = GENERATE(false, true);
  CAPTURE(seed, is_wide);
  Eigen::VectorXd values(6);
  values << 32, 16, 8, 4, 2, 1;
  const Spectral made = with_singular_values(is_wide ? 6 : 40, is_wide ? 40 : 6, values, seed);
  const Matrix<TestType> y = made.y.template cast<TestType>();
  const Eigen::MatrixXd q = orthonormal_basis(y, 1e-3).template cast<double>();
  REQUIRE(q.cols() == 6);
  const Eigen::MatrixXd u = test::singular_vectors_of(y.template cast<double>()).u;
  for (Index i = 0; i < 6; ++i) {
    CHECK(std::abs(std::abs(u.col(i).dot(q.col(i))) - 1) < round_off<TestType>(100));
  }
}

TEMPLATE_TEST_CASE("directions below the tolerance are dropped", "[linalg][property]", float,
                   double) {
  const auto seed = GENERATE(range(1u, 4u));
  const bool is_wide = GENERATE(false, true);
  Eigen::VectorXd values(5);
  values << 1, 0.1, 2e-3, 5e-4, 1e-5;
  const Spectral made = with_singular_values(is_wide ? 12 : 60, is_wide ? 60 : 12, values, seed);
  const Matrix<TestType> y = made.y.template cast<TestType>();
  CHECK(orthonormal_basis(y, 0.5).cols() == 1);
  CHECK(orthonormal_basis(y, 1e-3).cols() == 3);
  CHECK(orthonormal_basis(y, 1e-4).cols() == 4);
  const Matrix<TestType> three = orthonormal_basis(y, 1e-3);
  const Eigen::MatrixXd wanted = made.left.leftCols(3);
  const Eigen::MatrixXd overlap = wanted.transpose() * three.template cast<double>();
  // A direction at 2e-3 of the largest is known to eps / 2e-3.
  CHECK(std::abs(overlap.squaredNorm() - 3) < round_off<TestType>(5000));
}

TEMPLATE_TEST_CASE("a wide range of singular values leaves the basis orthonormal",
                   "[linalg][property]", float, double) {
  const auto seed = GENERATE(range(1u, 6u));
  const Eigen::VectorXd exponents = Eigen::VectorXd::LinSpaced(20, 0, -5.5);
  const Eigen::VectorXd values = exponents.unaryExpr([](double e) { return std::pow(10.0, e); });
  const Spectral made = with_singular_values(200, 20, values, seed);
  const Matrix<TestType> y = made.y.template cast<TestType>();
  const Matrix<TestType> q = orthonormal_basis(y, 0);
  CHECK(q.cols() == 20);
  CHECK(orthonormality_error(q) < round_off<TestType>(8));
}

TEMPLATE_TEST_CASE("repeated columns count once", "[linalg][property]", float, double) {
  const Matrix<TestType> base = random_normal<TestType>(64, 4, 5);
  Matrix<TestType> y(64, 12);
  y << base, base, -2 * base;
  const Matrix<TestType> q = orthonormal_basis(y, 1e-5);
  CHECK(q.cols() == 4);
  CHECK(orthonormality_error(q) < round_off<TestType>(8));
}

TEMPLATE_TEST_CASE("zero and empty matrices have a basis without columns", "[linalg][property]",
                   float, double) {
  const Matrix<TestType> zero = orthonormal_basis(Matrix<TestType>::Zero(9, 4), 1e-3);
  CHECK(zero.rows() == 9);
  CHECK(zero.cols() == 0);
  CHECK(orthonormal_basis(Matrix<TestType>(9, 0), 1e-3).rows() == 9);
  CHECK(orthonormal_basis(Matrix<TestType>(9, 0), 1e-3).cols() == 0);
  CHECK(orthonormal_basis(Matrix<TestType>(0, 3), 1e-3).cols() == 0);
}

TEMPLATE_TEST_CASE("tiny and huge numbers have the basis of their directions", "[linalg][property]",
                   float, double) {
  const Matrix<TestType> y = random_normal<TestType>(30, 4, 8);
  const TestType huge = std::sqrt(std::numeric_limits<TestType>::max());
  const Matrix<TestType> q = orthonormal_basis(y, 1e-3);
  CHECK(test::relative_error(orthonormal_basis(y * huge, 1e-3), q) < round_off<TestType>(200));
  CHECK(test::relative_error(orthonormal_basis(y / huge, 1e-3), q) < round_off<TestType>(200));
}

TEST_CASE("orthonormal_basis refuses NaN and tolerances out of range", "[linalg][error]") {
  Matrix<double> y = random_normal<double>(5, 3, 1);
  CHECK(message_of<ArgumentError>([&] { (void)orthonormal_basis(y, 1.5); }) ==
        "relative_tolerance is 1.5, expected 0..1");
  CHECK(contains(message_of<ArgumentError>(
                     [&] { (void)orthonormal_basis(y, std::numeric_limits<double>::quiet_NaN()); }),
                 "relative_tolerance is"));
  y(2, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of<NonFiniteError>([&] { (void)orthonormal_basis(y, 1e-3); }) ==
        "columns hold NaN or infinity at row 2, column 1, expected finite numbers");
}

}  // namespace
}  // namespace anyssr
