// SPDX-License-Identifier: MIT

#include "anyssr/subspace/hadamard_expansion.hpp"

#include <bit>
#include <cmath>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::contains;
using test::message_of;
using test::round_off;

static_assert(Expansion<HadamardExpansion<float>> && Expansion<HadamardExpansion<double>>);

/// z = H D_3 H D_2 H D_1 x / m by full matrices in double, signs from the documented stream.
Eigen::MatrixXd reference_projection(const Eigen::MatrixXd& x, Index dim, std::uint64_t seed) {
  Index m = 1;
  while (m < x.cols()) m *= 2;
  const Eigen::MatrixXd h = Eigen::MatrixXd::NullaryExpr(m, m, [](Index i, Index j) {
    return std::popcount(static_cast<std::uint64_t>(i & j)) % 2 == 0 ? 1.0 : -1.0;
  });
  Eigen::MatrixXd padded = Eigen::MatrixXd::Zero(x.rows(), m);
  padded.leftCols(x.cols()) = x / static_cast<double>(m);
  RandomStream random(seed, static_cast<std::uint64_t>(ExpansionStream::signs));
  Eigen::MatrixXd z(x.rows(), dim);
  for (Index begin = 0; begin < dim; begin += m) {
    Eigen::MatrixXd block = padded;
    for (int k = 0; k < 3; ++k) {
      Eigen::VectorXd signs(m);
      for (Index i = 0; i < m; ++i) signs(i) = random.sign();
      block = (block * signs.asDiagonal()) * h;
    }
    const Index width = std::min(m, dim - begin);
    z.middleCols(begin, width) = block.leftCols(width);
  }
  return z;
}

TEMPLATE_TEST_CASE("Hadamard expansions follow their formula", "[subspace][property]", float,
                   double) {
  const Index in_dim = GENERATE(1, 2, 5, 8, 33, 64);
  const Index dim = GENERATE(1, 19, 64, 200);
  const auto seed = GENERATE(0u, 9u);
  CAPTURE(in_dim, dim, seed);
  const Matrix<TestType> x = random_normal<TestType>(4, in_dim, seed + 50);
  const Eigen::MatrixXd z = reference_projection(x.template cast<double>(), dim, seed);
  const double d = static_cast<double>(dim);

  const HadamardExpansion<TestType> plain(
      in_dim, {.dim = dim, .activation = Activation::identity, .bandwidth = 2, .seed = seed});
  CHECK(test::relative_error(plain.expand(x), z / (2 * std::sqrt(d))) < round_off<TestType>(20));

  const HadamardExpansion<TestType> relu(in_dim, {.dim = dim, .seed = seed});
  const Eigen::MatrixXd expected = z.cwiseMax(0.0) * std::sqrt(2 / d);
  CHECK((relu.expand(x).template cast<double>() - expected).norm() <=
        round_off<TestType>(20) * z.norm());
}

TEMPLATE_TEST_CASE("dense and sparse rows pass the transform alike", "[subspace][property]", float,
                   double) {
  const auto seed = GENERATE(range(0u, 4u));
  const HadamardExpansion<TestType> expansion(
      29, {.dim = 70, .activation = Activation::cosine, .seed = seed});
  const SparseRows<TestType> sparse = test::random_sparse<TestType>(9, 29, 0.3, seed);
  const Matrix<TestType> by_columns = sparse;
  const RowMajorMatrix<TestType> by_rows = sparse;
  const RowMajorMatrix<TestType> expected = expansion.expand(by_columns);
  CHECK((expansion.expand(by_rows).array() == expected.array()).all());
  CHECK((expansion.expand(sparse).array() == expected.array()).all());
  CHECK((expansion.expand(sparse.middleRows(2, 3)).array() == expected.middleRows(2, 3).array())
            .all());
  const Matrix<TestType> twice = TestType(2) * by_columns;
  CHECK(
      (expansion.expand(by_columns + by_columns).array() == expansion.expand(twice).array()).all());
}

TEMPLATE_TEST_CASE("a whole block turns a row and keeps its length", "[subspace][property]", float,
                   double) {
  const auto seed = GENERATE(range(0u, 5u));
  const HadamardExpansion<TestType> expansion(
      16, {.dim = 64, .activation = Activation::identity, .seed = seed});
  const Matrix<TestType> x = random_normal<TestType>(7, 16, seed);
  const RowMajorMatrix<TestType> h = expansion.expand(x);
  const Eigen::MatrixXd wanted = x.template cast<double>() * x.template cast<double>().transpose();
  CHECK(test::relative_error((h * h.transpose()).eval(), wanted) < round_off<TestType>(50));
}

TEST_CASE("each coordinate of a unit row has variance 1 over the seeds", "[subspace][property]") {
  const Index dim = 24;
  RowVector<double> x = random_normal<double>(1, 11, 77);
  x.normalize();
  Eigen::RowVectorXd moment = Eigen::RowVectorXd::Zero(dim);
  const int draws = 2000;
  for (int seed = 0; seed < draws; ++seed) {
    const HadamardExpansion<double> expansion(
        11,
        {.dim = dim, .activation = Activation::identity, .seed = static_cast<std::uint64_t>(seed)});
    moment += expansion.expand(x).array().square().matrix() * static_cast<double>(dim) / draws;
  }
  CHECK((moment.array() - 1).abs().maxCoeff() < 5 * std::sqrt(2.0 / draws));
}

TEST_CASE("more columns leave the first ones as they are", "[subspace][property]") {
  const Matrix<double> x = random_normal<double>(3, 10, 5);
  const ExpansionOptions options{.dim = 20, .activation = Activation::identity, .seed = 8};
  ExpansionOptions wider = options;
  wider.dim = 80;
  const RowMajorMatrix<double> few = HadamardExpansion<double>(10, options).expand(x);
  const RowMajorMatrix<double> many = HadamardExpansion<double>(10, wider).expand(x);
  CHECK(test::relative_error(many.leftCols(20) * 2, few) < round_off<double>(10));
}

TEST_CASE("a second call reuses the workspace", "[subspace][property]") {
  const HadamardExpansion<float> expansion(100, {.dim = 300, .seed = 1});
  const RowMajorMatrix<float> x = random_normal<float, Eigen::RowMajor>(2, 100, 1);
  RowMajorMatrix<float> out(2, 300);
  ExpansionWorkspace<float> workspace;
  expansion.expand_into(x, out, workspace);
  const float* const buffer = workspace.buffer.data();
  const RowMajorMatrix<float> first = out;
  out.setConstant(-5);
  workspace.buffer.setConstant(9);
  expansion.expand_into(x, out, workspace);
  CHECK(workspace.buffer.data() == buffer);
  CHECK((out.array() == first.array()).all());
}

TEST_CASE("a workspace grows from one expansion to the next", "[subspace][property]") {
  const HadamardExpansion<float> small(5, {.dim = 7, .seed = 1});
  const HadamardExpansion<float> large(100, {.dim = 300, .seed = 1});
  const RowMajorMatrix<float> x = random_normal<float, Eigen::RowMajor>(2, 100, 1);
  ExpansionWorkspace<float> workspace;
  RowMajorMatrix<float> few(2, 7);
  RowMajorMatrix<float> many(2, 300);
  small.expand_into(x.leftCols(5), few, workspace);
  large.expand_into(x, many, workspace);
  CHECK(workspace.buffer.size() >= 256);
  CHECK((many.array() == large.expand(x).array()).all());
}

TEST_CASE("the signs of a seed never change", "[subspace][golden]") {
  const HadamardExpansion<float> narrow(6, {.dim = 20, .seed = 7});
  const HadamardExpansion<double> wide(6, {.dim = 20, .seed = 7});
  CAPTURE(narrow.fingerprint());
  CHECK(narrow.fingerprint() == 4850317084933501067U);
  CHECK(wide.fingerprint() == narrow.fingerprint());
  CHECK(narrow.fingerprint() != HadamardExpansion<float>(6, {.dim = 20, .seed = 8}).fingerprint());
  CHECK(narrow.signs().rows() == 24);
  CHECK(narrow.signs().cols() == 3);
  CHECK((narrow.signs().array().abs() == 1.0F).all());
}

TEST_CASE("Hadamard expansions refuse shapes and options that do not fit", "[subspace][error]") {
  const HadamardExpansion<float> expansion(8, {.dim = 4, .seed = 1});
  const SparseRows<float> sparse(2, 9);
  CHECK(message_of<ShapeError>([&] { (void)expansion.expand(sparse); }) ==
        "features are 2 x 9, expected n x 8");
  RowMajorMatrix<float> out(2, 5);
  ExpansionWorkspace<float> workspace;
  CHECK(message_of<ShapeError>([&] {
          expansion.expand_into(RowMajorMatrix<float>::Zero(2, 8).eval(), out, workspace);
        }) == "out is 2 x 5, expected 2 x 4");
  CHECK(message_of<ArgumentError>([] { (void)HadamardExpansion<float>(-1, {.dim = 4}); }) ==
        "in_dim is -1, expected at least 1");
  CHECK(message_of<ArgumentError>([] {
          (void)HadamardExpansion<float>(Index{1} << 40, {.dim = 4});
        }) == "in_dim is 1099511627776, expected 1..16777216");
  CHECK(contains(message_of<ArgumentError>(
                     [] { (void)HadamardExpansion<float>(4, {.dim = 4, .bandwidth = 0}); }),
                 "bandwidth is 0"));
}

}  // namespace
}  // namespace anyssr
