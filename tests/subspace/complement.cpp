// SPDX-License-Identifier: MIT

#include "anyssr/subspace/complement.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::contains;
using test::message_of;
using test::orthonormality_error;
using test::relative_error;
using test::round_off;

/// Everything is checked in double: one type of product to compile, and no round-off of its own.
template <class M>
Eigen::MatrixXd wide(const M& m) {
  return m.template cast<double>();
}

template <class Scalar>
Matrix<Scalar> as(const Eigen::MatrixXd& m) {
  return m.cast<Scalar>();
}

Eigen::MatrixXd normal(Index rows, Index cols, std::uint64_t seed, std::uint64_t stream) {
  return random_normal<double>(rows, cols, seed, stream);
}

/// Orthonormal columns by Householder QR in double.
template <class Scalar>
Matrix<Scalar> orthonormal(Index rows, Index cols, std::uint64_t seed) {
  return test::orthonormal_columns_of(normal(rows, cols, seed, 1)).template cast<Scalar>();
}

/// X - X U U^T.
template <class X, class U>
Eigen::MatrixXd residual_of(const X& x, const U& basis) {
  const Eigen::MatrixXd u = wide(basis);
  const Eigen::MatrixXd rows = wide(x);
  const Eigen::MatrixXd inside = rows * u;
  return rows - inside * u.transpose();
}

template <class M>
double spectral_norm(const M& m) {
  return test::singular_values_of(wide(m))(0);
}

TEMPLATE_TEST_CASE("adapters in the complement leave inputs of the earlier spans alone",
                   "[subspace][property]", float, double) {
  const auto seed = GENERATE(range(1u, 6u));
  const auto method = GENERATE(SubspaceMethod::exact, SubspaceMethod::randomised);
  CAPTURE(seed);
  const Index dim = 48;
  Matrix<TestType> earlier(dim, 0);
  for (std::uint64_t task = 0; task < 4; ++task) {
    // Every task sees a common part, which the first one takes.
    const Eigen::MatrixXd common = normal(14, 2, seed, 10 + task) * normal(2, dim, seed, 9);
    const Matrix<TestType> x = as<TestType>(normal(14, dim, seed, 20 + task) + 30 * common);
    const auto found = complement_basis(x, earlier, {.rank = 9, .method = method, .seed = seed});
    CHECK(found.basis.cols() == 9);
    CHECK(found.capacity == dim - earlier.cols());
    CHECK(orthonormality_error(found.basis) < round_off<TestType>(10));
    if (earlier.cols() > 0) {
      const Eigen::MatrixXd q = normal(4, 9, seed, 30 + task);
      const Eigen::MatrixXd coordinates = normal(earlier.cols(), 50, seed, 40 + task);
      const Matrix<TestType> a = as<TestType>(q * wide(found.basis).transpose());
      const Matrix<TestType> b = as<TestType>(normal(21, 4, seed, 50 + task));
      const Matrix<TestType> inputs = as<TestType>(wide(earlier) * coordinates);
      const Matrix<TestType> inner = a * inputs;
      const Matrix<TestType> change = b * inner;
      const double bound = round_off<TestType>(50) * spectral_norm(a) * spectral_norm(b);
      CHECK((change.colwise().norm().array() <=
             static_cast<TestType>(bound) * inputs.colwise().norm().array())
                .all());
    }
    earlier = append_basis(earlier, found.basis);
  }
  CHECK(earlier.cols() == 36);
  CHECK(orthonormality_error(earlier) < round_off<TestType>(30));
}

TEMPLATE_TEST_CASE("shared directions do not come back as noise", "[subspace][property]", float,
                   double) {
  const auto seed = GENERATE(range(1u, 6u));
  const auto method = GENERATE(SubspaceMethod::exact, SubspaceMethod::randomised);
  CAPTURE(seed);
  const Index dim = 40;
  const Matrix<TestType> all = orthonormal<TestType>(dim, 13, seed);
  const Matrix<TestType> earlier = all.leftCols(10);
  const Matrix<TestType> fresh = all.rightCols(3);
  const Eigen::MatrixXd shared = normal(20, 10, seed, 2) * wide(earlier).transpose();
  const Eigen::MatrixXd own = normal(20, 3, seed, 3) * wide(fresh).transpose();
  const Matrix<TestType> x = as<TestType>(5 * shared + own);
  const auto found = complement_basis(x, earlier, {.rank = 15, .method = method});
  CHECK(found.basis.cols() == 3);
  CHECK(found.capacity == 30);
  const Eigen::MatrixXd overlap = wide(fresh).transpose() * wide(found.basis);
  CHECK(std::abs(overlap.squaredNorm() - 3) < round_off<TestType>(500));
  const Eigen::MatrixXd leak = wide(earlier).transpose() * wide(found.basis);
  CHECK(leak.norm() < round_off<TestType>(10));
}

TEMPLATE_TEST_CASE("the complement agrees with a decomposition of the residual in double",
                   "[subspace][property]", float, double) {
  const auto seed = GENERATE(range(1u, 4u));
  const bool is_tall = GENERATE(false, true);
  CAPTURE(seed, is_tall);
  const Index dim = 30;
  const Matrix<TestType> earlier = orthonormal<TestType>(dim, 6, seed);
  const Eigen::VectorXd weights = Eigen::VectorXd::NullaryExpr(
      dim, [](Index i) { return std::pow(0.7, static_cast<double>(i)); });
  const Eigen::MatrixXd directions =
      weights.asDiagonal() * orthonormal<double>(dim, dim, seed + 50);
  const Eigen::MatrixXd made = normal(is_tall ? 70 : 16, dim, seed, 5) * directions;
  const Matrix<TestType> x = as<TestType>(made);
  const Eigen::MatrixXd residual = residual_of(x, earlier);
  const test::SingularVectors svd = test::singular_vectors_of(residual);

  const SubspaceOptions options{.rank = 4, .method = SubspaceMethod::exact};
  const auto found = complement_basis(x, earlier, options);
  REQUIRE(found.basis.cols() == 4);
  CHECK(relative_error(found.singular_values, svd.values.head(4)) < round_off<TestType>(50));
  CHECK(std::abs(found.outside_share - residual.squaredNorm() / wide(x).squaredNorm()) <
        round_off<TestType>(50));
  const Eigen::MatrixXd v = svd.v.leftCols(4);
  const Eigen::MatrixXd overlap = v.transpose() * wide(found.basis);
  CHECK(std::abs(overlap.squaredNorm() - 4) < round_off<TestType>(1000));

  const RowMajorMatrix<TestType> earlier_by_rows = earlier;
  const RowMajorMatrix<TestType> by_rows = x;
  for (const auto& other : {complement_basis(test::to_sparse(x), earlier, options),
                            complement_basis(by_rows, earlier_by_rows, options)}) {
    const Eigen::MatrixXd cross = wide(other.basis).transpose() * wide(found.basis);
    CHECK(std::abs(cross.squaredNorm() - 4) < round_off<TestType>(2000));
    CHECK(std::abs(other.outside_share - found.outside_share) < round_off<TestType>(50));
  }
  const auto random =
      complement_basis(test::to_sparse(x), earlier,
                       {.rank = 4, .method = SubspaceMethod::randomised, .oversampling = 8});
  CHECK(random.singular_values.squaredNorm() > (1 - 1e-3) * found.singular_values.squaredNorm());
}

TEMPLATE_TEST_CASE("a small share outside the span is still measured", "[subspace][property]",
                   float, double) {
  const Matrix<TestType> all = orthonormal<TestType>(20, 6, 3);
  const Matrix<TestType> earlier = all.leftCols(5);
  const Eigen::MatrixXd weights = normal(300, 6, 4, 0);
  Eigen::MatrixXd made = weights.leftCols(5) * wide(earlier).transpose();
  made += 0.01 * weights.col(5) * wide(all).col(5).transpose();
  const Matrix<TestType> x = as<TestType>(made);
  const auto found = complement_basis(x, earlier);
  CHECK(found.basis.cols() == 1);
  const double outside = residual_of(x, earlier).squaredNorm();
  CHECK(std::abs(found.outside_share * wide(x).squaredNorm() / outside - 1) <
        round_off<TestType>(1000));
}

TEMPLATE_TEST_CASE("residual directions below a thousandth of the largest are dropped",
                   "[subspace][property]", float, double) {
  const auto seed = GENERATE(range(1u, 4u));
  const auto method = GENERATE(SubspaceMethod::exact, SubspaceMethod::randomised);
  CAPTURE(seed);
  Eigen::VectorXd weights(10);
  weights << 1, 1, 1, 1, 1, 1, 1, 0.1, 2e-3, 5e-4;  // six inside the earlier span
  const Matrix<TestType> all = orthonormal<TestType>(30, 10, seed);
  const Eigen::MatrixXd left = orthonormal<double>(40, 10, seed + 9) * weights.asDiagonal();
  const Matrix<TestType> earlier = all.leftCols(6);
  const Matrix<TestType> x = as<TestType>(left * wide(all).transpose());
  const auto found = complement_basis(x, earlier, {.rank = 12, .method = method});
  CHECK(found.basis.cols() == 3);
  const Eigen::MatrixXd leak = wide(earlier).transpose() * wide(found.basis);
  CHECK(leak.norm() < round_off<TestType>(10));
}

TEST_CASE("the energy share of a complement is one of what is outside", "[subspace][property]") {
  const Matrix<double> all = orthonormal<double>(20, 8, 3);
  Eigen::VectorXd weights(8);
  weights << 100, 100, 100, 100, 8, 4, 2, 1;
  const Eigen::MatrixXd left = orthonormal<double>(20, 8, 4) * weights.asDiagonal();
  const Matrix<double> x = left * all.transpose();
  const Matrix<double> earlier = all.leftCols(4);
  // outside: 64, 16, 4, 1 of 85
  CHECK(complement_basis(x, earlier, {.energy = 0.7}).basis.cols() == 1);
  CHECK(complement_basis(x, earlier, {.energy = 0.9}).basis.cols() == 2);
  CHECK(complement_basis(x, earlier).basis.cols() == 4);
}

TEMPLATE_TEST_CASE("rows inside the earlier spans leave nothing", "[subspace][error]", float,
                   double) {
  const auto method = GENERATE(SubspaceMethod::exact, SubspaceMethod::randomised);
  const SubspaceOptions options{.rank = 8, .method = method};
  const Matrix<TestType> earlier = orthonormal<TestType>(32, 12, 1);
  const Matrix<TestType> x = as<TestType>(normal(40, 12, 2, 0) * wide(earlier).transpose());
  const std::string expected =
      "the earlier subspaces span 12 of 32 dimensions; nothing of the new rows is left";
  CHECK(message_of<NumericalError>([&] { (void)complement_basis(x, earlier, options); }) ==
        expected);
  CHECK(message_of<NumericalError>([&] {
          (void)complement_basis(Matrix<TestType>(Matrix<TestType>::Zero(3, 32)), earlier, options);
        }) == expected);
  CHECK(message_of<NumericalError>([&] {
          (void)complement_basis(x, orthonormal<TestType>(32, 32, 1), options);
        }) == "the earlier subspaces span 32 of 32 dimensions; nothing of the new rows is left");
}

TEST_CASE("complement_basis refuses what does not fit", "[subspace][error]") {
  Matrix<double> x = random_normal<double>(6, 10, 1);
  const Matrix<double> earlier = orthonormal<double>(10, 3, 2);
  const Matrix<double> doubled = 2 * earlier;
  const Matrix<double> narrow = x.leftCols(9);
  const Matrix<double> none(0, 10);
  CHECK(message_of<ShapeError>([&] { (void)complement_basis(narrow, earlier); }) ==
        "features are 6 x 9, expected n x 10");
  CHECK(message_of<ShapeError>([&] { (void)complement_basis(none, earlier); }) ==
        "features are 0 x 10, expected at least one row");
  CHECK(contains(message_of<ArgumentError>([&] { (void)complement_basis(x, doubled); }),
                 "earlier is off by"));
  CHECK(
      contains(message_of<ArgumentError>([&] { (void)complement_basis(x, earlier, {.rank = -1}); }),
               "rank is -1"));
  x(1, 7) = std::numeric_limits<double>::infinity();
  CHECK(message_of<NonFiniteError>([&] { (void)complement_basis(x, earlier); }) ==
        "features hold NaN or infinity at row 1, column 7, expected finite numbers");
}

TEMPLATE_TEST_CASE("appending keeps the earlier columns and adds what is new",
                   "[subspace][property]", float, double) {
  const auto seed = GENERATE(range(1u, 5u));
  const Matrix<TestType> all = orthonormal<TestType>(25, 9, seed);
  const Matrix<TestType> earlier = all.leftCols(5);
  // Columns 3..8 turned among themselves: two directions are there already, four are new.
  const Eigen::MatrixXd turn = orthonormal<double>(6, 6, seed + 9);
  const Matrix<TestType> added = as<TestType>(wide(all).rightCols(6) * turn);
  const Matrix<TestType> joined = append_basis(earlier, added);
  CHECK((joined.leftCols(5).array() == earlier.array()).all());
  CHECK(joined.cols() == 9);
  CHECK(orthonormality_error(joined) < round_off<TestType>(20));
  CHECK(residual_of(added.transpose(), joined).norm() < round_off<TestType>(50));
}

TEMPLATE_TEST_CASE("appending to nothing or of nothing works", "[subspace][property]", float,
                   double) {
  const Matrix<TestType> basis = orthonormal<TestType>(12, 4, 1);
  const Matrix<TestType> none(12, 0);
  CHECK(append_basis(none, basis).cols() == 4);
  CHECK((append_basis(basis, none).array() == basis.array()).all());
  CHECK((append_basis(basis, basis).array() == basis.array()).all());
  CHECK(append_basis(none, none).cols() == 0);
}

TEST_CASE("append_basis refuses what is not orthonormal", "[subspace][error]") {
  const Matrix<double> basis = orthonormal<double>(12, 4, 1);
  const Matrix<double> doubled = 2 * basis;
  const Matrix<double> shorter = basis.topRows(11);
  CHECK(contains(message_of<ArgumentError>([&] { (void)append_basis(doubled, basis); }),
                 "earlier is off by"));
  CHECK(contains(message_of<ArgumentError>([&] { (void)append_basis(basis, doubled); }),
                 "added is off by"));
  CHECK(message_of<ShapeError>([&] { (void)append_basis(basis, shorter); }) ==
        "added are 11 x 4, expected 12 rows");
}

}  // namespace
}  // namespace anyssr
