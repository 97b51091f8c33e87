// SPDX-License-Identifier: MIT
#include "anyssr/rls/inverse_gram.hpp"

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("an inverse Gram is what its changes add up to whether they wait or not",
                   "[rls][property]", float, double) {
  using S = TestType;
  const Index batch = GENERATE(1, 30, 64, 65, 100);  // 64 may wait
  CAPTURE(batch);
  detail::InverseGram<S> inverse(40, 0.01, 1);
  Eigen::MatrixXd expected = 100 * Eigen::MatrixXd::Identity(40, 40);
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const Matrix<S> k = random_normal<S>(40, batch, seed);
    const Sign sign = seed == 2 ? Sign::subtract : Sign::add;
    inverse.make_room(batch);
    inverse.subtract(k, sign);
    expected -= static_cast<double>(sign) * k.template cast<double>() *
                k.template cast<double>().transpose();
  }
  const Matrix<S> z = random_normal<S>(40, 3, 4);
  const Eigen::MatrixXd wide = z.template cast<double>();
  CHECK(relative_error(inverse.full(), expected) < round_off<S>(100));
  CHECK(relative_error(inverse.diagonal(), expected.diagonal()) < round_off<S>(100));
  CHECK(relative_error(inverse.times(z), expected * wide) < round_off<S>(100));
  CHECK(relative_error(inverse.times_in_double(wide.col(0)), expected * wide.col(0)) <
        round_off<S>(100));
  inverse.start_over(0.5);
  CHECK(inverse.full() == Matrix<S>(2 * Matrix<S>::Identity(40, 40)));
}

TEST_CASE("the largest eigenvalue of an inverse Gram comes by power iteration", "[rls]") {
  detail::InverseGram<double> inverse(20, 0.5, 1);
  inverse.make_room(1);
  inverse.subtract(random_normal<double>(20, 1, 1), Sign::subtract);  // far above the others
  const double expected = eigenvalues_of(inverse.full()).maxCoeff();
  CHECK(std::abs(inverse.largest_eigenvalue() / expected - 1) < 1e-9);
}

TEST_CASE("an inverse Gram that is written anew holds nothing of before", "[rls]") {
  detail::InverseGram<double> inverse(5, 0.5, 1);
  inverse.make_room(2);
  inverse.subtract(random_normal<double>(5, 2, 1), Sign::add);
  inverse.rewrite([](Matrix<double>& lower) { lower.setIdentity(); });
  CHECK(inverse.full() == Matrix<double>::Identity(5, 5));
}
