// SPDX-License-Identifier: MIT
#include "anyssr/rls/information_form.hpp"

#include "support/catch.hpp"
#include "support/regression.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("every reader sees the rows that wait in the buffer", "[rls][property]", float,
                   double) {
  using S = TestType;
  using Rls = RecursiveLeastSquares<S>;
  const bool scaled = GENERATE(false, true);
  const Index first = GENERATE(0, 260);  // learned and factored before the others come
  CAPTURE(scaled, first);
  const auto rows = random_rows<S>(first + 11, 24, 3, 40);
  Rls waiting(24, scaled ? relative(0.01) : absolute(0.5));
  if (first > 0) {
    update(waiting, rows.middle(0, first));
    waiting.factor();
    (void)waiting.weights();
  }
  feed(waiting, rows.middle(first, 11), 4);

  const Eigen::MatrixXd x = rows.x.template cast<double>();
  const Eigen::MatrixXd y = rows.y.template cast<double>();
  const double lambda = scaled ? 0.01 * x.squaredNorm() / 24 : 0.5;
  const Eigen::MatrixXd joint = rows.joint(lambda);
  const double most = tolerance<Rls>(rows, lambda);
  CHECK(relative_error(Rls(waiting).weights(), joint) < most);
  CHECK(relative_error(Rls(waiting).predict(rows.x), x * joint) < most);
  CHECK(std::abs(Rls(waiting).ridge() - lambda) < round_off<S>(50) * lambda);
  CHECK(relative_error(Rls(waiting).second_moment(), x.transpose() * x) < round_off<S>(50));
  CHECK(relative_error(Rls(waiting).cross_correlation(), x.transpose() * y) < round_off<S>(50));

  Eigen::MatrixXd gram = x.transpose() * x;
  gram.diagonal().array() += lambda;
  const Eigen::MatrixXd inverse = inverse_of(gram);
  CHECK(relative_error(Rls(waiting).leverage(rows.x), (x * inverse * x.transpose()).diagonal()) <
        most);
  Matrix<S> lower = Matrix<S>::Constant(24, 24, S(7));
  Rls(waiting).write_inverse_gram(lower);
  Matrix<S> expected = inverse.cast<S>();
  expected.template triangularView<Eigen::StrictlyUpper>().setConstant(S(7));
  CHECK(relative_error(lower, expected) < most);

  Rls merged(24, waiting.options());
  merged.merge(waiting);
  CHECK(relative_error(merged.weights(), joint) < most);
  Rls other = waiting;
  other.merge(Rls(24));
  CHECK(relative_error(other.weights(), joint) < most);
  const std::vector<double> ridges{0.5};
  Rls quiet(24, waiting.options());
  quiet.update(rows.x, rows.y);
  CHECK(std::abs(Rls(waiting).select_ridge(ridges).candidates[0].degrees_of_freedom -
                 quiet.select_ridge(ridges).candidates[0].degrees_of_freedom) <
        24 * round_off<S>(1e3));

  Rls less = waiting;
  const Rows<S> last = rows.middle(first + 6, 5);
  less.downdate(last.x, last.y);
  const Rows<S> left = rows.middle(0, rows.size() - 5);
  const double less_lambda =
      scaled ? 0.01 * left.x.template cast<double>().squaredNorm() / 24 : 0.5;
  CHECK(relative_error(less.weights(), left.joint(less_lambda)) <
        4 * tolerance<RecursiveLeastSquares<S, Covariance>>(rows, less_lambda));
}

TEMPLATE_TEST_CASE("few rows after a factorisation give the joint fit however often they come",
                   "[rls][property]", float, double) {
  using S = TestType;
  using Rls = RecursiveLeastSquares<S>;
  const bool scaled = GENERATE(false, true);  // a relative ridge refactors each time
  const Index few = GENERATE(1, 9, 20);       // d / 8 at most
  CAPTURE(scaled, few);
  const Index d = 160;
  const Index first = 90;                         // singular without the ridge
  const Index rounds = few == 1 ? 5 : 120 / few;  // beyond d / 2 new rows
  const auto rows = random_rows<S>(first + rounds * few, d, 2, 41);
  Rls rls(d, scaled ? relative(0.02) : absolute(2));
  feed(rls, rows.middle(0, first), first);
  for (Index n = first; n <= rows.size(); n += few) {
    rls.factor();
    rls.factor();  // nothing new: nothing to do
    if (n == first || n + few > rows.size() || n / few % 4 == 0) {
      const Rows<S> now = rows.middle(0, n);
      const double lambda = scaled ? 0.02 * now.scaled(now.x).squaredNorm() / d : 2;
      CHECK(relative_error(rls.weights(), now.joint(lambda)) < 2 * tolerance<Rls>(now, lambda));
    }
    if (n < rows.size()) update(rls, rows.middle(n, few));
  }
}

TEST_CASE("a factor update bears features that are almost zero", "[rls][regression]") {
  const float tiny = GENERATE(1e-15F, 1e-19F, 1e-20F, 1e-22F);
  Rows<float> rows = random_rows<float>(64, 40, 2, 42);
  rows.x.bottomRows(4).leftCols(20) *= tiny;
  InformationFloat rls(40, absolute(0.5));
  feed(rls, rows.middle(0, 60), 60);
  rls.factor();
  update(rls, rows.middle(60, 4));
  CHECK(relative_error(rls.weights(), rows.joint(0.5)) < tolerance<InformationFloat>(rows, 0.5));
}

TEST_CASE("a relative ridge is a share of the mean diagonal of the second moment", "[rls]") {
  const auto rows = random_rows<double>(40, 10, 2, 15);
  InformationDouble rls(10, relative(0.01));
  CHECK(rls.ridge() == 0.01);  // nothing seen: stands for itself
  update(rls, rows);
  const double lambda = 0.01 * rows.x.squaredNorm() / 10;
  CHECK(std::abs(rls.ridge() - lambda) < 1e-12 * lambda);
  CHECK(relative_error(rls.weights(), rows.joint(lambda)) < 1e-9);
  InformationDouble zeros(10, relative(0.01));
  zeros.update(Eigen::MatrixXd::Zero(3, 10), Eigen::MatrixXd::Ones(3, 1));
  CHECK(zeros.ridge() == 0.01);
  CHECK(zeros.weights().isZero(0));
}

TEST_CASE("many block columns still give the joint fit", "[rls]") {
  const auto rows = random_rows<double>(500, 421, 2, 17);  // 421 = 3 tiles of 128 and a rest
  InformationDouble rls(421, absolute(0.5));
  update(rls, rows);
  const Eigen::MatrixXd& x = rows.x;
  const Eigen::MatrixXd gram = x.transpose() * x + 0.5 * Eigen::MatrixXd::Identity(421, 421);
  CHECK(relative_error(rls.weights(), solution_of(gram, x.transpose() * rows.y)) < 1e-9);
}

TEST_CASE("asking twice changes no bit and asking between batches only round-off", "[rls]") {
  const auto rows = random_rows<double>(60, 10, 2, 18);
  InformationDouble asked(10, absolute(0.5));
  InformationDouble quiet(10, absolute(0.5));
  for (Index i = 0; i < 60; i += 20) {
    update(asked, rows.middle(i, 20));
    update(quiet, rows.middle(i, 20));
    const Eigen::MatrixXd first = asked.weights();
    CHECK((asked.weights() == first));
  }
  CHECK(relative_error(asked.weights(), quiet.weights()) < round_off<double>(1e3));
  CHECK(asked.bytes() >= sizeof(double) * (100 + 2 * 20));
}

TEST_CASE("a regression without rows or without targets has empty answers", "[rls]") {
  InformationDouble rls(3, absolute(0.5));
  CHECK(rls.weights().cols() == 0);
  CHECK(rls.predict(Eigen::MatrixXd::Ones(2, 3)).cols() == 0);
  const Eigen::VectorXd leverage = rls.leverage(Eigen::MatrixXd::Ones(2, 3));
  CHECK(relative_error(leverage, Eigen::VectorXd::Constant(2, 6.0)) < 1e-15);
  rls.update(Eigen::MatrixXd::Ones(2, 3), Eigen::MatrixXd(2, 0));
  CHECK(rls.rows() == 2);
  CHECK(rls.targets() == 0);
  CHECK(rls.second_moment() == Eigen::MatrixXd::Constant(3, 3, 2.0));
}

TEST_CASE("a ridge too small for float is reported and a larger one helps", "[rls][error]") {
  const Matrix<float> x = 100.0F * random_normal<float>(3, 60, 20);
  InformationFloat rls(60, absolute(1e-30));
  rls.update(x, Matrix<float>::Ones(3, 1));
  CHECK(message_of<NumericalError>([&] { (void)rls.weights(); }) ==
        "the Gram matrix is not positive definite at ridge 1e-30 in float: raise the ridge or use "
        "double");
  CHECK(contains(message_of<NumericalError>([&] { (void)rls.leverage(x); }), "raise the ridge"));
  rls.set_ridge(1000);
  CHECK(relative_error(rls.weights(), joint_fit(x, Matrix<float>::Ones(3, 1), 1000.0)) < 1e-2);
}

TEST_CASE("a sum that grows out of the range of float is refused in time", "[rls][error]") {
  InformationFloat rls(2, absolute(1));
  Matrix<float> x(1, 2);
  x << 4e18F, 1.0F;
  const Matrix<float> y = Matrix<float>::Ones(1, 1);
  std::string message = "nothing was thrown";
  Index learned = 0;
  while (learned < 10 && message == "nothing was thrown") {
    message = message_of<NonFiniteError>([&] { rls.update(x, y); });
    if (message == "nothing was thrown") ++learned;
  }
  CHECK(learned == 5);  // 5 * 1.6e37 is below a quarter of the largest float
  CHECK(contains(message, "so large that their sums overflow"));
  CHECK(rls.rows() == 5);
  CHECK(rls.second_moment().allFinite());
}
