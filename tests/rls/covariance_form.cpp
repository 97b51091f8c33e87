// SPDX-License-Identifier: MIT
#include "anyssr/rls/covariance_form.hpp"

#include "support/catch.hpp"
#include "support/regression.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// A stream whose R float cannot hold: learns single rows until one is refused.
/// @return the row that was refused
Rows<float> break_by_round_off(CovarianceFloat& rls) {
  Rows<float> rows = random_rows<float>(200, rls.dim(), 2, 110);
  for (Index j = 0; j < rls.dim(); ++j) {
    rows.x.col(j) *= std::pow(10.0F, -static_cast<float>(j) / 4);
  }
  for (Index i = 0; i < rows.size(); ++i) {
    try {
      update(rls, rows.middle(i, 1));
    } catch (const NumericalError&) {
      return rows.middle(i, 1);
    }
  }
  FAIL("no row was refused");
  return rows;
}

}  // namespace

TEMPLATE_TEST_CASE("weights and leverages are current after every row", "[rls][property]", float,
                   double) {
  using S = TestType;
  using Rls = RecursiveLeastSquares<S, Covariance>;
  const auto rows = random_rows<S>(150, 7, 2, 111);  // past two folds of 64 rows
  Rls rls(7, absolute(0.5));
  for (Index i = 0; i < rows.size(); ++i) {
    update(rls, rows.middle(i, 1));
    if (i % 9 != 0 && i != 63 && i != 64) continue;
    CAPTURE(i);
    const Rows<S> now = rows.middle(0, i + 1);
    const double most = tolerance<Rls>(now, 0.5);
    CHECK(relative_error(rls.weights(), now.joint(0.5)) < most);
    const Eigen::MatrixXd x = rows.x.template cast<double>();
    Eigen::MatrixXd gram = x.topRows(i + 1).transpose() * x.topRows(i + 1);
    gram.diagonal().array() += 0.5;
    const Eigen::MatrixXd inverse = inverse_of(gram);
    CHECK(relative_error(rls.inverse_gram(), inverse) < most);
    CHECK(relative_error(rls.leverage(rows.x), (x * inverse * x.transpose()).diagonal()) < most);
    CHECK((rls.inverse_gram() == rls.inverse_gram().transpose()));
  }
}

TEMPLATE_TEST_CASE("a fresh regression is the prior", "[rls]", float, double) {
  using S = TestType;
  RecursiveLeastSquares<S, Covariance> rls(3, absolute(0.25));
  CHECK((rls.inverse_gram() == S(4) * Matrix<S>::Identity(3, 3)));
  CHECK(rls.weights().cols() == 0);
  CHECK(rls.status() == RlsStatus::accurate);
  CHECK(std::abs(rls.condition() - 1) < 1e-5);
  CHECK(rls.ridge() == 0.25);
  CHECK((rls.leverage(Matrix<S>::Ones(2, 3)).array() == S(12)).all());
  CHECK(rls.bytes() >= 9 * sizeof(S));
}

TEMPLATE_TEST_CASE("condition lies between the condition number and d times it", "[rls][property]",
                   float, double) {
  using S = TestType;
  const unsigned seed = GENERATE(range(120U, 130U));
  const double ridge = GENERATE(1e-2, 1.0, 1e2);
  CAPTURE(seed, ridge);
  const Index d = 2 + seed % 5 * 7;
  const auto rows = random_rows<S>(1 + seed % 3 * 60, d, 1, seed);
  RecursiveLeastSquares<S, Covariance> rls(d, absolute(ridge));
  feed(rls, rows, 30);
  const double condition = rows.condition(ridge);
  // 20 steps of the power iteration may fall short by some percent.
  CHECK(rls.condition() > 0.9 * condition);
  CHECK(rls.condition() < (1 + 1e-2) * static_cast<double>(d) * condition);
}

TEST_CASE("status is accurate only where the weights are", "[rls][property]") {
  const unsigned seed = GENERATE(range(160U, 164U));
  const double scale = GENERATE(1.0, 30.0);
  const double ridge = GENERATE(10.0, 0.1, 1e-3);
  const Index size = GENERATE(1, 50);
  const Index d = 4 + 12 * (seed % 4);
  CAPTURE(seed, scale, ridge, size);
  Rows<float> rows = random_rows<float>(8 * d, d, 3, seed);
  rows.x *= static_cast<float>(scale);
  if (seed % 2 == 0) rows.x.array() += static_cast<float>(scale);  // one long direction
  rows.y.col(2).head(4 * d).setZero();                             // as a task that comes late
  CovarianceFloat rls(d, absolute(ridge));
  try {
    feed(rls, rows, size);
  } catch (const NumericalError&) {
    return;
  }
  for (Index j = 0; j < 3; ++j) {
    const double error = relative_error(rls.weights().col(j), rows.joint(ridge).col(j));
    CHECK((error < 2e-2 || rls.status() != RlsStatus::accurate));
    CHECK((error > 2e-5 || rls.status() == RlsStatus::accurate));
    CHECK(error < 10 * rls.measured_error());
  }
}

TEST_CASE("status is broken where R is", "[rls]") {
  CovarianceFloat rls(30, absolute(1e-12));
  CHECK(rls.status() == RlsStatus::accurate);
  break_by_round_off(rls);
  CHECK(rls.status() == RlsStatus::broken);
}

TEST_CASE("the probes follow a change of the ridge and a merge and a downdate", "[rls]") {
  const auto rows = random_rows<double>(90, 12, 2, 170);
  CovarianceDouble rls(12, absolute(0.5, true));
  CovarianceDouble other(12, absolute(3, true));
  feed(rls, rows.middle(0, 40), 7);
  feed(other, rows.middle(40, 50), 7);
  rls.set_ridge(2);
  CHECK(rls.measured_error() < 1e-12);
  rls.merge(other);
  CHECK(rls.measured_error() < 1e-12);
  rls.downdate(Eigen::MatrixXd(rows.x.topRows(20)), Eigen::MatrixXd(rows.y.topRows(20)));
  CHECK(rls.measured_error() < 1e-11);
  rls.rebuild();
  CHECK(rls.measured_error() < 1e-12);
}

TEST_CASE("rows that R cannot take are refused and change nothing", "[rls][error]") {
  const bool keep_sums = GENERATE(false, true);
  CovarianceFloat rls(30, absolute(1e-12, keep_sums));
  const Rows<float> row = break_by_round_off(rls);
  const State<float> before(rls);
  CHECK(message_of<NumericalError>([&] { update(rls, row); }) ==
        "the inverse Gram matrix has lost its definiteness to round-off in float; nothing was "
        "learned: rebuild() from the sums, raise the ridge, or use the information form");
  CHECK((State<float>(rls) == before));
  const Matrix<float> wide = Matrix<float>::Ones(1, 5);  // nor are targets added
  CHECK_THROWS_AS(rls.update(row.x, wide), NumericalError);
  CHECK((State<float>(rls) == before));
  CHECK(rls.targets() == 2);
  CHECK(rls.weights().allFinite());
}

TEST_CASE("a batch of many steps is learned whole or not at all", "[rls][error]") {
  const bool keep_sums = GENERATE(false, true);
  Rows<float> rows = random_rows<float>(600, 6, 2, 131);
  rows.x.bottomRows(80) *= 1e7F;  // the third step of 256 rows fails
  CovarianceFloat rls(6, absolute(1e-2, keep_sums));
  const Rows<float> first = random_rows<float>(10, 6, 1, 132);
  update(rls, first);
  const State<float> before(rls);
  CHECK_THROWS_AS(update(rls, rows), NumericalError);
  CHECK((State<float>(rls) == before));
  const Rows<float> good = rows.middle(0, 520);
  update(rls, good);
  Rows<float> both{Matrix<float>(530, 6), Matrix<float>::Zero(530, 2)};
  both.x << first.x, good.x;
  both.y.col(0).head(10) = first.y;
  both.y.bottomRows(520) = good.y;
  CHECK(relative_error(rls.weights(), both.joint(1e-2)) < tolerance<CovarianceFloat>(both, 1e-2));
}

TEST_CASE("rebuild restores accuracy from the sums", "[rls]") {
  Rows<float> rows = random_rows<float>(305, 64, 3, 133);
  rows.x *= 30.0F;
  CovarianceFloat rls(64, absolute(0.1, true));  // R begins at 1e6 times its last size
  feed(rls, rows.middle(0, 300), 1);
  const Eigen::MatrixXd joint = rows.middle(0, 300).joint(0.1);
  const double error = relative_error(rls.weights(), joint);
  CHECK(error > 1e-4);
  rls.rebuild();
  CHECK(relative_error(rls.weights(), joint) < error / 20);
  CHECK(rls.status() == RlsStatus::accurate);
  const Eigen::MatrixXd x = rows.x.topRows(300).cast<double>();
  const Eigen::MatrixXd gram = x.transpose() * x + 0.1 * Eigen::MatrixXd::Identity(64, 64);
  CHECK(relative_error(rls.inverse_gram(), inverse_of(gram)) < 1e-5);
  update(rls, rows.middle(300, 5));  // and it learns on
  CHECK(relative_error(rls.weights(), rows.joint(0.1)) < 1e-5);
}

TEST_CASE("rebuild that round-off forbids is refused and changes nothing", "[rls][error]") {
  CovarianceFloat rls(30, absolute(1e-12, true));
  // S is 1e4 everywhere: beside it the ridge is nothing, and the second pivot is exactly 0.
  rls.update(Matrix<float>::Constant(1, 30, 100.0F), Matrix<float>::Ones(1, 2));
  const Matrix<float> inverse = rls.inverse_gram();
  const Matrix<float> weights = rls.weights();
  const auto unchanged = [&] {
    return rls.inverse_gram() == inverse && rls.weights() == weights && rls.ridge() == 1e-12 &&
           rls.sums().ridge() == 1e-12;
  };
  CHECK(contains(message_of<NumericalError>([&] { rls.rebuild(); }), "not positive definite"));
  CHECK(unchanged());
  CHECK(contains(message_of<NumericalError>([&] { rls.set_ridge(1e-11); }), "positive definite"));
  CHECK(unchanged());
  CHECK(contains(message_of<NumericalError>([&] { rls.merge(rls); }), "not positive definite"));
  CHECK(unchanged());
  CHECK(rls.rows() == 1);
  rls.set_ridge(10);  // a larger one heals it
  CHECK(relative_error(rls.weights(), rls.sums().weights()) < 1e-5);
}

TEMPLATE_TEST_CASE("a ridge set late is as good as one from the start where sums are kept",
                   "[rls][property]", float, double) {
  using S = TestType;
  const double ridge = GENERATE(0.1, 40.0);
  const auto rows = random_rows<S>(120, 12, 2, 135);
  RecursiveLeastSquares<S, Covariance> rls(12, absolute(2, true));
  feed(rls, rows.middle(0, 70), 9);
  rls.set_ridge(ridge);
  CHECK(rls.ridge() == ridge);
  CHECK(rls.options().ridge == ridge);
  feed(rls, rows.middle(70, 50), 9);
  CHECK(relative_error(rls.weights(), rows.joint(ridge)) < round_off<S>(5e3));
  CHECK(contains(message_of<ArgumentError>([&] { rls.set_ridge(-1); }), "ridge is -1"));
  CHECK(rls.ridge() == ridge);
}

TEMPLATE_TEST_CASE("two regressions that keep their sums merge into one of all rows",
                   "[rls][property]", float, double) {
  using S = TestType;
  using Rls = RecursiveLeastSquares<S, Covariance>;
  const unsigned seed = GENERATE(range(140U, 144U));
  const Rows<S> rows = random_shape<S>(300, seed);
  const Index cut = rows.size() / 3;
  Rls left(rows.x.cols(), absolute(0.5, true));
  Rls right(rows.x.cols(), absolute(0.5, true));
  feed(left, rows.middle(0, cut), 20);
  feed(right, rows.middle(cut, rows.size() - cut), 300);
  const State<S> right_before(right);
  left.merge(right);
  CHECK((State<S>(right) == right_before));
  CHECK(left.rows() == rows.size());
  CHECK(relative_error(left.weights(), rows.joint(0.5)) < tolerance<Rls>(rows, 0.5));
  const Eigen::VectorXd energy = rows.scaled(rows.y).colwise().squaredNorm();
  CHECK(relative_error(left.target_energy(), energy) < round_off<S>(100));
  const std::vector<double> ridges{0.5, 50.0};
  Rls together(rows.x.cols(), absolute(0.5, true));
  feed(together, rows, 1000);
  CHECK(left.select_ridge(ridges).ridge == together.select_ridge(ridges).ridge);
  const State<S> before(left);
  CHECK(message_of<ShapeError>([&] { left.merge(Rls(rows.x.cols() + 1, absolute(0.5, true))); }) ==
        detail::concat("the regression to merge has dim ", rows.x.cols() + 1, ", expected ",
                       rows.x.cols()));
  CHECK(contains(message_of<ArgumentError>([&] { left.merge(Rls(rows.x.cols(), absolute(1))); }),
                 "merge needs the sums"));
  CHECK((State<S>(left) == before));
}

TEST_CASE("what needs the sums is refused without them and changes nothing", "[rls][error]") {
  CovarianceDouble rls(6, absolute(0.5));
  update(rls, random_rows<double>(30, 6, 2, 150));
  CovarianceDouble keeps(6, absolute(0.5, true));
  const State<double> before(rls);
  const std::vector<double> ridges{0.5};
  const std::string rest =
      " needs the sums S and C, which this covariance form does not hold: build it with keep_sums, "
      "or use the information form";
  CHECK(message_of<ArgumentError>([&] { rls.merge(keeps); }) == "merge" + rest);
  CHECK(message_of<ArgumentError>([&] { rls.set_ridge(2); }) == "set_ridge" + rest);
  CHECK(message_of<ArgumentError>([&] { (void)rls.select_ridge(ridges); }) ==
        "select_ridge" + rest);
  CHECK(message_of<ArgumentError>([&] { rls.rebuild(); }) == "rebuild" + rest);
  CHECK(message_of<ArgumentError>([&] { (void)rls.sums(); }) == "sums" + rest);
  CHECK((State<double>(rls) == before));
}

TEST_CASE("a relative ridge is refused by the covariance form", "[rls][error]") {
  CHECK(message_of<ArgumentError>([] { CovarianceDouble(3, relative(0.1)); }) ==
        "ridge_scale is relative, expected absolute: the covariance form fixes lambda before the "
        "first row comes");
}

TEMPLATE_TEST_CASE("rows that would leave no Gram matrix are not taken out without sums",
                   "[rls][error]", float, double) {
  using S = TestType;
  RecursiveLeastSquares<S, Covariance> rls(6, absolute(0.5));
  const auto rows = random_rows<S>(30, 6, 2, 151);
  update(rls, rows);
  const State<S> before(rls);
  const Matrix<S> x = S(30) * rows.x.topRows(1);
  CHECK(message_of<ArgumentError>([&] { rls.downdate(x, Matrix<S>(rows.y.topRows(1))); }) ==
        "the rows to remove were never learned: without them the Gram matrix would not be positive "
        "definite; nothing was removed");
  CHECK((State<S>(rls) == before));
}
