// SPDX-License-Identifier: MIT
#include "anyssr/linalg/blas.hpp"

#include "anyssr/linalg/cholesky.hpp"
#include "anyssr/linalg/second_moment.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

// Sizes of which a BLAS takes its part where there is one. Products with a few vectors in double
// are the reference: they cost d^2 numbers where another factorisation would cost d^3.

TEMPLATE_TEST_CASE("a large second moment is right in any storage order and with any threads",
                   "[linalg][property]", float, double) {
  using S = TestType;
  const Index n = 1100;
  const Index d = 1024;
  const int threads = GENERATE(1, 2);
  CAPTURE(threads);
  REQUIRE(detail::goes_to_blas(static_cast<double>(n * d * d)) == detail::has_blas);
  const Matrix<S> x = random_normal<S>(n, d, 1);
  const RowMajorMatrix<S> rows = x;
  Matrix<S> square = Matrix<S>::Zero(d, d);
  accumulate_second_moment(x, square, threads);
  accumulate_second_moment(rows, square, threads);
  accumulate_second_moment(rows, square, threads, Sign::subtract);
  const Eigen::MatrixXd v = random_normal<double>(d, 3, 2);
  const Eigen::MatrixXd expected =
      x.template cast<double>().transpose() * (x.template cast<double>() * v);
  const Eigen::MatrixXd moment = square.template cast<double>();
  const Eigen::MatrixXd got = moment.selfadjointView<Eigen::Lower>() * v;
  CHECK(relative_error(got, expected) < round_off<S>(40));
  CHECK(square.template triangularView<Eigen::StrictlyUpper>().toDenseMatrix().isZero(0));
}

TEMPLATE_TEST_CASE("a large factor is right with any threads", "[linalg][property]", float,
                   double) {
  using S = TestType;
  const Index d = 2304;
  const int threads = GENERATE(1, 2);
  CAPTURE(threads);
  const Matrix<S> x = random_normal<S>(d, d, 3);
  Matrix<S> square = Matrix<S>::Zero(d, d);
  accumulate_second_moment(x, square, threads);
  const Eigen::MatrixXd moment = square.template cast<double>();
  Vector<S> diagonal;
  REQUIRE(factor_shifted(square, S(d), diagonal, threads));
  Eigen::MatrixXd u =
      square.template cast<double>().template triangularView<Eigen::StrictlyUpper>();
  u.diagonal() = diagonal.template cast<double>();
  const Eigen::MatrixXd v = random_normal<double>(d, 3, 4);
  const Eigen::MatrixXd gram_times_v =
      moment.selfadjointView<Eigen::Lower>() * v + static_cast<double>(d) * v;
  CHECK(relative_error(u.transpose() * (u * v), gram_times_v) < round_off<S>(100));
}

#ifdef ANYSSR_BLAS_THREADS
TEST_CASE("a call leaves the number of threads of the BLAS as it was", "[linalg]") {
  if (openblas_get_num_threads == nullptr) return;  // another BLAS
  openblas_set_num_threads(2);
  {
    const detail::BlasThreads one(1);
    CHECK(openblas_get_num_threads() == 1);
  }
  CHECK(openblas_get_num_threads() == 2);
}
#endif
