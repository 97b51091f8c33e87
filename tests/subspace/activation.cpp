// SPDX-License-Identifier: MIT

#include "anyssr/subspace/activation.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::message_of;
using test::round_off;

constexpr std::array<Activation, 4> all_activations{Activation::identity, Activation::relu,
                                                    Activation::gelu, Activation::cosine};

/// The plain formulas in double.
double reference(Activation activation, double z) {
  if (activation == Activation::relu) return z > 0 ? z : 0;
  if (activation == Activation::gelu) return 0.5 * z * (1 + std::erf(z / std::sqrt(2.0)));
  if (activation == Activation::cosine) return std::cos(z);
  return z;
}

TEST_CASE("names of activations go both ways", "[subspace][property]") {
  for (const Activation activation : all_activations) {
    CHECK(parse_activation(to_string(activation)) == activation);
  }
  CHECK(to_string(Activation::gelu) == "gelu");
}

TEST_CASE("an unknown activation is refused with the known names", "[subspace][error]") {
  CHECK(message_of<ArgumentError>([] { (void)parse_activation("tanh"); }) ==
        "activation is 'tanh', expected one of identity, relu, gelu, cosine");
  CHECK(message_of<ArgumentError>([] { (void)to_string(static_cast<Activation>(9)); }) ==
        "activation is '9', expected one of identity, relu, gelu, cosine");
}

TEMPLATE_TEST_CASE("activations agree with their formulas in place and one by one",
                   "[subspace][property]", float, double) {
  const auto seed = GENERATE(range(1u, 4u));
  for (const Activation activation : all_activations) {
    CAPTURE(seed, to_string(activation));
    const Matrix<TestType> z = TestType(3) * random_normal<TestType>(7, 13, seed);
    Matrix<TestType> in_place = z;
    activate_in_place(activation, in_place);
    for (Index i = 0; i < z.size(); ++i) {
      const double expected = reference(activation, static_cast<double>(z(i)));
      const double tolerance = round_off<TestType>(8) * (1 + std::abs(expected));
      CHECK(std::abs(static_cast<double>(in_place(i)) - expected) <= tolerance);
      CHECK(std::abs(static_cast<double>(activation_value(activation, z(i))) - expected) <=
            tolerance);
    }
  }
}

TEMPLATE_TEST_CASE("blocks arrays and maps are activated where they stand", "[subspace][property]",
                   float, double) {
  Matrix<TestType> m = Matrix<TestType>::Constant(3, 4, -1);
  auto block = m.leftCols(2);
  activate_in_place(Activation::relu, block);
  CHECK(m.leftCols(2).isZero(0));
  CHECK((m.rightCols(2).array() == TestType(-1)).all());
  Eigen::Array<TestType, Eigen::Dynamic, 1> array(3);
  array << -2, 0, 5;
  activate_in_place(Activation::relu, array);
  CHECK(array(0) == TestType(0));
  CHECK(array(2) == TestType(5));
}

TEMPLATE_TEST_CASE("an entry is activated to the same bits wherever it stands",
                   "[subspace][property]", float, double) {
  const Index size = 61;
  const RowVector<TestType> z = 40 * random_normal<TestType>(1, size, 3);
  for (const Activation activation : all_activations) {
    CAPTURE(to_string(activation));
    RowVector<TestType> expected = z;
    for (TestType& entry : expected) {
      Eigen::Array<TestType, 1, 1> alone(entry);
      activate_in_place(activation, alone);
      entry = alone(0);
    }
    for (Index begin = 0; begin < 20; ++begin) {  // another address and another length each time
      RowVector<TestType> moved = z;
      auto rest = moved.tail(size - begin);
      activate_in_place(activation, rest);
      CHECK((rest.array() == expected.tail(size - begin).array()).all());
    }
    RowMajorMatrix<TestType> column(size, 3);
    column.col(1) = z.transpose();
    auto middle = column.col(1);
    activate_in_place(activation, middle);
    CHECK((middle.transpose().array() == expected.array()).all());
  }
}

TEST_CASE("derivatives agree with finite differences", "[subspace][property]") {
  const double h = 1e-6;
  for (const Activation activation : all_activations) {
    for (double z = -6.05; z < 6.1; z += 0.1) {  // steps around the kink of relu at 0
      CAPTURE(to_string(activation), z);
      const double slope = (reference(activation, z + h) - reference(activation, z - h)) / (2 * h);
      const double derivative = activation_derivative(activation, z);
      CHECK(std::abs(derivative - slope) < 2e-9);
      CHECK(
          std::abs(static_cast<double>(activation_derivative(activation, static_cast<float>(z))) -
                   activation_derivative(activation, static_cast<double>(static_cast<float>(z)))) <
          round_off<float>(8));
    }
  }
  CHECK(activation_derivative(Activation::relu, 0.0) == 0.0);
}

TEMPLATE_TEST_CASE("NaN stays NaN under every activation", "[subspace][property]", float, double) {
  for (const Activation activation : all_activations) {
    for (const Index size : {1, 3, 16, 37}) {
      CAPTURE(to_string(activation), size);
      Vector<TestType> z =
          Vector<TestType>::Constant(size, std::numeric_limits<TestType>::quiet_NaN());
      activate_in_place(activation, z);
      CHECK(z.array().isNaN().all());
      CHECK(std::isnan(activation_value(activation, z(0))));
    }
  }
}

TEST_CASE("the scale inverts the second moment of a standard normal activation",
          "[subspace][property]") {
  for (const Activation activation : {Activation::identity, Activation::relu, Activation::gelu}) {
    double moment = 0;  // midpoint rule over the normal density
    const double step = 1e-3;
    for (double z = -10 + step / 2; z < 10; z += step) {
      const double value = reference(activation, z);
      moment += step * value * value * std::exp(-z * z / 2) / std::sqrt(2 * std::acos(-1.0));
    }
    CAPTURE(to_string(activation));
    const double scale = activation_scale(activation, 50);
    CHECK(std::abs(scale * scale * 50 * moment - 1) < 1e-6);
  }
  CHECK(std::abs(activation_scale(Activation::cosine, 50) - std::sqrt(2.0 / 50)) < 1e-15);
}

}  // namespace
}  // namespace anyssr
