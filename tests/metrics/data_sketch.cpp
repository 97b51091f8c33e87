// SPDX-License-Identifier: MIT
#include "anyssr/metrics/data_sketch.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using anyssr::test::message_of;
using anyssr::test::random_sparse;
using anyssr::test::relative_error;
using anyssr::test::round_off;

/// Two passes over plain columns.
FeatureMoments slow_moments(const Matrix<double>& z) {
  FeatureMoments moments{z.rows(), Vector<double>::Zero(z.cols()), Vector<double>::Zero(z.cols())};
  for (Index j = 0; j < z.cols(); ++j) {
    for (Index i = 0; i < z.rows(); ++i) moments.mean(j) += z(i, j) / double(z.rows());
    for (Index i = 0; i < z.rows(); ++i) moments.m2(j) += std::pow(z(i, j) - moments.mean(j), 2);
  }
  return moments;
}

}  // namespace

TEMPLATE_TEST_CASE("narrow features are their own coordinates beside their norm", "[metrics]",
                   float, double) {
  const Matrix<TestType> x = random_normal<TestType>(9, 5, 1);
  const FeatureSketch sketch(5, 64, 3);
  const Matrix<double> z = sketch.apply(x);
  CHECK(sketch.is_plain());
  CHECK(sketch.coordinates() == 6);
  CHECK(z.leftCols(5) == x.template cast<double>());
  CHECK(relative_error(z.col(5), x.template cast<double>().rowwise().norm()) <
        round_off<double>(8));
  CHECK(sketch.name_of(2) == "feature 2");
  CHECK(sketch.name_of(5) == "norm");
  CHECK(sketch.name_of(-1) == "none");
}

TEMPLATE_TEST_CASE("a sketch is a linear map by one sign matrix of rows and norms", "[metrics]",
                   float, double) {
  constexpr Index dim = 700;   // more than one piece of the product
  constexpr Index kept = 150;  // more than one block of random bits
  const FeatureSketch sketch(dim, kept, 11);
  const Matrix<double> one_each = Matrix<double>::Identity(dim, dim);
  const Matrix<double> signs = sketch.apply(one_each).leftCols(kept);
  CHECK((signs.cwiseAbs().array() == 1 / std::sqrt(double(kept))).all());
  const Matrix<TestType> x = random_normal<TestType>(6, dim, 2);
  const Matrix<double> wide = x.template cast<double>();
  const Matrix<double> z = sketch.apply(x);
  CHECK(relative_error(z.leftCols(kept), wide * signs) < round_off<double>(1000));
  CHECK(relative_error(z.col(kept), wide.rowwise().norm()) < round_off<double>(100));
  CHECK(sketch.name_of(7) == "sketch coordinate 7");
}

TEST_CASE("signs of a sketch are balanced and unlike each other", "[metrics][property]") {
  const FeatureSketch sketch(2000, 32, 5);
  const Matrix<double> one_each = Matrix<double>::Identity(2000, 2000);
  const Matrix<double> gram = [&] {
    const Matrix<double> signs = sketch.apply(one_each).leftCols(32);
    return Matrix<double>(signs.transpose() * signs * (32.0 / 2000));
  }();
  // entries off the diagonal are means of 2000 signs: five standard deviations are 0.11
  CHECK((gram - Matrix<double>::Identity(32, 32)).cwiseAbs().maxCoeff() < 0.11);
  const Matrix<double> other = FeatureSketch(2000, 32, 6).apply(one_each);
  CHECK_FALSE(other == sketch.apply(one_each));
}

TEMPLATE_TEST_CASE("sparse rows have the sketch of the dense ones", "[metrics]", float, double) {
  const Index dim = GENERATE(40, 900);
  const SparseRows<TestType> sparse = random_sparse<TestType>(12, dim, 0.1, 3);
  const Matrix<TestType> dense = sparse;
  const FeatureSketch sketch(dim, 64, 9);
  CHECK(relative_error(sketch.apply(sparse), sketch.apply(dense)) < round_off<double>(100));
}

TEST_CASE("moments of batches add up to those of all rows", "[metrics][property]") {
  // a mean of 1e6 spreads: sums of plain squares would lose twelve digits of the variance
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 11)));
  const Index batch = GENERATE(1, 7, 50);
  CAPTURE(seed, batch);
  const Matrix<double> z = (random_normal<double>(90, 4, seed).array() + 1e6).matrix();
  FeatureMoments moments;
  for (Index begin = 0; begin < z.rows(); begin += batch) {
    const Matrix<double> rows = z.middleRows(begin, std::min(batch, z.rows() - begin));
    moments = detail::merged_moments(moments, detail::moments_of(rows));
  }
  const FeatureMoments slow = slow_moments(z);
  CHECK(moments.rows == 90);
  CHECK(relative_error(moments.mean, slow.mean) < round_off<double>(100));
  // a mean that is off by a rounding of 1e6 moves each square by that times its own size
  CHECK(relative_error(moments.m2, slow.m2) < round_off<double>(1e7));
  CHECK(relative_error(moments.variance(), slow.m2 / 89) < round_off<double>(1e7));
}

TEST_CASE("moments of no rows change nothing", "[metrics][property]") {
  const FeatureMoments some = detail::moments_of(random_normal<double>(5, 3, 1));
  CHECK(detail::merged_moments(some, {}).m2 == some.m2);
  CHECK(detail::merged_moments({}, some).mean == some.mean);
  CHECK(detail::moments_of(random_normal<double>(1, 3, 1)).variance() == Vector<double>::Zero(3));
}

TEST_CASE("features that would spoil sums are refused by a sketch", "[metrics][error]") {
  const FeatureSketch sketch(300, 8, 1);
  Matrix<double> x = random_normal<double>(3, 300, 1);
  CHECK(message_of<ShapeError>([&] { (void)sketch.apply(Matrix<double>(x.leftCols(4))); }) ==
        "features are 3 x 4, expected n x 300");
  x(2, 290) = std::nan("");
  const std::string message =
      "features hold NaN or infinity at row 2, column 290, expected finite numbers";
  CHECK(message_of<NonFiniteError>([&] { (void)sketch.apply(x); }) == message);
  const SparseRows<double> sparse = x.sparseView();
  CHECK(message_of<NonFiniteError>([&] { (void)sketch.apply(sparse); }) == message);
  x(2, 290) = 1e200;
  CHECK(message_of<NonFiniteError>([&] { (void)sketch.apply(x); }) ==
        "features have a norm of inf at row 2, expected at most 1e+140");
}

TEST_CASE("a sketch of no width is refused", "[metrics][error]") {
  CHECK(message_of<ArgumentError>([] { FeatureSketch(0, 8, 1); }) ==
        "dim is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([] { FeatureSketch(3, 0, 1); }) ==
        "sketch is 0, expected 1 to 65536");
  CHECK_THROWS_AS(FeatureSketch(3, 65537, 1), ArgumentError);
}
