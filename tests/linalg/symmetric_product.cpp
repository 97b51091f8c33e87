// SPDX-License-Identifier: MIT
#include "anyssr/linalg/symmetric_product.hpp"

#include <limits>

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// A random lower triangle; what stands above it may not be read.
template <class S>
Matrix<S> lower_triangle(Index d, std::uint64_t seed) {
  Matrix<S> square = random_normal<S>(d, d, seed);
  square.template triangularView<Eigen::StrictlyUpper>().setConstant(
      std::numeric_limits<S>::quiet_NaN());
  return square;
}

}  // namespace

TEMPLATE_TEST_CASE("the product is that of the whole symmetric matrix", "[linalg][property]", float,
                   double) {
  using S = TestType;
  const Index d = GENERATE(1, 2, 17, 255, 256, 257, 600);  // tiles of 256 rows
  const Index n = GENERATE(1, 2, 7);
  CAPTURE(d, n);
  const Matrix<S> square = lower_triangle<S>(d, 1);
  const Matrix<S> columns = random_normal<S>(d, n, 2);
  Matrix<S> product = Matrix<S>::Constant(d, n, std::numeric_limits<S>::quiet_NaN());
  multiply_symmetric(square, columns, product, 1);
  const Eigen::MatrixXd whole =
      square.template cast<double>().template selfadjointView<Eigen::Lower>();
  const Eigen::MatrixXd expected = whole * columns.template cast<double>();
  CHECK(relative_error(product, expected) < round_off<S>(20));
}

TEST_CASE("any number of threads multiplies to the same bits", "[linalg]") {
  const Matrix<float> square = lower_triangle<float>(700, 3);
  const Matrix<float> columns = random_normal<float>(700, 120, 4);
  Matrix<float> one(700, 120);
  Matrix<float> three(700, 120);
  multiply_symmetric(square, columns, one, 1);
  multiply_symmetric(square, columns, three, 3);
  CHECK((one == three));
}
