// SPDX-License-Identifier: MIT
#include "anyssr/linalg/cholesky.hpp"

#include <cstring>
#include <limits>

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

template <class S>
Matrix<S> lower(const Matrix<S>& square) {
  return square.template triangularView<Eigen::Lower>();
}

/// Whether two matrices hold the same bits, NaN included.
template <class S>
bool same_bits(const Matrix<S>& a, const Matrix<S>& b) {
  return a.size() == b.size() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(S)) == 0;
}

/// S of random rows in the lower triangle, numbers of no meaning above.
template <class S>
Matrix<S> second_moment(Index rows, Index d, std::uint64_t seed) {
  Matrix<S> square = Matrix<S>::Constant(d, d, S(-7));
  square.template triangularView<Eigen::Lower>().setZero();
  accumulate_second_moment(random_normal<S>(rows, d, seed), square, 1);
  return square;
}

}  // namespace

TEMPLATE_TEST_CASE("the factor shares its square with a matrix that stays as it was",
                   "[linalg][property]", float, double) {
  using S = TestType;
  const Index d = GENERATE(1, 5, 127, 128, 129, 255, 257, 300);
  CAPTURE(d);
  Matrix<S> square = second_moment<S>(2 * d, d, 3);
  const Matrix<S> before = square;
  Vector<S> diagonal;
  REQUIRE(factor_shifted(square, S(0.5), diagonal, 1));
  CHECK(same_bits(lower(square), lower(before)));

  Eigen::MatrixXd u =
      square.template cast<double>().template triangularView<Eigen::StrictlyUpper>();
  u.diagonal() = diagonal.template cast<double>();
  const Eigen::MatrixXd wide = random_normal<S>(2 * d, d, 3).template cast<double>();
  const Eigen::MatrixXd gram = wide.transpose() * wide + 0.5 * Eigen::MatrixXd::Identity(d, d);
  CHECK(relative_error(u.transpose() * u, gram) < round_off<S>(static_cast<double>(d) + 10));

  const Index m = GENERATE(1, 70);
  const Matrix<S> b = random_normal<S>(d, m, 4);
  Matrix<S> z = b;
  solve_forward(square, diagonal, z, 1);
  const Eigen::MatrixXd forward = solution_of(u.transpose(), b.template cast<double>());
  CHECK(relative_error(z, forward) < round_off<S>(100 * static_cast<double>(d)));
  solve_backward(square, diagonal, z, 1);
  const Eigen::MatrixXd solution = solution_of(gram, b.template cast<double>());
  CHECK(relative_error(z, solution) < round_off<S>(100 * static_cast<double>(d)));

  const Eigen::MatrixXd inverse = inverse_of(gram);
  CHECK(relative_error(inverse_diagonal(square, diagonal, 1), inverse.diagonal()) <
        round_off<S>(1e3));
  const double trace = inverse.trace();
  CHECK(std::abs(trace_of_inverse(square, diagonal, 1) - trace) < round_off<S>(1e3) * trace);
}

TEMPLATE_TEST_CASE("the trace of an inverse sums every chunk of rows", "[linalg]", float, double) {
  using S = TestType;
  const Index d = GENERATE(1, 63, 64, 65, 200);
  Matrix<S> square = Matrix<S>::Zero(d, d);
  Vector<S> diagonal(d);
  for (Index j = 0; j < d; ++j) diagonal(j) = S(1) / static_cast<S>(j + 1);
  const auto n = static_cast<double>(d);
  const double expected = n * (n + 1) * (2 * n + 1) / 6;  // 1 + 4 + 9 + ...
  CHECK(std::abs(trace_of_inverse(square, diagonal, 1) - expected) < round_off<S>(50) * expected);
}

TEMPLATE_TEST_CASE("a pivot that is not positive and finite is refused and the matrix kept",
                   "[linalg][error]", float, double) {
  using S = TestType;
  const S bad = GENERATE(S(-2), S(-1), std::numeric_limits<S>::quiet_NaN(),
                         std::numeric_limits<S>::infinity(), -std::numeric_limits<S>::infinity());
  const Index at = GENERATE(0, 127, 128, 150, 319);  // in each of three tiles
  CAPTURE(bad, at);
  Matrix<S> square = Matrix<S>::Identity(320, 320);
  square.col(0).tail(319).setConstant(S(1e-3));
  square(at, at) = bad;
  const Matrix<S> before = lower(square);
  Vector<S> diagonal;
  CHECK_FALSE(factor_shifted(square, S(1), diagonal, 1));
  CHECK(same_bits(lower(square), before));
}

TEMPLATE_TEST_CASE("an entry beside the diagonal that is not finite is refused too",
                   "[linalg][error]", float, double) {
  using S = TestType;
  const S bad = GENERATE(std::numeric_limits<S>::quiet_NaN(), -std::numeric_limits<S>::infinity());
  const Index at = GENERATE(1, 200, 319);
  Matrix<S> square = Matrix<S>::Identity(320, 320);
  square(at, at / 2) = bad;
  const Matrix<S> before = lower(square);
  Vector<S> diagonal;
  CHECK_FALSE(factor_shifted(square, S(1), diagonal, 1));
  CHECK(same_bits(lower(square), before));
}

TEST_CASE("a refused factorisation can be tried again with a larger ridge", "[linalg]") {
  Matrix<double> square = second_moment<double>(20, 150, 5);
  square.diagonal().array() -= 1;
  const Matrix<double> before = square;
  Vector<double> diagonal;
  CHECK_FALSE(factor_shifted(square, 0.5, diagonal, 1));
  CHECK(factor_shifted(square, 2.0, diagonal, 1));
  CHECK(same_bits(lower(square), lower(before)));
  Matrix<double> fresh = before;
  Vector<double> fresh_diagonal;
  CHECK(factor_shifted(fresh, 2.0, fresh_diagonal, 1));
  CHECK(same_bits(square, fresh));
  CHECK((diagonal == fresh_diagonal));
}

TEST_CASE("any number of threads factors and solves to the same bits", "[linalg]") {
  const Index d = 1100;  // products above the size from which they are shared out
  Matrix<float> one = Matrix<float>::Identity(d, d);
  const Matrix<float> x = random_normal<float>(2, d, 5);
  accumulate_second_moment(x, one, 1);
  Matrix<float> three = one;
  Vector<float> diagonal_one;
  Vector<float> diagonal_three;
  REQUIRE(factor_shifted(one, 1.0F, diagonal_one, 1));
  REQUIRE(factor_shifted(three, 1.0F, diagonal_three, 3));
  CHECK(same_bits(one, three));
  CHECK((diagonal_one == diagonal_three));
  Matrix<float> z_one = random_normal<float>(d, 90, 6);
  Matrix<float> z_three = z_one;
  solve_forward(one, diagonal_one, z_one, 1);
  solve_forward(three, diagonal_three, z_three, 3);
  CHECK(same_bits(z_one, z_three));
  solve_backward(one, diagonal_one, z_one, 1);
  solve_backward(three, diagonal_three, z_three, 3);
  CHECK(same_bits(z_one, z_three));
  CHECK((inverse_diagonal(one, diagonal_one, 1) == inverse_diagonal(three, diagonal_three, 3)));
}

TEST_CASE("a factor across the tiles of wide matrices solves", "[linalg]") {
  const Index d = 2049;  // halves of 1152 and 897 columns, tiles of 256 and 128
  const Matrix<float> x = random_normal<float>(3, d, 7);
  Matrix<float> square = Matrix<float>::Zero(d, d);
  accumulate_second_moment(x, square, 1);
  Vector<float> diagonal;
  REQUIRE(factor_shifted(square, 50.0F, diagonal, 1));
  const Matrix<float> b = random_normal<float>(d, 2, 8);
  Matrix<float> z = b;
  solve_forward(square, diagonal, z, 1);
  solve_backward(square, diagonal, z, 1);
  // (50 I + X^T X)^-1 b by the matrix inversion lemma
  const Eigen::MatrixXd wide = x.cast<double>();
  const Eigen::MatrixXd right = b.cast<double>();
  const Eigen::MatrixXd inner = 50 * Eigen::MatrixXd::Identity(3, 3) + wide * wide.transpose();
  const Eigen::MatrixXd expected =
      (right - wide.transpose() * solution_of(inner, wide * right)) / 50;
  CHECK(relative_error(z, expected) < round_off<float>(100));
}
