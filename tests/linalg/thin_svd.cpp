// SPDX-License-Identifier: MIT
#include "anyssr/linalg/thin_svd.hpp"

#include <cmath>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

/// `rank` numbers that fall from 1 to `smallest`.
Vector<double> falling(Index rank, double smallest) {
  Vector<double> values(rank);
  for (Index i = 0; i < rank; ++i) {
    values(i) = rank == 1 ? 1.0 : std::pow(smallest, double(i) / double(rank - 1));
  }
  return values;
}

/// rows x cols with these singular values, and zeros.
Matrix<double> with_values(Index rows, Index cols, const Vector<double>& values) {
  const Matrix<double> left = random_normal<double>(rows, values.size(), 3);
  const Matrix<double> right = random_normal<double>(cols, values.size(), 4);
  return test::orthonormal_columns_of(left) * values.asDiagonal() *
         test::orthonormal_columns_of(right).transpose();
}

TEST_CASE("the thin SVD gives a matrix back, by orthonormal factors", "[linalg][property]") {
  const Index rows = GENERATE(1, 2, 8, 33);
  const Index cols = GENERATE(1, 3, 8, 40);
  const bool is_deficient = GENERATE(false, true);
  const double smallest = GENERATE(1.0, 1e-3, 1e-12);
  const Index most = std::min(rows, cols);
  const Index rank = is_deficient ? (most + 1) / 2 : most;
  CAPTURE(rows, cols, rank, smallest);
  const Vector<double> values = falling(rank, smallest);
  const Matrix<double> x = with_values(rows, cols, values);
  const detail::ThinSvd svd = detail::thin_svd(x);
  REQUIRE(svd.u.rows() == rows);
  REQUIRE(svd.u.cols() == most);
  REQUIRE(svd.v.rows() == cols);
  REQUIRE(svd.v.cols() == most);
  const Matrix<double> unit = Matrix<double>::Identity(most, most);
  CHECK((svd.u.transpose() * svd.u - unit).norm() < 1e-13 * double(most));
  CHECK((svd.v.transpose() * svd.v - unit).norm() < 1e-13 * double(most));
  const Matrix<double> again = svd.u * svd.values.asDiagonal() * svd.v.transpose();
  CHECK((again - x).norm() < 1e-13 * x.norm());
  Vector<double> expected = Vector<double>::Zero(most);
  expected.head(rank) = values;
  CHECK((svd.values - expected).norm() < 1e-13 * x.norm());
  CHECK(svd.values.minCoeff() >= 0);
  for (Index i = 1; i < most; ++i) CHECK(svd.values(i) <= svd.values(i - 1));
  CHECK(detail::singular_values(x) == svd.values);
}

TEST_CASE("the thin SVD of nothing is nothing, of zeros zero", "[linalg]") {
  const detail::ThinSvd empty = detail::thin_svd(Matrix<double>(5, 0));
  CHECK(empty.u.rows() == 5);
  CHECK(empty.u.cols() == 0);
  CHECK(empty.values.size() == 0);
  CHECK(empty.v.size() == 0);
  CHECK(detail::thin_svd(Matrix<double>(0, 4)).v.rows() == 4);
  const detail::ThinSvd zero = detail::thin_svd(Matrix<double>::Zero(6, 3));
  CHECK(zero.values == Vector<double>::Zero(3));
  CHECK((zero.u.transpose() * zero.u - Matrix<double>::Identity(3, 3)).norm() < 1e-14);
}

}  // namespace
}  // namespace anyssr
