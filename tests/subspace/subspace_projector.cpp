// SPDX-License-Identifier: MIT

#include "anyssr/subspace/subspace_projector.hpp"

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

/// n x D rows whose k-th direction has the weight decay^k.
template <class Scalar>
Matrix<Scalar> decaying_rows(Index n, Index dim, double decay, std::uint64_t seed) {
  const Index few = std::min(n, dim);
  const Eigen::MatrixXd left = random_normal<double>(n, few, seed, 1);
  const Eigen::MatrixXd right = random_normal<double>(few, dim, seed, 2);
  const Eigen::VectorXd weights = Eigen::VectorXd::NullaryExpr(
      few, [&](Index i) { return std::pow(decay, static_cast<double>(i)); });
  const Eigen::MatrixXd rows = left * weights.asDiagonal() * right;
  return rows.cast<Scalar>();
}

/// Projection onto the first k right singular vectors, and all singular values.
struct Oracle {
  Eigen::MatrixXd projection;
  Eigen::VectorXd singular_values;
};

template <class X>
Oracle oracle_of(const X& x, Index k) {
  const test::SingularVectors svd = test::singular_vectors_of(x.template cast<double>());
  const Eigen::MatrixXd v = svd.v.leftCols(k);
  return {v * v.transpose(), svd.values};
}

TEMPLATE_TEST_CASE("the exact fit is the truncated singular value decomposition",
                   "[subspace][property]", float, double) {
  const auto seed = GENERATE(range(1u, 5u));
  const bool is_tall = GENERATE(false, true);
  CAPTURE(seed, is_tall);
  const Matrix<TestType> x = decaying_rows<TestType>(is_tall ? 30 : 9, is_tall ? 9 : 30, 0.5, seed);
  const auto projector =
      SubspaceProjector<TestType>::fit(x, {.rank = 4, .method = SubspaceMethod::exact});
  const Oracle oracle = oracle_of(x, 4);
  CHECK(projector.rank() == 4);
  CHECK(projector.dim() == x.cols());
  const Eigen::MatrixXd u = projector.basis().template cast<double>();
  CHECK(orthonormality_error(u) < round_off<TestType>(30));
  CHECK(relative_error((u * u.transpose()).eval(), oracle.projection) < round_off<TestType>(200));
  CHECK(relative_error(projector.singular_values(), oracle.singular_values.head(4)) <
        round_off<TestType>(20));
  const double total = oracle.singular_values.squaredNorm();
  const double kept = oracle.singular_values.head(4).squaredNorm();
  CHECK(std::abs(projector.energy_kept() - kept / total) < round_off<TestType>(20));
  CHECK(std::abs(projector.discarded_energy() - (total - kept)) < round_off<TestType>(20) * total);
}

TEMPLATE_TEST_CASE("the randomised fit is near the best one", "[subspace][property]", float,
                   double) {
  const auto seed = GENERATE(range(1u, 4u));
  const bool is_tall = GENERATE(false, true);
  CAPTURE(seed, is_tall);
  const Matrix<TestType> x =
      decaying_rows<TestType>(is_tall ? 150 : 60, is_tall ? 60 : 150, 0.85, seed);
  const auto found = SubspaceProjector<TestType>::fit(
      x, {.rank = 10, .method = SubspaceMethod::randomised, .seed = seed});
  const Oracle oracle = oracle_of(x, 10);
  const double best =
      oracle.singular_values.head(10).squaredNorm() / oracle.singular_values.squaredNorm();
  CHECK(found.rank() == 10);
  CHECK(orthonormality_error(found.basis()) < round_off<TestType>(100));
  CHECK(found.energy_kept() <= best + round_off<TestType>(20));
  CHECK(found.energy_kept() > best - 1e-4);
  const Eigen::MatrixXd wide = x.template cast<double>();
  const Eigen::MatrixXd u = found.basis().template cast<double>();
  const double truly_kept = (wide * u).squaredNorm() / wide.squaredNorm();
  CHECK(found.energy_kept() <= truly_kept + round_off<TestType>(50));
  CHECK(found.energy_kept() > truly_kept - 1e-4);
}

TEMPLATE_TEST_CASE("power iterations raise the energy of a flat spectrum", "[subspace][property]",
                   float, double) {
  const Matrix<TestType> x = decaying_rows<TestType>(90, 140, 0.99, 3);
  const auto kept = [&](int power_iterations) {
    return SubspaceProjector<TestType>::fit(x, {.rank = 10,
                                                .method = SubspaceMethod::randomised,
                                                .power_iterations = power_iterations,
                                                .oversampling = 4})
        .energy_kept();
  };
  CHECK(kept(1) > kept(0) + 0.01);
  CHECK(kept(4) > kept(1));
}

TEMPLATE_TEST_CASE("sparse rows and both storage orders give one subspace", "[subspace][property]",
                   float, double) {
  const auto method = GENERATE(SubspaceMethod::exact, SubspaceMethod::randomised);
  const bool is_tall = GENERATE(false, true);
  CAPTURE(is_tall);
  Matrix<TestType> by_columns =
      decaying_rows<TestType>(is_tall ? 50 : 20, is_tall ? 20 : 50, 0.6, 5);
  by_columns.middleCols(3, 9).setZero();
  const RowMajorMatrix<TestType> by_rows = by_columns;
  const SparseRows<TestType> sparse = test::to_sparse(by_columns);
  const SubspaceOptions options{.rank = 5, .method = method, .seed = 3};
  const auto expected = SubspaceProjector<TestType>::fit(by_columns, options);
  const RowMajorMatrix<TestType> inside = expected.reconstruct(by_columns);
  const double tolerance = round_off<TestType>(1000);
  for (const auto& other :
       {SubspaceProjector<TestType>::fit(by_rows, options),
        SubspaceProjector<TestType>::fit(sparse, options),
        SubspaceProjector<TestType>::fit(sparse.middleRows(0, sparse.rows()), options),
        SubspaceProjector<TestType>::fit(TestType(1) * by_rows, options)}) {
    CHECK(other.rank() == 5);
    CHECK(relative_error(other.reconstruct(sparse), inside) < tolerance);
    CHECK(relative_error(other.singular_values(), expected.singular_values()) < tolerance);
  }
  CHECK(relative_error(expected.project(sparse), expected.project(by_rows)) < tolerance);
  CHECK(relative_error(expected.residual(sparse), expected.residual(by_rows)) < 100 * tolerance);
}

TEMPLATE_TEST_CASE("reconstruction and residual split a row at a right angle",
                   "[subspace][property]", float, double) {
  const auto seed = GENERATE(range(1u, 4u));
  const Matrix<TestType> x = random_normal<TestType>(80, 12, seed);
  const auto projector = SubspaceProjector<TestType>::fit(x, {.rank = 5});
  const SparseRows<TestType> queries = test::random_sparse<TestType>(70, 12, 0.5, seed);
  const RowMajorMatrix<TestType> inside = projector.reconstruct(queries);
  const RowMajorMatrix<TestType> outside = projector.residual(queries);
  CHECK(relative_error((inside + outside).eval(), Matrix<TestType>(queries)) <
        round_off<TestType>(10));
  CHECK(static_cast<double>(projector.project(outside).norm()) <
        round_off<TestType>(10) * static_cast<double>(outside.norm()));
  CHECK(relative_error(projector.project(inside), projector.project(queries)) <
        round_off<TestType>(20));
}

TEMPLATE_TEST_CASE("the energy share chooses the smallest rank that keeps it",
                   "[subspace][property]", float, double) {
  const double share = GENERATE(0.3, 0.8, 0.99);
  const Matrix<TestType> x = decaying_rows<TestType>(40, 25, 0.8, 7);
  const Oracle oracle = oracle_of(x, 1);
  const auto projector = SubspaceProjector<TestType>::fit(x, {.energy = share});
  const double total = oracle.singular_values.squaredNorm();
  const Index k = projector.rank();
  REQUIRE(k >= 1);
  CHECK(oracle.singular_values.head(k).squaredNorm() >= share * total * (1 - 1e-6));
  CHECK(oracle.singular_values.head(k - 1).squaredNorm() < share * total);
  CHECK(SubspaceProjector<TestType>::fit(x, {.rank = 2, .energy = share}).rank() ==
        std::min<Index>(2, k));
}

TEMPLATE_TEST_CASE("a fit never has more directions than the rows span", "[subspace][property]",
                   float, double) {
  const auto method = GENERATE(SubspaceMethod::exact, SubspaceMethod::randomised);
  const bool is_tall = GENERATE(false, true);
  const Matrix<TestType> left = random_normal<TestType>(is_tall ? 60 : 25, 3, 1);
  const Matrix<TestType> right = random_normal<TestType>(3, is_tall ? 25 : 60, 2);
  const Matrix<TestType> x = left * right;
  const SubspaceOptions options{.rank = 10, .method = method};
  // A product in float holds round-off of some 1e-7 of its norm: the least that can be told apart.
  const auto projector = SubspaceProjector<TestType>::fit(x, options);
  CHECK(projector.rank() >= 3);
  CHECK(projector.rank() <= (std::is_same_v<TestType, float> ? 10 : 3));
  CHECK(projector.energy_kept() > 1 - round_off<TestType>(20));
  CHECK(relative_error(projector.reconstruct(x), x) < round_off<TestType>(100));

  const auto whole = SubspaceProjector<TestType>::fit(x.leftCols(2), {.rank = 40});
  CHECK(whole.rank() == 2);
  CHECK(whole.energy_kept() > 1 - round_off<TestType>(20));
}

TEMPLATE_TEST_CASE("rows of zeros have a subspace of rank 0", "[subspace][property]", float,
                   double) {
  const auto method = GENERATE(SubspaceMethod::exact, SubspaceMethod::randomised);
  const Index n = GENERATE(3, 20);
  const SubspaceOptions options{.rank = 4, .method = method};
  const Matrix<TestType> zero = Matrix<TestType>::Zero(n, 8);
  const SparseRows<TestType> empty(n, 8);
  for (const auto& projector : {SubspaceProjector<TestType>::fit(zero, options),
                                SubspaceProjector<TestType>::fit(empty, options)}) {
    CHECK(projector.rank() == 0);
    CHECK(projector.dim() == 8);
    CHECK(projector.energy_kept() == 1.0);
    CHECK(projector.discarded_energy() == 0.0);
    CHECK(projector.project(zero).cols() == 0);
    CHECK(projector.residual(Matrix<TestType>::Ones(2, 8)).isOnes(0));
  }
}

TEMPLATE_TEST_CASE("new rows folded in give the subspace of all rows", "[subspace][property]",
                   float, double) {
  const auto seed = GENERATE(range(1u, 4u));
  const Matrix<TestType> x = decaying_rows<TestType>(24, 15, 0.7, seed);
  const auto whole = SubspaceProjector<TestType>::fit(x);
  auto grown = SubspaceProjector<TestType>::fit(x.topRows(8));
  grown.update(x.middleRows(8, 6));
  grown.update(test::to_sparse<TestType>(x.bottomRows(10)));
  CHECK(std::abs(grown.total_energy() / whole.total_energy() - 1) < round_off<TestType>(20));
  CHECK(relative_error(grown.singular_values().head(6), whole.singular_values().head(6)) <
        round_off<TestType>(50));
  const Eigen::MatrixXd u = grown.basis().leftCols(6).template cast<double>();
  CHECK(relative_error((u * u.transpose()).eval(), oracle_of(x, 6).projection) <
        round_off<TestType>(2000));
}

TEST_CASE("truncation while rows are folded in is accounted for", "[subspace][property]") {
  const Matrix<double> x = decaying_rows<double>(60, 30, 0.9, 4);
  const SubspaceOptions options{.rank = 8};
  auto grown = SubspaceProjector<double>::fit(x.topRows(20), options);
  grown.update(x.middleRows(20, 20), options);
  grown.update(x.bottomRows(20), options);
  const Oracle oracle = oracle_of(x, 8);
  const double total = oracle.singular_values.squaredNorm();
  const double best = oracle.singular_values.head(8).squaredNorm() / total;
  const double truly_kept = grown.project(x).squaredNorm() / total;
  CHECK(grown.rank() == 8);
  CHECK(std::abs(grown.total_energy() / total - 1) < 1e-12);
  CHECK(grown.energy_kept() <= truly_kept + 1e-12);
  CHECK(truly_kept <= best + 1e-12);
  CHECK(truly_kept > 0.95 * best);
}

TEST_CASE("one seed gives one subspace", "[subspace][property]") {
  const SparseRows<float> x = test::random_sparse<float>(40, 60, 0.2, 3);
  const SubspaceOptions options{.rank = 6, .method = SubspaceMethod::randomised, .seed = 5};
  const auto first = SubspaceProjector<float>::fit(x, options);
  const auto second = SubspaceProjector<float>::fit(x, options);
  CHECK((first.basis().array() == second.basis().array()).all());
}

TEMPLATE_TEST_CASE("a projector can be rebuilt from its parts", "[subspace][property]", float,
                   double) {
  const Matrix<TestType> x = random_normal<TestType>(20, 9, 3);
  const auto made = SubspaceProjector<TestType>::fit(x, {.rank = 4});
  const SubspaceProjector<TestType> rebuilt(made.basis(), made.singular_values(),
                                            made.total_energy());
  CHECK((rebuilt.project(x).array() == made.project(x).array()).all());
  CHECK(rebuilt.energy_kept() == made.energy_kept());
}

TEST_CASE("parts that are no subspace are refused", "[subspace][error]") {
  const Matrix<double> basis = Matrix<double>::Identity(5, 2);
  const Vector<double> values = Vector<double>::Ones(2);
  using Projector = SubspaceProjector<double>;
  CHECK(contains(message_of<ArgumentError>([&] { (void)Projector(1.1 * basis, values, 2); }),
                 "expected orthonormal columns"));
  CHECK(message_of<ShapeError>([&] { (void)Projector(basis, Vector<double>::Ones(3), 3); }) ==
        "singular_values have 3 entries, expected 2, one a row");
  CHECK(message_of<ArgumentError>([&] { (void)Projector(basis, values, 1.5); }) ==
        "total_energy is 1.5, expected at least the 2 that the singular values hold");
  CHECK(
      contains(message_of<ArgumentError>([&] { (void)Projector(basis, -values, 2); }), "negative"));
  Matrix<double> broken = basis;
  broken(3, 1) = std::numeric_limits<double>::quiet_NaN();
  CHECK(contains(message_of<NonFiniteError>([&] { (void)Projector(broken, values, 2); }),
                 "basis hold NaN or infinity at row 3, column 1"));
}

TEMPLATE_TEST_CASE("NaN is refused and changes nothing", "[subspace][error]", float, double) {
  Matrix<TestType> x = random_normal<TestType>(6, 5, 1);
  auto projector = SubspaceProjector<TestType>::fit(x, {.rank = 2});
  const Matrix<TestType> before = projector.basis();
  const double energy = projector.total_energy();
  x(4, 2) = std::numeric_limits<TestType>::quiet_NaN();
  const std::string expected =
      "features hold NaN or infinity at row 4, column 2, expected finite numbers";
  using Projector = SubspaceProjector<TestType>;
  CHECK(message_of<NonFiniteError>([&] { (void)Projector::fit(x); }) == expected);
  CHECK(message_of<NonFiniteError>([&] { projector.update(x); }) == expected);
  SparseRows<TestType> sparse(6, 5);
  sparse.insert(4, 2) = std::numeric_limits<TestType>::infinity();
  CHECK(message_of<NonFiniteError>([&] { (void)Projector::fit(sparse); }) == expected);
  CHECK(message_of<NonFiniteError>([&] { projector.update(sparse); }) == expected);
  CHECK((projector.basis().array() == before.array()).all());
  CHECK(projector.total_energy() == energy);
}

TEST_CASE("squares that overflow are refused", "[subspace][error]") {
  const Matrix<double> x = Matrix<double>::Constant(2, 3, 1e200);
  CHECK(message_of<NumericalError>([&] { (void)SubspaceProjector<double>::fit(x); }) ==
        "features of 2 x 3 are too large: their squares overflow");
}

TEST_CASE("shapes and options out of range are refused", "[subspace][error]") {
  const Matrix<double> x = random_normal<double>(6, 5, 1);
  using Projector = SubspaceProjector<double>;
  const auto refusal = [&](const SubspaceOptions& options) {
    return message_of<ArgumentError>([&] { (void)Projector::fit(x, options); });
  };
  CHECK(refusal({.rank = -1}) == "rank is -1, expected 0 (by energy) or more");
  CHECK(refusal({.energy = 0}) == "energy is 0, expected a share above 0, at most 1");
  CHECK(contains(refusal({.energy = std::numeric_limits<double>::quiet_NaN()}), "energy is"));
  CHECK(refusal({.power_iterations = -2}) == "power_iterations is -2, expected 0 or more");
  CHECK(refusal({.oversampling = -2}) == "oversampling is -2, expected 0 or more");
  CHECK(refusal({.method = SubspaceMethod::randomised}) ==
        "rank is 0, expected at least 1 under method randomised");
  CHECK(message_of<ShapeError>([&] { (void)Projector::fit(x.topRows(0)); }) ==
        "features are 0 x 5, expected at least one row and one column");
  auto projector = Projector::fit(x, {.rank = 2});
  const SparseRows<double> narrow(3, 4);
  CHECK(message_of<ShapeError>([&] { (void)projector.project(narrow); }) ==
        "features are 3 x 4, expected n x 5");
  CHECK(message_of<ShapeError>([&] { (void)projector.residual(narrow); }) ==
        "features are 3 x 4, expected n x 5");
  CHECK(message_of<ShapeError>([&] { projector.update(narrow); }) ==
        "features are 3 x 4, expected n x 5");
}

}  // namespace
}  // namespace anyssr
