// SPDX-License-Identifier: MIT

#include "anyssr/subspace/walsh_hadamard.hpp"

#include <bit>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::round_off;

/// H(i, j) = (-1)^(number of bits that i and j share).
Eigen::MatrixXd hadamard_matrix(Index m) {
  return Eigen::MatrixXd::NullaryExpr(m, m, [](Index i, Index j) {
    return std::popcount(static_cast<std::uint64_t>(i & j)) % 2 == 0 ? 1.0 : -1.0;
  });
}

TEMPLATE_TEST_CASE("the fast transform is the product with the Hadamard matrix",
                   "[subspace][property]", float, double) {
  const Index m = GENERATE(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024);
  CAPTURE(m);
  const Vector<TestType> x = random_normal<TestType>(m, 1, 7);
  Vector<TestType> transformed = x;
  detail::walsh_hadamard(transformed.data(), m);
  const Eigen::VectorXd expected = hadamard_matrix(m) * x.template cast<double>();
  CHECK(test::relative_error(transformed, expected) < round_off<TestType>(12));
}

TEMPLATE_TEST_CASE("twice the transform is m times the vector", "[subspace][property]", float,
                   double) {
  const Index m = GENERATE(2, 64, 4096, 8192);
  CAPTURE(m);
  const Vector<TestType> x = random_normal<TestType>(m, 1, 11);
  Vector<TestType> twice = x;
  detail::walsh_hadamard(twice.data(), m);
  detail::walsh_hadamard(twice.data(), m);
  CHECK(test::relative_error(twice, x * static_cast<TestType>(m)) < round_off<TestType>(20));
}

TEST_CASE("whole numbers are transformed without rounding", "[subspace][property]") {
  Vector<float> x = Vector<float>::LinSpaced(256, 0, 255);
  const Eigen::VectorXd expected = hadamard_matrix(256) * x.cast<double>();
  detail::walsh_hadamard(x.data(), 256);
  CHECK((x.cast<double>().array() == expected.array()).all());
}

}  // namespace
}  // namespace anyssr
