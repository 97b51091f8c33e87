// SPDX-License-Identifier: MIT
#include "anyssr/subspace/feature_shift.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "anyssr/rls/recursive_least_squares.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index shift_dim = 12;

template <class S>
Matrix<S> far_rows(Index n, double offset, std::uint64_t sample = 3) {
  const Eigen::MatrixXd x = random_normal<double>(n, shift_dim, 2, sample);
  return (x.array() + offset).matrix().cast<S>();
}

template <class S>
Matrix<S> labels(Index n) {
  Matrix<S> y = Matrix<S>::Zero(n, 3);
  for (Index i = 0; i < n; ++i) y(i, i % 3) = 1;
  return y;
}

/// The ridge regression with an intercept that costs nothing, the slow way in double: its scores.
Eigen::MatrixXd centred_scores(const Eigen::MatrixXd& x, const Eigen::MatrixXd& y, double ridge,
                               const Eigen::MatrixXd& queries) {
  const Eigen::RowVectorXd mean = x.colwise().mean();
  const Eigen::RowVectorXd mean_target = y.colwise().mean();
  const Eigen::MatrixXd weights =
      joint_fit((x.rowwise() - mean).eval(), (y.rowwise() - mean_target).eval(), ridge);
  return ((queries.rowwise() - mean) * weights).rowwise() + mean_target;
}

RlsOptions absolute_ridge(double ridge) {
  return {.ridge = ridge, .ridge_scale = RidgeScale::absolute, .threads = 1};
}

}  // namespace

TEMPLATE_TEST_CASE("features near zero pass as they are", "[subspace]", float, double) {
  using S = TestType;
  const Matrix<S> x = far_rows<S>(100, GENERATE(0.0, 5.0, 60.0));
  const auto shift = FeatureShift<S>::fitted(x);
  CHECK(shift.is_none());
  CHECK(shift.moved_columns() == 0);
  CHECK(shift.out_dim() == shift_dim);
  CHECK((shift.apply(x) == RowMajorMatrix<S>(x)));
  CHECK(FeatureShift<S>::fitted(far_rows<S>(7, 1e6)).is_none());  // too few to know a spread
  CHECK(FeatureShift<S>::fitted(Matrix<S>(Matrix<S>::Zero(50, 4))).is_none());
  CHECK(FeatureShift<S>::fitted(to_sparse(x)).is_none() == shift.is_none());
}

TEMPLATE_TEST_CASE("only columns far from zero move and to the digit", "[subspace]", float,
                   double) {
  using S = TestType;
  Matrix<S> x = far_rows<S>(300, 0);
  x.col(2).array() += S(1e6);
  x.col(5).array() -= S(4096);
  x.col(7).setOnes();
  const auto shift = FeatureShift<S>::fitted(x);
  CHECK(shift.moved_columns() == 2);
  CHECK(std::abs(static_cast<double>(shift.shift()(2)) - 1e6) <= 2);
  CHECK(shift.shift()(7) == 0);
  CHECK(shift.constant() >= 8);
  CHECK(shift.constant() <= 32);
  const RowMajorMatrix<S> moved = shift.apply(x);
  CHECK(moved.cols() == shift_dim + 1);
  for (Index i = 0; i < x.rows(); ++i) {
    const double exact = static_cast<double>(x(i, 2)) - static_cast<double>(shift.shift()(2));
    CHECK(static_cast<double>(moved(i, 2)) == exact);
  }
  CHECK((moved.col(shift_dim).array() == shift.constant()).all());
  CHECK(shift.without_constant().apply(x).cols() == shift_dim);
  CHECK((shift.apply(to_sparse(x)) == moved));
  const FeatureShift<S> stored(shift.shift(), shift.constant());
  CHECK((stored.apply(x) == moved));
}

TEMPLATE_TEST_CASE("behind a shift learning in sequence equals the joint fit with an intercept",
                   "[subspace][property]", float, double) {
  using S = TestType;
  const double offset = GENERATE(0.0, 1e4, 1e6);
  const bool by_columns = GENERATE(false, true);
  const bool sparse = GENERATE(false, true);
  CAPTURE(offset, by_columns, sparse);
  const Matrix<S> x = far_rows<S>(240, offset);
  const Matrix<S> y = labels<S>(240);
  auto shift = FeatureShift<S>::fitted(Matrix<S>(x.topRows(40)));
  if (shift.is_none()) shift = FeatureShift<S>(RowVector<S>::Zero(shift_dim), 16);
  RecursiveLeastSquares<S> forward(shift.out_dim(), absolute_ridge(2));
  RecursiveLeastSquares<S> backward(shift.out_dim(), absolute_ridge(2));
  const auto learn = [&](RecursiveLeastSquares<S>& rls, Index begin, Index count) {
    const Matrix<S> rows = x.middleRows(begin, count);
    const Matrix<S> targets = y.middleRows(begin, count);
    const RowMajorMatrix<S> moved = sparse ? shift.apply(to_sparse(rows)) : shift.apply(rows);
    if (by_columns) {
      rls.update(Matrix<S>(moved), targets);
    } else {
      rls.update(moved, targets);
    }
  };
  for (Index begin = 0; begin < 240; begin += 30) learn(forward, begin, 30);
  for (Index begin = 240; begin > 0; begin -= 48) learn(backward, begin - 48, 48);
  const Matrix<S> queries = far_rows<S>(60, offset, 4);
  const Eigen::MatrixXd expected = centred_scores(
      x.template cast<double>(), y.template cast<double>(), 2, queries.template cast<double>());
  // The intercept weighs lambda / (n c^2), below 2 / (240 64).
  CHECK(relative_error(forward.predict(shift.apply(queries)), expected) < 2e-3);
  const Eigen::MatrixXd joint = joint_fit(shift.apply(x), y, 2);
  CHECK(relative_error(forward.weights(), joint) < round_off<S>(1e4));
  CHECK(relative_error(backward.weights(), forward.weights()) < round_off<S>(1e3));
}

TEMPLATE_TEST_CASE("another shift gives the same scores", "[subspace][property]", float, double) {
  using S = TestType;
  const Matrix<S> x = far_rows<S>(240, 1e6);
  const Matrix<S> queries = far_rows<S>(60, 1e6, 4);
  const auto scores = [&](const FeatureShift<S>& shift) {
    RecursiveLeastSquares<S> rls(shift.out_dim(), absolute_ridge(2));
    rls.update(shift.apply(x), labels<S>(240));
    return Matrix<S>(rls.predict(shift.apply(queries)));
  };
  const auto first = FeatureShift<S>::fitted(Matrix<S>(x.topRows(40)));
  const FeatureShift<S> other(first.shift() + random_normal<S>(1, shift_dim, 9), first.constant());
  CHECK(relative_error(scores(other), scores(first)) < 2e-3);
  const auto last = FeatureShift<S>::fitted(Matrix<S>(x.bottomRows(40)));
  CHECK(relative_error(scores(last), scores(first)) < 2e-3);
}

TEMPLATE_TEST_CASE("rows behind a shift are taken out and merged as others are",
                   "[subspace][property]", float, double) {
  using S = TestType;
  const Matrix<S> x = far_rows<S>(240, 1e6);
  const Matrix<S> y = labels<S>(240);
  const auto shift = FeatureShift<S>::fitted(Matrix<S>(x.topRows(40)));
  const RowMajorMatrix<S> moved = shift.apply(x);
  const RowMajorMatrix<S> top = moved.topRows(100);
  const RowMajorMatrix<S> bottom = moved.bottomRows(140);
  RecursiveLeastSquares<S> whole(shift.out_dim(), absolute_ridge(2));
  RecursiveLeastSquares<S> part(shift.out_dim(), absolute_ridge(2));
  RecursiveLeastSquares<S> rest(shift.out_dim(), absolute_ridge(2));
  whole.update(moved, y);
  part.update(top, Matrix<S>(y.topRows(100)));
  rest.update(bottom, Matrix<S>(y.bottomRows(140)));
  RecursiveLeastSquares<S> merged = part;
  merged.merge(rest);
  CHECK(relative_error(merged.weights(), whole.weights()) < round_off<S>(1e3));
  whole.downdate(top, Matrix<S>(y.topRows(100)));
  CHECK(relative_error(whole.weights(), rest.weights()) < round_off<S>(1e4));
}

TEST_CASE("a shift that is no number is refused", "[subspace][error]") {
  CHECK(message_of<ShapeError>([] { FeatureShift<double>(RowVector<double>()); }) ==
        "shift has 0 entries, expected one per column");
  RowVector<double> shift = RowVector<double>::Zero(3);
  CHECK(contains(message_of<NonFiniteError>(
                     [&] { FeatureShift<double>(shift, std::numeric_limits<double>::infinity()); }),
                 "constant is inf, expected a finite number"));
  const FeatureShift<double> moved(shift, 1);
  CHECK(message_of<ShapeError>([&] { (void)moved.apply(Matrix<double>(2, 4)); }) ==
        "features are 2 x 4, expected n x 3");
  CHECK(contains(
      message_of<ShapeError>([] { (void)FeatureShift<double>::fitted(Matrix<double>(0, 4)); }),
      "rows are 0 x 4, expected at least one row"));
  Matrix<double> bad = Matrix<double>::Zero(9, 2);
  bad(3, 1) = std::nan("");
  CHECK(contains(message_of<NonFiniteError>([&] { (void)FeatureShift<double>::fitted(bad); }),
                 "rows"));
  for (const double limit : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const Matrix<double> rows = Matrix<double>::Zero(9, 2);
    CHECK(contains(
        message_of<ArgumentError>([&] { (void)FeatureShift<double>::fitted(rows, limit); }),
        "limit is "));
  }
}

TEST_CASE("features too small to square pass or move by finite numbers", "[subspace]") {
  for (const double size : {5e-324, 1e-320, 1e-310, 1e-300, 1e-200}) {
    CAPTURE(size);
    const auto shift =
        FeatureShift<double>::fitted(Matrix<double>(Matrix<double>::Constant(9, 2, size)));
    CHECK(detail::is_finite(shift.shift()));
    CHECK(std::abs(shift.shift()(0)) <= 2 * size);
  }
}
