// SPDX-License-Identifier: MIT

#include "anyssr/subspace/dense_expansion.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::contains;
using test::message_of;
using test::round_off;

static_assert(Expansion<DenseExpansion<float>> && Expansion<DenseExpansion<double>>);
static_assert(!Expansion<Matrix<float>>);

constexpr double pi = 3.14159265358979323846;

/// The plain formula in double, from the documented streams.
Eigen::MatrixXd reference(const Eigen::MatrixXd& x, const ExpansionOptions& options) {
  const Eigen::MatrixXd p = random_normal<double>(
      x.cols(), options.dim, options.seed, static_cast<std::uint64_t>(ExpansionStream::projection));
  const auto bias_stream = static_cast<std::uint64_t>(ExpansionStream::bias);
  Eigen::RowVectorXd b =
      options.bias_scale * random_normal<double>(1, options.dim, options.seed, bias_stream);
  if (options.activation == Activation::cosine) {
    RandomStream random(options.seed, bias_stream);
    for (Index j = 0; j < b.size(); ++j) b(j) = 2 * pi * static_cast<double>(random.uniform());
  }
  Eigen::MatrixXd h = x * p / options.bandwidth;
  h.rowwise() += b;
  const double d = static_cast<double>(options.dim);
  switch (options.activation) {
    case Activation::identity:
      return h / std::sqrt(d);
    case Activation::relu:
      return h.cwiseMax(0.0) * std::sqrt(2 / d);
    case Activation::gelu:
      return h.unaryExpr([](double z) { return z * (1 + std::erf(z / std::sqrt(2.0))) / 2; }) /
             std::sqrt(d * (1.0 / 3 + 1 / (2 * pi * std::sqrt(3.0))));
    case Activation::cosine:
      return h.array().cos().matrix() * std::sqrt(2 / d);
  }
  return h;
}

TEMPLATE_TEST_CASE("dense expansions follow their formula", "[subspace][property]", float, double) {
  const auto activation =
      GENERATE(Activation::identity, Activation::relu, Activation::gelu, Activation::cosine);
  const auto seed = GENERATE(range(0u, 3u));
  const Index rows = GENERATE(1, 6);
  CAPTURE(to_string(activation), seed, rows);
  const ExpansionOptions options{.kind = ExpansionKind::dense,
                                 .dim = 45,
                                 .activation = activation,
                                 .bandwidth = 1.7,
                                 .bias_scale = 0.3,
                                 .seed = seed};
  const DenseExpansion<TestType> expansion(13, options);
  CHECK(expansion.in_dim() == 13);
  CHECK(expansion.out_dim() == 45);
  const Matrix<TestType> x = random_normal<TestType>(rows, 13, seed + 90);
  const Eigen::MatrixXd expected = reference(x.template cast<double>(), options);
  CHECK(test::relative_error(expansion.expand(x), expected) < round_off<TestType>(20));
}

TEMPLATE_TEST_CASE("dense rows and sparse rows expand alike in any storage order",
                   "[subspace][property]", float, double) {
  const auto seed = GENERATE(range(0u, 4u));
  const DenseExpansion<TestType> expansion(29, {.dim = 40, .seed = seed});
  const SparseRows<TestType> sparse = test::random_sparse<TestType>(11, 29, 0.3, seed);
  const Matrix<TestType> by_columns = sparse;
  const RowMajorMatrix<TestType> by_rows = sparse;
  const RowMajorMatrix<TestType> expected = expansion.expand(by_columns);
  const double tolerance = round_off<TestType>(20);
  CHECK(test::relative_error(expansion.expand(by_rows), expected) < tolerance);
  CHECK(test::relative_error(expansion.expand(sparse), expected) < tolerance);
  CHECK(test::relative_error(expansion.expand(sparse.middleRows(3, 5)), expected.middleRows(3, 5)) <
        tolerance);
  CHECK(test::relative_error(expansion.expand(by_columns.bottomRows(4)), expected.bottomRows(4)) <
        tolerance);
}

TEMPLATE_TEST_CASE("an empty sparse row expands as a row of zeros", "[subspace][property]", float,
                   double) {
  const DenseExpansion<TestType> expansion(
      8, {.dim = 10, .activation = Activation::cosine, .seed = 4});
  const SparseRows<TestType> empty(2, 8);
  const RowMajorMatrix<TestType> expected =
      expansion.expand(RowMajorMatrix<TestType>::Zero(2, 8).eval());
  CHECK((expansion.expand(empty).array() == expected.array()).all());
}

TEST_CASE("float and double draw the same projection", "[subspace][property]") {
  const ExpansionOptions options{.dim = 33, .bias_scale = 1, .seed = 12345678901234567890U};
  const DenseExpansion<float> narrow(17, options);
  const DenseExpansion<double> wide(17, options);
  CHECK((narrow.projection().cast<double>().array() == wide.projection().array()).all());
  CHECK((narrow.bias().cast<double>().array() == wide.bias().array()).all());
  CHECK(narrow.fingerprint() == wide.fingerprint());
}

TEST_CASE("the projection of a seed never changes", "[subspace][golden]") {
  const DenseExpansion<double> expansion(3, {.dim = 4, .seed = 7});
  CAPTURE(expansion.projection()(0, 0), expansion.projection()(2, 3), expansion.fingerprint());
  CHECK(expansion.projection()(0, 0) == 0x1.18eacp-2);
  CHECK(expansion.projection()(2, 3) == 0x1.f5e0bap+0);
  CHECK(expansion.fingerprint() == 3816742062232115449U);
}

TEST_CASE("expansions that differ in any option differ in fingerprint", "[subspace][property]") {
  const ExpansionOptions base{.dim = 20, .seed = 1};
  const std::uint64_t print = DenseExpansion<float>(6, base).fingerprint();
  CHECK(print == DenseExpansion<float>(6, base).fingerprint());
  CHECK(print != DenseExpansion<float>(7, base).fingerprint());
  const auto changed = [&](auto change) {
    ExpansionOptions options = base;
    change(options);
    return DenseExpansion<float>(6, options).fingerprint();
  };
  CHECK(print != changed([](ExpansionOptions& o) { o.dim = 21; }));
  CHECK(print != changed([](ExpansionOptions& o) { o.activation = Activation::gelu; }));
  CHECK(print != changed([](ExpansionOptions& o) { o.bandwidth = 2; }));
  CHECK(print != changed([](ExpansionOptions& o) { o.bias_scale = 0.5; }));
  CHECK(print != changed([](ExpansionOptions& o) { o.seed = 2; }));
}

TEST_CASE("a unit row keeps its length at any width", "[subspace][property]") {
  const auto activation =
      GENERATE(Activation::identity, Activation::relu, Activation::gelu, Activation::cosine);
  const Index dim = GENERATE(512, 4096);
  CAPTURE(to_string(activation), dim);
  const DenseExpansion<float> expansion(16, {.dim = dim, .activation = activation, .seed = 3});
  RowMajorMatrix<float> x = random_normal<float, Eigen::RowMajor>(20, 16, 5);
  x.rowwise().normalize();
  const double length = static_cast<double>(expansion.expand(x).squaredNorm()) / 20;
  CHECK(std::abs(length - 1) < 5 / std::sqrt(static_cast<double>(dim)));
}

TEST_CASE("cosine features approach the Gaussian kernel", "[subspace][property]") {
  const double bandwidth = GENERATE(0.7, 2.0);
  const DenseExpansion<double> expansion(
      5, {.dim = 8192, .activation = Activation::cosine, .bandwidth = bandwidth, .seed = 6});
  const Matrix<double> x = 0.5 * random_normal<double>(12, 5, 7);
  const RowMajorMatrix<double> h = expansion.expand(x);
  for (Index i = 0; i < 12; ++i) {
    for (Index j = 0; j < i; ++j) {
      const double distance = (x.row(i) - x.row(j)).norm() / bandwidth;
      CHECK(std::abs(h.row(i).dot(h.row(j)) - std::exp(-distance * distance / 2)) < 0.05);
    }
  }
}

TEST_CASE("rows expand into a part of a larger matrix", "[subspace][property]") {
  const DenseExpansion<float> expansion(6, {.dim = 8, .seed = 1});
  const Matrix<float> x = random_normal<float>(3, 6, 2);
  RowMajorMatrix<float> big = RowMajorMatrix<float>::Zero(5, 12);
  ExpansionWorkspace<float> workspace;
  expansion.expand_into(x, big.block(1, 2, 3, 8), workspace);
  CHECK(test::relative_error(big.block(1, 2, 3, 8).eval(), expansion.expand(x)) <
        round_off<float>(4));  // Eigen takes small products apart by where they stand
  CHECK(big.row(0).isZero(0));
  CHECK(big.col(1).isZero(0));
  CHECK(big.col(10).isZero(0));
}

TEST_CASE("NaN in a row reaches the expanded row and no other", "[subspace][property]") {
  const DenseExpansion<float> expansion(4, {.dim = 6, .seed = 1});
  RowMajorMatrix<float> x = random_normal<float, Eigen::RowMajor>(3, 4, 2);
  x(1, 2) = std::numeric_limits<float>::quiet_NaN();
  const RowMajorMatrix<float> h = expansion.expand(x);
  CHECK(h.row(1).array().isNaN().all());
  CHECK(h.row(0).allFinite());
  CHECK(h.row(2).allFinite());
}

TEST_CASE("shapes that do not fit an expansion are refused", "[subspace][error]") {
  const DenseExpansion<float> expansion(512, {.dim = 8, .seed = 1});
  const RowMajorMatrix<float> narrow = RowMajorMatrix<float>::Zero(12, 300);
  CHECK(message_of<ShapeError>([&] { (void)expansion.expand(narrow); }) ==
        "features are 12 x 300, expected n x 512");
  const SparseRows<float> sparse(12, 300);
  CHECK(message_of<ShapeError>([&] { (void)expansion.expand(sparse); }) ==
        "features are 12 x 300, expected n x 512");
  RowMajorMatrix<float> out = RowMajorMatrix<float>::Constant(11, 8, 3);
  ExpansionWorkspace<float> workspace;
  const RowMajorMatrix<float> x = RowMajorMatrix<float>::Zero(12, 512);
  CHECK(message_of<ShapeError>([&] { expansion.expand_into(x, out, workspace); }) ==
        "out is 11 x 8, expected 12 x 8");
  CHECK((out.array() == 3.0F).all());
}

TEST_CASE("options out of range are refused before anything is allocated", "[subspace][error]") {
  const auto refusal = [](Index in_dim, const ExpansionOptions& options) {
    return message_of<ArgumentError>([&] { (void)DenseExpansion<float>(in_dim, options); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal(0, {.dim = 4}) == "in_dim is 0, expected at least 1");
  CHECK(refusal(4, {.dim = 0}) == "dim is 0, expected 1..16777216");
  CHECK(refusal(4, {.dim = Index{1} << 60}) == "dim is 1152921504606846976, expected 1..16777216");
  CHECK(refusal(4, {.dim = 4, .bandwidth = 0}) == "bandwidth is 0, expected 1e-30..1e30");
  CHECK(contains(refusal(4, {.dim = 4, .bandwidth = -2}), "bandwidth is -2"));
  CHECK(contains(refusal(4, {.dim = 4, .bandwidth = nan}), "bandwidth is"));
  CHECK(contains(refusal(4, {.dim = 4, .bias_scale = -1}), "bias_scale is -1"));
  CHECK(contains(refusal(4, {.dim = 4, .bias_scale = nan}), "bias_scale is"));
  CHECK(contains(refusal(4, {.dim = 4, .activation = static_cast<Activation>(7)}),
                 "activation is '7'"));
  CHECK(contains(refusal(Index{1} << 40, {.dim = 1 << 20}), "use kind hadamard"));
}

}  // namespace
}  // namespace anyssr
