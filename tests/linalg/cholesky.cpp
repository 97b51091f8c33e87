// SPDX-License-Identifier: MIT
#include "anyssr/linalg/cholesky.hpp"

#include <Eigen/LU>
#include <limits>

#include "anyssr/linalg/second_moment.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("the factor shares its square with a matrix that stays as it was",
                   "[linalg][property]", float, double) {
  using S = TestType;
  const Index d = GENERATE(1, 5, 127, 128, 129, 300);
  CAPTURE(d);
  const Matrix<S> x = random_normal<S>(2 * d, d, 3);
  Matrix<S> square = Matrix<S>::Zero(d, d);
  accumulate_second_moment(x, square, 1);
  const Matrix<S> before = square;
  Vector<S> diagonal;
  REQUIRE(factor_shifted(square, S(0.5), diagonal, 1));
  const Matrix<S> lower = square.template triangularView<Eigen::Lower>();
  const Matrix<S> lower_before = before.template triangularView<Eigen::Lower>();
  CHECK((lower == lower_before));

  Eigen::MatrixXd u =
      square.template cast<double>().template triangularView<Eigen::StrictlyUpper>();
  u.diagonal() = diagonal.template cast<double>();
  const Eigen::MatrixXd wide = x.template cast<double>();
  const Eigen::MatrixXd gram = wide.transpose() * wide + 0.5 * Eigen::MatrixXd::Identity(d, d);
  CHECK(relative_error(u.transpose() * u, gram) < round_off<S>(static_cast<double>(d) + 10));

  const Matrix<S> b = random_normal<S>(d, 70, 4);
  Matrix<S> z = b;
  solve_forward(square, diagonal, z, 1);
  const Eigen::MatrixXd forward = u.transpose().partialPivLu().solve(b.template cast<double>());
  CHECK(relative_error(z, forward) < round_off<S>(100 * static_cast<double>(d)));
  solve_backward(square, diagonal, z, 1);
  const Eigen::MatrixXd solution = gram.partialPivLu().solve(b.template cast<double>());
  CHECK(relative_error(z, solution) < round_off<S>(100 * static_cast<double>(d)));
}

TEMPLATE_TEST_CASE("a matrix that is not positive definite is refused and kept", "[linalg][error]",
                   float, double) {
  using S = TestType;
  Matrix<S> square = Matrix<S>::Identity(200, 200);
  square(150, 150) = S(-2);
  const Matrix<S> before = square;
  Vector<S> diagonal;
  CHECK_FALSE(factor_shifted(square, S(1), diagonal, 1));
  CHECK((square.template triangularView<Eigen::Lower>().toDenseMatrix() ==
         before.template triangularView<Eigen::Lower>().toDenseMatrix()));
  square(150, 150) = std::numeric_limits<S>::quiet_NaN();
  CHECK_FALSE(factor_shifted(square, S(1), diagonal, 1));
}

TEST_CASE("any number of threads factors and solves to the same bits", "[linalg]") {
  const Matrix<float> x = random_normal<float>(900, 800, 5);
  Matrix<float> one = Matrix<float>::Zero(800, 800);
  Matrix<float> three = one;
  accumulate_second_moment(x, one, 1);
  accumulate_second_moment(x, three, 3);
  CHECK((one == three));
  Vector<float> diagonal_one;
  Vector<float> diagonal_three;
  REQUIRE(factor_shifted(one, 1.0F, diagonal_one, 1));
  REQUIRE(factor_shifted(three, 1.0F, diagonal_three, 3));
  CHECK((one == three));
  CHECK((diagonal_one == diagonal_three));
  Matrix<float> z_one = random_normal<float>(800, 300, 6);
  Matrix<float> z_three = z_one;
  solve_forward(one, diagonal_one, z_one, 1);
  solve_forward(three, diagonal_three, z_three, 3);
  CHECK((z_one == z_three));
}

TEMPLATE_TEST_CASE("the second moment is that of the rows and leaves the upper triangle alone",
                   "[linalg][property]", float, double) {
  using S = TestType;
  const Index d = GENERATE(1, 40, 300);
  const Matrix<S> x = random_normal<S>(37, d, 7);
  const RowMajorMatrix<S> by_rows = x;
  const Matrix<S> start = random_normal<S>(d, d, 8);
  Matrix<S> dense = start;
  Matrix<S> rows = start;
  Matrix<S> sparse = start;
  accumulate_second_moment(x, dense, 2);
  accumulate_second_moment(by_rows, rows, 1);
  accumulate_second_moment<S>(to_sparse<S>(x), nullptr, sparse);
  const Eigen::MatrixXd wide = x.template cast<double>();
  Eigen::MatrixXd expected = start.template cast<double>();
  expected.template triangularView<Eigen::Lower>() += wide.transpose() * wide;
  CHECK(relative_error(dense, expected) < round_off<S>(50));
  CHECK(relative_error(rows, expected) < round_off<S>(50));
  CHECK(relative_error(sparse, expected) < round_off<S>(50));
  const Matrix<S> upper = dense.template triangularView<Eigen::StrictlyUpper>();
  const Matrix<S> upper_before = start.template triangularView<Eigen::StrictlyUpper>();
  CHECK((upper == upper_before));
}
