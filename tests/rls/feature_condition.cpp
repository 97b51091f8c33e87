// SPDX-License-Identifier: MIT
#include "anyssr/rls/feature_condition.hpp"

#include "support/catch.hpp"
#include "support/regression.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Rows of four tasks with the unit vectors of their tasks, as a regression with this ridge sees
/// them.
template <class S>
FeatureCondition condition_of(const Matrix<S>& x, const RlsOptions& options,
                              std::vector<double> weights = {}) {
  Matrix<S> y = Matrix<S>::Zero(x.rows(), 4);
  for (Index i = 0; i < x.rows(); ++i) y(i, i % 4) = 1;
  RecursiveLeastSquares<S> rls(x.cols(), options);
  update(rls, Rows<S>{x, y, std::move(weights)});
  const std::vector<Index> columns{0, 1, 2, 3};
  return feature_condition<S>(rls, columns);
}

template <class S>
Matrix<S> plain_features() {
  return random_normal<S>(400, 16, 1);
}

}  // namespace

TEMPLATE_TEST_CASE("plain features are sound", "[rls]", float, double) {
  using S = TestType;
  Matrix<S> x = plain_features<S>();
  CHECK(condition_of<S>(x, relative(0.1)).warning().empty());
  CHECK(condition_of<S>(x.cwiseMax(S(0)), relative(0.1)).is_sound());  // as an expansion gives
  x.col(3).setOnes();                                                  // an intercept of their own
  x.col(4).setZero();
  const FeatureCondition condition = condition_of<S>(x, relative(0.1));
  CHECK(condition.constant_columns == 2);
  CHECK(condition.hidden_columns == 0);
  CHECK(condition.is_sound());
}

TEMPLATE_TEST_CASE("the offset is what the rows say in double", "[rls][property]", float, double) {
  using S = TestType;
  const double offset = GENERATE(0.0, 1.0, 30.0);
  const bool weighted = GENERATE(false, true);
  Matrix<S> x = plain_features<S>();
  x.leftCols(5).array() += static_cast<S>(offset);
  std::vector<double> weights;
  if (weighted) {
    for (Index i = 0; i < x.rows(); ++i) weights.push_back(0.5 + 0.01 * static_cast<double>(i % 7));
  }
  Eigen::VectorXd mean = Eigen::VectorXd::Zero(16);
  double count = 0;
  double energy = 0;
  for (Index i = 0; i < x.rows(); ++i) {
    const double weight = weighted ? weights[static_cast<std::size_t>(i)] : 1;
    const Eigen::VectorXd row = x.row(i).transpose().template cast<double>();
    mean += weight * row;
    count += weight;
    energy += weight * row.squaredNorm();
  }
  const FeatureCondition condition = condition_of<S>(x, relative(0.1), weights);
  CHECK(std::abs(condition.offset_share - mean.squaredNorm() / count / energy) < 1e-5);
  CHECK(std::abs(condition.trace / energy - 1) < 1e-5);
}

TEMPLATE_TEST_CASE("features far from zero are told", "[rls][regression]", float, double) {
  using S = TestType;
  Matrix<S> x = plain_features<S>();
  x.array() += S(1000);
  const std::string warning = condition_of<S>(x, relative(0.1)).warning();
  CHECK(contains(warning, "times as large as what varies around it"));
  CHECK(contains(warning, "FeatureShift"));
  x.array() += S(1e6);
  CHECK(contains(condition_of<S>(x, relative(0.1)).warning(), "times as large as what varies"));
}

TEMPLATE_TEST_CASE("features that are zero or constant are told", "[rls][regression]", float,
                   double) {
  using S = TestType;
  Matrix<S> x = Matrix<S>::Zero(400, 16);
  CHECK(contains(condition_of<S>(x, relative(0.1)).warning(), "all features are zero"));
  CHECK(contains(condition_of<S>(x, absolute(0.1)).warning(), "all features are zero"));
  x.setConstant(S(0.7));
  const FeatureCondition condition = condition_of<S>(x, relative(0.1));
  CHECK(condition.constant_columns == 16);
  CHECK(contains(condition.warning(), "the features hardly vary from row to row"));
}

TEMPLATE_TEST_CASE("columns that a ridge hides are told and a small ridge shows them",
                   "[rls][regression]", float, double) {
  using S = TestType;
  Matrix<S> x = plain_features<S>();
  for (Index j = 0; j < 16; ++j) {
    x.col(j) *= static_cast<S>(std::pow(10, -8 + 16 * static_cast<double>(j) / 15));
  }
  const FeatureCondition hidden = condition_of<S>(x, relative(0.1));
  CHECK(hidden.hidden_columns == 13);
  CHECK(contains(hidden.warning(), "hides 13 of 16 feature columns"));
  CHECK(condition_of<S>(x, absolute(1e-12)).is_sound());
}

TEMPLATE_TEST_CASE("columns that explain each other to round-off are told", "[rls][regression]",
                   float, double) {
  using S = TestType;
  Matrix<S> x = plain_features<S>();
  x.col(15) = x.leftCols(15).rowwise().sum();
  CHECK(condition_of<S>(x, relative(0.1)).is_sound());
  const double tiny = 2 * static_cast<double>(std::numeric_limits<S>::epsilon());
  const FeatureCondition condition = condition_of<S>(x, relative(tiny * 16));
  CHECK(condition.smallest_pivot < pivot_limit<S>);
  CHECK(contains(condition.warning(), "explain each other"));
  CHECK(contains(condition.warning(), "raise the ridge"));
}

TEMPLATE_TEST_CASE("what varies within tasks is told where the ridge hides it and it is needed",
                   "[rls][regression]", float, double) {
  using S = TestType;
  Matrix<S> x = plain_features<S>();
  Matrix<S> apart = x.leftCols(4);
  for (Index i = 0; i < x.rows(); ++i) {
    x.row(i).array() +=
        static_cast<S>(1e5 * static_cast<double>(i % 4));  // all tasks stand in one direction
    apart.row(i) *= S(1e-5);
    apart(i, i % 4) += S(1);  // one direction per task: what varies within is not needed
  }
  const FeatureCondition hidden = condition_of<S>(x, relative(1e-5));
  CHECK(hidden.hidden_within == 16);
  CHECK(hidden.unexplained > 0.3);
  CHECK(contains(hidden.warning(), "hides what varies within tasks in 16 of 16"));
  const FeatureCondition clear = condition_of<S>(apart, relative(0.01));
  CHECK(clear.unexplained < 0.1);
  CHECK(clear.is_sound());
  CHECK(condition_of<double>(x.template cast<double>(), relative(1e-12)).hidden_within == 0);
}

TEMPLATE_TEST_CASE("what the fit leaves over is what its residuals say", "[rls][property]", float,
                   double) {
  using S = TestType;
  Matrix<S> x = plain_features<S>();
  for (Index i = 0; i < x.rows(); ++i) x(i, i % 4) += S(2);
  const FeatureCondition condition = condition_of<S>(x, relative(1e-4));
  Eigen::MatrixXd y = Eigen::MatrixXd::Zero(x.rows(), 4);
  for (Index i = 0; i < x.rows(); ++i) y(i, i % 4) = 1;
  const Eigen::MatrixXd wide = x.template cast<double>();
  const Eigen::MatrixXd fit = wide * least_squares_of(wide, y);
  const double expected = (y - fit).squaredNorm() / (y.squaredNorm() * 0.75);
  CHECK(std::abs(condition.unexplained - expected) < 1e-3);
}

TEST_CASE("a column that is not there is refused", "[rls][error]") {
  InformationDouble rls(4, absolute(1));
  update(rls, random_rows<double>(20, 4, 2, 1));
  const std::vector<Index> columns{0, 2};
  CHECK(message_of<ArgumentError>([&] { (void)feature_condition<double>(rls, columns); }) ==
        "columns hold 2, expected 0..1");
}
