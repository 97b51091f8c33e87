// SPDX-License-Identifier: MIT
// select_ridge without candidates: features of any scale, far from zero, or of none.
#include "anyssr/rls/recursive_least_squares.hpp"
#include "support/catch.hpp"
#include "support/regression.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index cluster_count = 4;

/// Rows around one centre a task, with the unit vectors of their tasks.
template <class S>
Rows<S> clustered_rows(Index n, Index d, std::uint64_t sample, double noise = 0.3) {
  const Eigen::MatrixXd centres = random_normal<double>(cluster_count, d, 1);
  const Eigen::MatrixXd around = random_normal<double>(n, d, 2, sample);
  Eigen::MatrixXd x(n, d);
  Matrix<S> y = Matrix<S>::Zero(n, cluster_count);
  for (Index i = 0; i < n; ++i) {
    x.row(i) = centres.row(i % cluster_count) + noise * around.row(i);
    y(i, i % cluster_count) = 1;
  }
  return {x.cast<S>(), std::move(y)};
}

/// Column j times 10^(-8 .. 8).
template <class S>
void scale_columns(Matrix<S>& x) {
  for (Index j = 0; j < x.cols(); ++j) {
    const double power = -8 + 16 * static_cast<double>(j) / static_cast<double>(x.cols() - 1);
    x.col(j) *= static_cast<S>(std::pow(10, power));
  }
}

template <class Rls, class S>
double cluster_accuracy(const Rls& rls, const Rows<S>& rows) {
  const Matrix<S> scores = rls.predict(rows.x);
  double right = 0;
  for (Index i = 0; i < rows.size(); ++i) {
    Index best = 0;
    scores.row(i).maxCoeff(&best);
    right += rows.y(i, best) == S(1) ? 1 : 0;
  }
  return right / static_cast<double>(rows.size());
}

/// Whether no decade next to the chosen ridge has a smaller criterion, but for round-off.
void check_interior(const RidgeSelection& selection) {
  CHECK(selection.end == RidgeEnd::none);
  for (const RidgeCandidate& candidate : selection.candidates) {
    CHECK(candidate.ridge > 0);
    if (candidate.ridge != selection.ridge) continue;
    for (const RidgeCandidate& other : selection.candidates) {
      CHECK(candidate.gcv <= other.gcv * (1 + 2 * candidate.round_off));
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("the ridge of plain features is one of the eight decades around their energy",
                   "[rls]", float, double) {
  const RidgeScale scale = GENERATE(RidgeScale::relative, RidgeScale::absolute);
  const Rows<TestType> rows = clustered_rows<TestType>(200, 16, 3, 2);
  RecursiveLeastSquares<TestType> rls(16, {.ridge = 1, .ridge_scale = scale, .threads = 1});
  update(rls, rows);
  const RidgeSelection selection = rls.select_ridge();
  CHECK(selection.candidates.size() == 8);
  check_interior(selection);
  const double mean = rows.x.template cast<double>().squaredNorm() / 16;
  const double unit = scale == RidgeScale::absolute ? mean : 1;
  CHECK(std::abs(selection.candidates[0].ridge / unit - 1e-6) < 1e-11);
  CHECK(std::abs(selection.candidates[7].lambda / mean - 10) < 1e-4);
  std::vector<double> same;
  for (const RidgeCandidate& candidate : selection.candidates) same.push_back(candidate.ridge);
  CHECK(rls.select_ridge(same).ridge == selection.ridge);
}

TEMPLATE_TEST_CASE("columns of scales from 1e-8 to 1e8 are all used", "[rls][regression]", float,
                   double) {
  using S = TestType;
  Rows<S> rows = clustered_rows<S>(400, 16, 3);
  Rows<S> held_out = clustered_rows<S>(400, 16, 4);
  scale_columns(rows.x);
  scale_columns(held_out.x);
  RecursiveLeastSquares<S> rls(16, absolute(1));
  update(rls, rows);
  const double with_one = cluster_accuracy(rls, held_out);
  const RidgeSelection selection = rls.select_ridge();
  check_interior(selection);
  rls.set_ridge(selection.ridge);
  CHECK(cluster_accuracy(rls, held_out) >= with_one);
  CHECK(cluster_accuracy(rls, held_out) == 1);
}

TEST_CASE("an offset of a million does not mislead the choice in double", "[rls][regression]") {
  Rows<double> rows = clustered_rows<double>(400, 16, 3);
  Rows<double> held_out = clustered_rows<double>(400, 16, 4);
  rows.x.array() += 1e6;
  held_out.x.array() += 1e6;
  InformationDouble rls(16, absolute(1));
  update(rls, rows);
  const RidgeSelection selection = rls.select_ridge();
  CHECK(selection.ridge < 1e3);  // tr(S) / d is 4e14
  rls.set_ridge(selection.ridge);
  CHECK(cluster_accuracy(rls, held_out) == 1);
}

TEST_CASE("a ridge whose solve is made of round-off is refused", "[rls][regression]") {
  Rows<float> rows = clustered_rows<float>(400, 16, 3);
  rows.x.array() += 1e6F;
  InformationFloat rls(16, absolute(1));
  update(rls, rows);
  for (const RidgeCandidate& candidate : rls.select_ridge().candidates) {
    CAPTURE(candidate.lambda);
    if (candidate.lambda < 1e-6 * 4e14) CHECK(std::isinf(candidate.gcv));
    if (candidate.lambda > 1e-4 * 4e14) CHECK(std::isfinite(candidate.gcv));
  }
}

TEMPLATE_TEST_CASE("the search goes on beyond an end of its grid", "[rls]", float, double) {
  using S = TestType;
  Rows<S> noise{random_normal<S>(300, 10, 5), random_normal<S>(300, 2, 6)};
  RecursiveLeastSquares<S> rls(10, relative(1));
  update(rls, noise);
  const RidgeSelection high = rls.select_ridge();
  CHECK(high.candidates.size() > 8);
  CHECK(high.ridge > 10);
  // One direction with nearly all of the energy says nothing; the others say all without noise.
  Rows<S> exact{random_normal<S>(300, 10, 7), Matrix<S>()};
  exact.y = exact.x.rightCols(9) * random_normal<S>(9, 2, 8);
  exact.x.col(0) *= S(1000);
  RecursiveLeastSquares<S> sharp(10, relative(1));
  update(sharp, exact);
  const RidgeSelection low = sharp.select_ridge();
  CHECK(low.ridge < 1e-6);
  CHECK(low.end == (std::is_same_v<S, float> ? low.end : RidgeEnd::none));
}

TEMPLATE_TEST_CASE("an end of given candidates is told", "[rls]", float, double) {
  Rows<TestType> rows = random_rows<TestType>(120, 20, 2, 99);
  rows.y += 10 * random_normal<TestType>(120, 2, 99, 30);
  RecursiveLeastSquares<TestType> rls(20, absolute(1));
  update(rls, rows);
  const auto end = [&](std::vector<double> ridges) { return rls.select_ridge(ridges).end; };
  CHECK(end({1e-3, 1e-2}) == RidgeEnd::highest);
  CHECK(end({1e6, 1e5}) == RidgeEnd::lowest);
  CHECK(end({1e-3, 30, 1e6}) == RidgeEnd::none);
  CHECK(end({30}) == RidgeEnd::none);
}

TEMPLATE_TEST_CASE("features that are all zero leave all ridges alike and the largest is chosen",
                   "[rls][regression]", float, double) {
  const RidgeScale scale = GENERATE(RidgeScale::relative, RidgeScale::absolute);
  Rows<TestType> rows = clustered_rows<TestType>(100, 16, 3);
  rows.x.setZero();
  RecursiveLeastSquares<TestType> rls(16, {.ridge = 1, .ridge_scale = scale, .threads = 1});
  update(rls, rows);
  const RidgeSelection selection = rls.select_ridge();
  CHECK(selection.end == RidgeEnd::flat);
  CHECK(selection.ridge == 10);
  CHECK(selection.candidates.size() == 8);
}

TEMPLATE_TEST_CASE("constant features choose a ridge that float and double share",
                   "[rls][regression]", float, double) {
  Rows<TestType> rows = clustered_rows<TestType>(400, 16, 3);
  rows.x.setConstant(3);
  RecursiveLeastSquares<TestType> rls(16, relative(1));
  update(rls, rows);
  const RidgeSelection selection = rls.select_ridge();
  CHECK(selection.ridge >= 1e-6);
  CHECK(selection.ridge <= 10);
  rls.set_ridge(selection.ridge);
  CHECK(std::abs(static_cast<double>(rls.predict(rows.x)(0, 0)) - 0.25) < 1e-2);
}

TEMPLATE_TEST_CASE("a single task and a single row have a ridge", "[rls]", float, double) {
  RecursiveLeastSquares<TestType> rls(16, relative(1));
  const Rows<TestType> row = clustered_rows<TestType>(1, 16, 3);
  rls.update(row.x, Matrix<TestType>(row.y.leftCols(1)));
  const RidgeSelection selection = rls.select_ridge();
  CHECK(selection.ridge > 0);
  rls.set_ridge(selection.ridge);
  CHECK(rls.weights().allFinite());
}

TEST_CASE("the covariance form searches its sums as the information form does", "[rls]") {
  const Rows<double> rows = clustered_rows<double>(200, 16, 3);
  CovarianceDouble stream(16, absolute(1e3, true));
  InformationDouble sums(16, absolute(1));
  CHECK(message_of<ArgumentError>([&] { (void)stream.select_ridge(); }) ==
        "no rows are learned yet, expected some to select a ridge by");
  feed(stream, rows, 7);
  update(sums, rows);
  CHECK(std::abs(stream.select_ridge().ridge / sums.select_ridge().ridge - 1) < 1e-12);
  CovarianceDouble without(16, absolute(1));
  CHECK(contains(message_of<ArgumentError>([&] { (void)without.select_ridge(); }),
                 "select_ridge needs the sums"));
}
