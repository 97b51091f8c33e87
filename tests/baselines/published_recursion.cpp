// SPDX-License-Identifier: MIT
#include "anyssr/baselines/published_recursion.hpp"

#include <algorithm>
#include <limits>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::message_of;
using test::random_regression;
using test::relative_error;
using test::round_off;

/// The ridge regression of all rows by its normal equations, in double.
template <class S>
Eigen::MatrixXd normal_equations(const Matrix<S>& x, const Matrix<S>& y, double ridge) {
  const Eigen::MatrixXd wide = x.template cast<double>();
  Eigen::MatrixXd gram = wide.transpose() * wide;
  gram.diagonal().array() += ridge;
  return test::solution_of(gram, wide.transpose() * y.template cast<double>());
}

/// The recursion starts at I / ridge, so its rounding errors grow with |S| / ridge.
template <class S>
double recursion_tolerance(const Matrix<S>& x, double ridge) {
  const Eigen::MatrixXd wide = x.template cast<double>();
  return round_off<S>(100) * (1 + test::eigenvalues_of(test::gram_of(wide)).maxCoeff() / ridge);
}

TEMPLATE_TEST_CASE("the published recursion over batches ends where a joint fit ends",
                   "[baselines][property]", float, double) {
  using S = TestType;
  const Index batch = GENERATE(1, 7, 40, 90);  // fewer rows than features, and more
  const double ridge = GENERATE(0.5, 20.0);
  CAPTURE(batch, ridge);
  const Index dim = 12;
  const auto [x, y] = random_regression<S>(90, dim, 3, 4);
  PublishedRecursion<S> recursion(dim, 3, ridge);
  CHECK(recursion.weights() == Matrix<S>::Zero(dim, 3));
  for (Index begin = 0; begin < x.rows(); begin += batch) {
    const Index count = std::min(batch, x.rows() - begin);
    recursion.update(x.middleRows(begin, count), y.middleRows(begin, count));
  }
  CHECK(relative_error(recursion.weights(), normal_equations(x, y, ridge)) <
        recursion_tolerance(x, ridge));
  CHECK(recursion.bytes() == (12 * 12 + 12 * 3) * sizeof(S));
}

TEMPLATE_TEST_CASE("rows before a target count as examples of the others", "[baselines][property]",
                   float, double) {
  using S = TestType;
  const double ridge = 2;
  auto [x, y] = random_regression<S>(60, 8, 3, 5);
  y.col(2).head(25).setZero();
  PublishedRecursion<S> recursion(8, 1, ridge);
  recursion.update(x.topRows(10), y.topLeftCorner(10, 1));
  recursion.add_target();
  CHECK(recursion.weights().col(1) == Vector<S>::Zero(8));
  y.col(1).head(10).setZero();
  recursion.update(x.middleRows(10, 15), y.block(10, 0, 15, 2));
  recursion.add_target();
  recursion.update(x.bottomRows(35), y.bottomRows(35));
  CHECK(relative_error(recursion.weights(), normal_equations(x, y, ridge)) <
        recursion_tolerance(x, ridge));
}

TEMPLATE_TEST_CASE("rows that repeat or are zero keep the published recursion exact",
                   "[baselines][property]", float, double) {
  using S = TestType;
  auto [x, y] = random_regression<S>(20, 6, 2, 6);
  for (Index i = 5; i < 15; ++i) x.row(i) = x.row(0);
  x.row(17).setZero();
  PublishedRecursion<S> recursion(6, 2, 0.7);
  recursion.update(x.topRows(15), y.topRows(15));
  recursion.update(x.bottomRows(5), y.bottomRows(5));
  CHECK(relative_error(recursion.weights(), normal_equations(x, y, 0.7)) <
        recursion_tolerance(x, 0.7));
  const Matrix<S> before = recursion.weights();
  recursion.update(Matrix<S>(0, 6), Matrix<S>(0, 2));  // no row: nothing to learn
  CHECK(recursion.weights() == before);
}

TEST_CASE("the published recursion refuses what it cannot learn and stays as it was",
          "[baselines][error]") {
  const auto made = [](Index dim, Index targets, double ridge) {
    return message_of<ArgumentError>(
        [&] { (void)PublishedRecursion<double>(dim, targets, ridge); });
  };
  CHECK(made(0, 1, 1) == "dim is 0, expected at least 1");
  CHECK(made(-3, 1, 1) == "dim is -3, expected at least 1");
  CHECK(made(1, 0, 1) == "targets is 0, expected at least 1");
  CHECK(made(1, 1, 0) == "ridge is 0, expected a finite number above 0");
  CHECK(made(1, 1, std::numeric_limits<double>::infinity()) ==
        "ridge is inf, expected a finite number above 0");

  Matrix<double> x = random_normal<double>(6, 3, 7);
  Matrix<double> y = random_normal<double>(6, 2, 8);
  const auto [more_x, more_y] = random_regression<double>(4, 3, 2, 8);
  PublishedRecursion<double> recursion(3, 2, 0.5);
  PublishedRecursion<double> untouched(3, 2, 0.5);
  recursion.update(x, y);
  untouched.update(x, y);
  CHECK(message_of<ShapeError>([&] { recursion.update(x.leftCols(2), y); }) ==
        "x are 6 x 2, expected n x 3");
  CHECK(message_of<ShapeError>([&] { recursion.update(x, y.topRows(5)); }) ==
        "y are 5 x 2, expected 6 x 2");
  CHECK(message_of<ShapeError>([&] { recursion.update(x, y.leftCols(1)); }) ==
        "y are 6 x 1, expected 6 x 2");
  y(4, 1) = std::numeric_limits<double>::infinity();
  CHECK(message_of<NonFiniteError>([&] { recursion.update(x, y); }) ==
        "y hold NaN or infinity at row 4, column 1, expected finite numbers");
  x(2, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of<NonFiniteError>([&] { recursion.update(x, y); }) ==
        "x hold NaN or infinity at row 2, column 0, expected finite numbers");
  recursion.update(more_x, more_y);
  untouched.update(more_x, more_y);
  CHECK(recursion.weights() == untouched.weights());
}

}  // namespace
}  // namespace anyssr
