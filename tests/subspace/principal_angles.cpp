// SPDX-License-Identifier: MIT

#include "anyssr/subspace/principal_angles.hpp"

#include <cmath>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::contains;
using test::message_of;
using test::round_off;

/// Two bases of span whose principal angles are the given ones, turned into general position.
template <class Scalar>
std::pair<Matrix<Scalar>, Matrix<Scalar>> spans_at(const Vector<double>& angles, Index extra,
                                                   std::uint64_t seed) {
  const Index k = angles.size();
  const Index dim = 2 * k + extra + 3;
  const Eigen::MatrixXd turn =
      test::orthonormal_columns_of(random_normal<double>(dim, dim, seed, 1));
  const Eigen::MatrixXd mix = test::orthonormal_columns_of(random_normal<double>(k, k, seed, 2));
  const Eigen::MatrixXd u = turn.leftCols(k + extra);
  const Eigen::MatrixXd v =
      (turn.leftCols(k) * angles.array().cos().matrix().asDiagonal() +
       turn.middleCols(k + extra, k) * angles.array().sin().matrix().asDiagonal()) *
      mix;
  return {u.cast<Scalar>(), v.cast<Scalar>()};
}

TEMPLATE_TEST_CASE("angles that were built in are found in either order", "[subspace][property]",
                   float, double) {
  const auto seed = GENERATE(range(1u, 5u));
  const Index extra = GENERATE(0, 3);
  Vector<double> angles(5);
  angles << 0, 0.01, 0.5, 1.2, 1.5707963267948966;
  const auto spans = spans_at<TestType>(angles, extra, seed);
  const Vector<double> found = principal_angles(spans.first, spans.second);
  REQUIRE(found.size() == 5);
  CHECK((found - angles).cwiseAbs().maxCoeff() < round_off<TestType>(20));
  const Vector<double> swapped = principal_angles(spans.second, spans.first);
  CHECK((swapped - angles).cwiseAbs().maxCoeff() < round_off<TestType>(20));
  const double overlap = angles.array().cos().square().mean();
  CHECK(std::abs(subspace_overlap(spans.first, spans.second) - overlap) < round_off<TestType>(20));
}

TEST_CASE("tiny angles keep their digits", "[subspace][property]") {
  Vector<double> angles(3);
  angles << 1e-12, 1e-9, 1e-6;
  const auto spans = spans_at<double>(angles, 2, 3);
  const Vector<double> found = principal_angles(spans.first, spans.second);
  CHECK((found - angles).cwiseAbs().maxCoeff() < round_off<double>(20));
}

TEST_CASE("an empty span has no angles and no overlap", "[subspace][property]") {
  const Matrix<double> u = Matrix<double>::Identity(6, 2);
  const Matrix<double> none(6, 0);
  CHECK(principal_angles(u, none).size() == 0);
  CHECK(principal_angles(none, u).size() == 0);
  CHECK(subspace_overlap(u, none) == 0.0);
  CHECK(subspace_overlap(u, u) == 1.0);
}

TEST_CASE("angles between other than two orthonormal bases are refused", "[subspace][error]") {
  const Matrix<double> u = Matrix<double>::Identity(6, 2);
  CHECK(message_of<ShapeError>([&] { (void)principal_angles(u, u.topRows(5)); }) ==
        "v are 5 x 2, expected 6 rows");
  CHECK(contains(message_of<ArgumentError>([&] { (void)subspace_overlap(3 * u, u); }),
                 "u is off by 8, expected orthonormal columns"));
}

}  // namespace
}  // namespace anyssr
