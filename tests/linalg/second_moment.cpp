// SPDX-License-Identifier: MIT
#include "anyssr/linalg/second_moment.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// start.lower += X^T W X in double, W the weights on a diagonal.
template <class S>
Eigen::MatrixXd reference(const Matrix<S>& start, const Matrix<S>& x, const Vector<S>& weights) {
  const Eigen::MatrixXd wide = x.template cast<double>();
  Eigen::MatrixXd expected = start.template cast<double>();
  if (x.rows() == 0) return expected;  // Eigen 3.4 divides by that depth here
  expected.template triangularView<Eigen::Lower>() +=
      wide.transpose() * weights.template cast<double>().asDiagonal() * wide;
  return expected;
}

template <class S>
Matrix<S> above(const Matrix<S>& square) {
  return square.template triangularView<Eigen::StrictlyUpper>();
}

}  // namespace

TEST_CASE("the tiles cover the lower triangle once", "[linalg]") {
  const Index d = GENERATE(1, 255, 256, 257, 700, 2047, 2048, 2049);
  CAPTURE(d);
  const Index width = d < 2048 ? 256 : 512;
  const Index side = (d + width - 1) / width;
  Eigen::MatrixXi seen = Eigen::MatrixXi::Zero(side, side);
  bool fits = true;
  detail::for_each_lower_tile(1, d, [&](Index i, Index rows, Index j, Index cols) {
    ++seen(i / width, j / width);
    fits = fits && i % width == 0 && j % width == 0 && rows == std::min(width, d - i) &&
           cols == std::min(width, d - j);
  });
  CHECK(fits);
  Eigen::MatrixXi expected = Eigen::MatrixXi::Zero(side, side);
  expected.triangularView<Eigen::Lower>().setConstant(1);
  CHECK(seen == expected);
}

TEMPLATE_TEST_CASE("the second moment is that of the rows and leaves the upper triangle alone",
                   "[linalg][property]", float, double) {
  using S = TestType;
  const Index d = GENERATE(1, 40, 256, 300);
  const Index n = GENERATE(0, 1, 37);
  CAPTURE(d, n);
  const Matrix<S> x = random_normal<S>(n, d, 7);
  const Matrix<S> start = random_normal<S>(d, d, 8);
  Matrix<S> dense = start;
  Matrix<S> by_rows = start;
  Matrix<S> block = start;
  Matrix<S> sparse = start;
  accumulate_second_moment(x, dense, 2);
  accumulate_second_moment(RowMajorMatrix<S>(x), by_rows, 1);
  Matrix<S> larger = Matrix<S>::Ones(n + 3, d + 2);
  larger.block(2, 1, n, d) = x;
  accumulate_second_moment(larger.block(2, 1, n, d), block, 1);
  accumulate_second_moment<S>(to_sparse<S>(x), nullptr, sparse, 2);
  const Eigen::MatrixXd expected = reference<S>(start, x, Vector<S>::Ones(n));
  CHECK(relative_error(dense, expected) < round_off<S>(10));
  CHECK(relative_error(by_rows, expected) < round_off<S>(10));
  CHECK(relative_error(block, expected) < round_off<S>(10));
  CHECK(relative_error(sparse, expected) < round_off<S>(10));
  CHECK((above(dense) == above(start)));
  CHECK((above(sparse) == above(start)));
}

TEMPLATE_TEST_CASE("rows that leave take out what they brought", "[linalg][property]", float,
                   double) {
  using S = TestType;
  const Matrix<S> x = random_normal<S>(50, 30, 9);
  const SparseRows<S> sparse = random_sparse<S>(50, 30, 0.2, 10);
  const Matrix<S> start = random_normal<S>(30, 30, 11);
  Matrix<S> sum = start;
  accumulate_second_moment(x, sum, 1);
  accumulate_second_moment(x, sum, 1, Sign::subtract);
  CHECK(relative_error(sum, start) < round_off<S>(50));
  sum = start;
  accumulate_second_moment<S>(sparse, nullptr, sum, 1);
  accumulate_second_moment<S>(sparse, nullptr, sum, 1, Sign::subtract);
  CHECK(relative_error(sum, start) < round_off<S>(50));
  CHECK((above(sum) == above(start)));
}

TEMPLATE_TEST_CASE("sparse rows take weights and need not be compressed", "[linalg][property]",
                   float, double) {
  using S = TestType;
  SparseRows<S> sparse = random_sparse<S>(20, 15, 0.3, 12);
  const Vector<S> weights = random_normal<S>(20, 1, 13).cwiseAbs();
  const Matrix<S> start = random_normal<S>(15, 15, 14);
  const Eigen::MatrixXd expected = reference<S>(start, Matrix<S>(sparse), weights);
  Matrix<S> compressed = start;
  accumulate_second_moment(sparse, weights.data(), compressed, 1);
  CHECK(relative_error(compressed, expected) < round_off<S>(20));
  sparse.reserve(Eigen::VectorXi::Constant(20, 30));
  REQUIRE_FALSE(sparse.isCompressed());
  Matrix<S> loose = start;
  accumulate_second_moment(sparse, weights.data(), loose, 1);
  CHECK((loose == compressed));
}

TEMPLATE_TEST_CASE("sparse rows give the same bits one by one, at once and by any threads",
                   "[linalg][property]", float, double) {
  using S = TestType;
  const Index rows = 300;
  SparseRows<S> sparse = random_sparse<S>(rows, 800, 0.1, 21);
  const Vector<S> weights = random_normal<S>(rows, 1, 22).cwiseAbs();
  Matrix<S> one_by_one = Matrix<S>::Zero(800, 800);
  for (Index i = 0; i < rows; ++i) {
    accumulate_second_moment(SparseRows<S>(sparse.middleRows(i, 1)), weights.data() + i, one_by_one,
                             1);
  }
  for (const int threads : {1, 3}) {
    CAPTURE(threads);
    Matrix<S> at_once = Matrix<S>::Zero(800, 800);
    accumulate_second_moment(sparse, weights.data(), at_once, threads);
    CHECK((at_once == one_by_one));
  }
}

TEST_CASE("the tiles of wide rows meet without a seam", "[linalg]") {
  const Index d = GENERATE(2047, 2048, 2049);  // tiles of 256 below 2048, of 512 from there
  const Matrix<float> x = random_normal<float>(1, d, 15);
  Matrix<float> sum = Matrix<float>::Zero(d, d);
  accumulate_second_moment(x, sum, 2);
  // One row: each entry is one product, so there is no order of summation and no round-off but its
  // own.
  Matrix<float> expected = Matrix<float>::Zero(d, d);
  for (Index j = 0; j < d; ++j) expected.col(j).tail(d - j) = x(0, j) * x.row(0).tail(d - j);
  CHECK((sum == expected));
}

TEST_CASE("any number of threads sums to the same bits", "[linalg]") {
  const Matrix<float> x = random_normal<float>(400, 600, 16);
  Matrix<float> one = Matrix<float>::Zero(600, 600);
  Matrix<float> three = one;
  accumulate_second_moment(x, one, 1);
  accumulate_second_moment(x, three, 3);
  CHECK((one == three));
}
