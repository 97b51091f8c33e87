// SPDX-License-Identifier: MIT
// Routers to compare with: each on problems whose answer is known.
#include <cmath>
#include <limits>
#include <vector>

#include "anyssr/baselines/linear_discriminant.hpp"
#include "anyssr/baselines/nearest_mean.hpp"
#include "anyssr/baselines/online_softmax.hpp"
#include "anyssr/core/random.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::message_of;

/// Rows around a centre of length 3 on an axis of their own.
template <class S>
Matrix<S> rows_of(Index task, Index count, std::uint64_t seed) {
  Matrix<S> rows =
      S(0.3) * random_normal<S>(count, 6, seed + 100 * static_cast<std::uint64_t>(task));
  rows.col(task).array() += S(3);
  return rows;
}

template <class S>
double share_right(const std::vector<Index>& chosen, Index task) {
  double right = 0;
  for (const Index choice : chosen) right += choice == task ? 1 : 0;
  return right / static_cast<double>(chosen.size());
}

TEMPLATE_TEST_CASE("the nearest mean is that by distance", "[baselines][property]", float, double) {
  NearestMean<TestType> router(6);
  Eigen::MatrixXd means(6, 4);
  for (Index task = 0; task < 4; ++task) {
    const Matrix<TestType> rows = rows_of<TestType>(task, 15 + task, 1);
    router.learn(task, rows.topRows(7));  // in two visits
    router.learn(task, rows.bottomRows(8 + task));
    means.col(task) = rows.template cast<double>().colwise().mean().transpose();
  }
  const Matrix<TestType> queries = 2 * random_normal<TestType>(200, 6, 9);
  const std::vector<Index> chosen = router.route(queries);
  for (Index i = 0; i < queries.rows(); ++i) {
    const Eigen::VectorXd query = queries.row(i).transpose().template cast<double>();
    const Eigen::RowVectorXd distances = (means.colwise() - query).colwise().norm();
    CHECK(distances(chosen[static_cast<std::size_t>(i)]) <= distances.minCoeff() + 1e-5);
  }
  const SparseRows<TestType> sparse = queries.sparseView();
  CHECK(router.route(sparse) == chosen);
  CHECK(router.bytes() == 4 * 6 * sizeof(double) + 4 * sizeof(Index));
}

TEMPLATE_TEST_CASE("the linear discriminant is that of its formula in any order of rows",
                   "[baselines][property]", float, double) {
  const double shrinkage = GENERATE(0.1, 0.9);
  const Index dim = 7;
  LinearDiscriminant<TestType> router(dim, {.shrinkage = shrinkage, .threads = 1});
  Matrix<TestType> shape = random_normal<TestType>(dim, dim, 3);
  shape.col(2) *= TestType(6);  // far from a ball
  std::vector<Matrix<TestType>> rows;
  for (Index task = 0; task < 3; ++task) {
    const auto seed = static_cast<std::uint64_t>(task);
    rows.push_back(random_normal<TestType>(20 + 5 * task, dim, seed) * shape);
    rows.back().rowwise() += RowVector<TestType>(4 * random_normal<TestType>(1, dim, 50 + seed));
    router.learn(task, rows.back().topRows(9));
  }
  Eigen::MatrixXd within = Eigen::MatrixXd::Zero(dim, dim);
  Eigen::MatrixXd means(dim, 3);
  double count = 0;
  for (Index task = 0; task < 3; ++task) {
    const Matrix<TestType>& all = rows[static_cast<std::size_t>(task)];
    const SparseRows<TestType> rest = all.bottomRows(all.rows() - 9).sparseView();
    router.learn(task, rest);
    const Eigen::MatrixXd wide = all.template cast<double>();
    means.col(task) = wide.colwise().mean().transpose();
    const Eigen::MatrixXd apart = wide.rowwise() - means.col(task).transpose();
    within += apart.transpose() * apart;
    count += static_cast<double>(all.rows());
  }
  within /= count;
  const Eigen::MatrixXd covariance =
      (1 - shrinkage) * within +
      shrinkage * within.trace() / static_cast<double>(dim) * Eigen::MatrixXd::Identity(dim, dim);
  const Eigen::MatrixXd inverse = test::inverse_of(covariance);
  const Matrix<TestType> queries = 8 * random_normal<TestType>(300, dim, 9);
  const std::vector<Index> chosen = router.route(queries);
  for (Index i = 0; i < queries.rows(); ++i) {
    const Eigen::VectorXd query = queries.row(i).transpose().template cast<double>();
    Eigen::Vector3d distances;
    for (Index task = 0; task < 3; ++task) {
      const Eigen::VectorXd apart = query - means.col(task);
      distances(task) = apart.dot(inverse * apart);
    }
    CHECK(distances(chosen[static_cast<std::size_t>(i)]) <= distances.minCoeff() * (1 + 1e-3));
  }
}

TEST_CASE("a linear discriminant needs rows that differ", "[baselines][error]") {
  LinearDiscriminant<double> router(3);
  router.learn(0, Matrix<double>::Ones(4, 3));
  CHECK(message_of<NumericalError>([&] {
          (void)router.route(Matrix<double>::Ones(1, 3));
        }).substr(0, 31) == "the covariance within tasks is ");
  CHECK(message_of<ArgumentError>([] { LinearDiscriminant<float>(3, {.shrinkage = 0}); }) ==
        "shrinkage is 0, expected above 0 and at most 1");
}

TEMPLATE_TEST_CASE("a softmax router learns tasks that come mixed and forgets in sequence",
                   "[baselines][property]", float, double) {
  OnlineSoftmax<TestType> mixed(6, {.rate = 0.5});
  for (int visit = 0; visit < 30; ++visit) {
    for (Index task = 0; task < 3; ++task) {
      mixed.learn(task, rows_of<TestType>(task, 8, static_cast<std::uint64_t>(visit)));
    }
  }
  OnlineSoftmax<TestType> sequence(6, {.rate = 0.5, .batch = 4, .epochs = 40});
  for (Index task = 0; task < 3; ++task) {
    const SparseRows<TestType> rows = rows_of<TestType>(task, 8, 1).sparseView();
    sequence.learn(task, rows);
    CHECK(share_right<TestType>(sequence.route(rows), task) == 1);
  }
  for (Index task = 0; task < 3; ++task) {
    CHECK(share_right<TestType>(mixed.route(rows_of<TestType>(task, 50, 77)), task) == 1);
  }
  const Matrix<TestType> nowhere = Matrix<TestType>::Zero(1, 6);
  CHECK(sequence.route(nowhere).front() == 2);  // the bias has gone to the last one
  CHECK(sequence.bytes() == 3 * 7 * sizeof(TestType));
}

TEST_CASE("one step of the softmax router is that of its gradient", "[baselines][property]") {
  OnlineSoftmax<double> router(2, {.rate = 0.5, .batch = 10});
  Matrix<double> x(1, 2);
  x << 1, 2;
  router.learn(0, x);  // one task has nothing to be told from: no step
  router.learn(1, x);  // P = 1/2 each: column 1 goes to +x/4, column 0 to -x/4
  Matrix<double> query(2, 2);
  query << 1, 0, -4, 0;  // scores of task 1 minus task 0: 0.5 x q + 0.5
  CHECK(router.route(query) == std::vector<Index>{1, 0});
  query << -0.99, 0, -1.01, 0;  // the border is at -1
  CHECK(router.route(query) == std::vector<Index>{1, 0});
}

TEMPLATE_TEST_CASE("routers refuse what they cannot learn and stay as they were",
                   "[baselines][error]", NearestMean<double>, OnlineSoftmax<double>,
                   LinearDiscriminant<double>) {
  CHECK(message_of<ArgumentError>([] { (void)TestType(0); }) == "dim is 0, expected at least 1");
  TestType router(3);
  Matrix<double> x = Matrix<double>::Ones(2, 3);
  CHECK(message_of<ArgumentError>([&] { (void)router.route(x); }) ==
        "tasks are 0, expected one that was learned");
  CHECK(message_of<ArgumentError>([&] { router.learn(1, x); }) == "task is 1, expected 0..0");
  CHECK(message_of<ShapeError>([&] { router.learn(0, x.leftCols(2).eval()); }) ==
        "features are 2 x 2, expected n x 3");
  CHECK(message_of<ShapeError>([&] { router.learn(0, x.topRows(0).eval()); }) ==
        "features have 0 rows, expected at least 1");
  x(1, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of<NonFiniteError>([&] { router.learn(0, x); }) ==
        "features hold NaN or infinity at row 1, column 2, expected finite numbers");
  CHECK(router.tasks() == 0);
  router.learn(0, Matrix<double>::Ones(2, 3));
  CHECK(message_of<NonFiniteError>([&] { (void)router.route(x); }).substr(0, 13) ==
        "features hold");
}

TEST_CASE("a softmax router refuses options out of range", "[baselines][error]") {
  const auto message = [](const OnlineSoftmaxOptions& options) {
    return message_of<ArgumentError>([&] { (void)OnlineSoftmax<float>(3, options); });
  };
  CHECK(message({.rate = 0}) == "rate is 0, expected a finite number above 0");
  CHECK(message({.batch = 0}) == "batch is 0, expected at least 1");
  CHECK(message({.epochs = 0}) == "epochs is 0, expected at least 1");
}

}  // namespace
}  // namespace anyssr
