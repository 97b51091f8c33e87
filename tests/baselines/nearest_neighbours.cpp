// SPDX-License-Identifier: MIT
#include "anyssr/baselines/nearest_neighbours.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace anyssr {
namespace {

using test::message_of;
using test::random_sparse;
using test::to_sparse;

/// Rows to keep, with their tasks.
template <class S>
struct KeptRows {
  Matrix<S> rows;
  std::vector<Index> tasks;
};

/// The tasks of the queries by all cosines in double.
template <class S>
std::vector<Index> tasks_by_cosines(const KeptRows<S>& kept, const Matrix<S>& queries,
                                    std::size_t neighbours) {
  std::vector<Index> chosen;
  for (Index i = 0; i < queries.rows(); ++i) {
    const Eigen::RowVectorXd query = queries.row(i).template cast<double>();
    std::vector<std::pair<double, Index>> cosines;  // negative, for the order
    for (Index j = 0; j < kept.rows.rows(); ++j) {
      const Eigen::RowVectorXd row = kept.rows.row(j).template cast<double>();
      const double lengths = row.norm() * query.norm();
      cosines.emplace_back(lengths > 0 ? -row.dot(query) / lengths : 0,
                           kept.tasks[static_cast<std::size_t>(j)]);
    }
    std::ranges::sort(cosines);
    cosines.resize(std::min(neighbours, cosines.size()));
    std::map<Index, double> votes;
    for (const auto& [cosine, task] : cosines) votes[task] -= cosine;
    const auto best = std::ranges::max_element(
        votes, [](const auto& left, const auto& right) { return left.second < right.second; });
    chosen.push_back(best->first);
  }
  return chosen;
}

TEMPLATE_TEST_CASE("the nearest neighbours vote as all cosines in double say",
                   "[baselines][property]", float, double) {
  using S = TestType;
  const Index neighbours = GENERATE(1, 4, 1000);  // the last: more than there are rows
  CAPTURE(neighbours);
  NearestNeighbours<S> router(9, neighbours);
  NearestNeighbours<S> of_sparse(9, neighbours);
  KeptRows<S> kept{Matrix<S>(80, 9), {}};
  for (Index visit = 0; visit < 8; ++visit) {  // tasks 0, 1, 2, 3 and again
    const Index task = visit % 4;
    const auto seed = static_cast<std::uint64_t>(visit);
    Matrix<S> rows = random_sparse<S>(10, 9, 0.6, seed);
    rows.col(task).array() += S(0.4);
    rows.row(3).setZero();
    kept.rows.middleRows(10 * visit, 10) = rows;
    kept.tasks.insert(kept.tasks.end(), 10, task);
    if (visit % 2 == 0) {
      router.learn(task, rows);
    } else {
      router.learn(task, RowMajorMatrix<S>(rows));
    }
    of_sparse.learn(task, to_sparse(rows));
  }
  Matrix<S> queries = random_sparse<S>(300, 9, 0.7, 50);
  queries.topRows(20) = kept.rows.topRows(20);
  const std::vector<Index> chosen = router.route(queries);
  CHECK(chosen == tasks_by_cosines(kept, queries, static_cast<std::size_t>(neighbours)));
  CHECK(router.route(RowMajorMatrix<S>(queries)) == chosen);
  CHECK(router.route(to_sparse(queries)) == chosen);
  CHECK(of_sparse.route(to_sparse(queries)) == chosen);
  CHECK(of_sparse.route(queries) == chosen);
  CHECK(of_sparse.bytes() == router.bytes());
  CHECK(router.tasks() == 4);
  CHECK(router.route(Matrix<S>(0, 9)).empty());
}

TEMPLATE_TEST_CASE("neighbours that are equally near go by the number of their task",
                   "[baselines][property]", float, double) {
  using S = TestType;
  Matrix<S> here(1, 3);
  here << 1, 2, 0;
  Matrix<S> there(1, 3);
  there << 0, -2, 1;
  NearestNeighbours<S> router(3, 1);
  router.learn(0, there);
  router.learn(1, here);
  router.learn(2, here);
  CHECK(router.route(here).front() == 1);
  router.learn(0, here);  // the last row that was kept is of the first task
  CHECK(router.route(here).front() == 0);

  NearestNeighbours<S> of_four(3, 4);
  of_four.learn(0, there);
  of_four.learn(1, here);
  of_four.learn(2, here.replicate(2, 1).eval());
  CHECK(of_four.route(here).front() == 2);  // two votes
  of_four.learn(1, here);
  CHECK(of_four.route(here).front() == 1);  // two votes each
}

TEMPLATE_TEST_CASE("a row of zeros is like no query and a query of zeros is like no row",
                   "[baselines][property]", float, double) {
  using S = TestType;
  NearestNeighbours<S> router(3, 1);
  router.learn(0, Matrix<S>::Zero(2, 3));
  Matrix<S> row(1, 3);
  row << 1, 1, 0;
  router.learn(1, row);
  router.learn(2, SparseRows<S>(2, 3));  // without an entry
  Matrix<S> queries(3, 3);
  queries << S(0.01), 0, 1, 0, 0, 0, 5, 1, 0;
  const std::vector<Index> expected{1, 0, 1};
  CHECK(router.route(queries) == expected);
  CHECK(router.route(to_sparse(queries)) == expected);
  SparseRows<S> stored_zeros = to_sparse(queries);
  for (Index k = 0; k < stored_zeros.nonZeros(); ++k) stored_zeros.valuePtr()[k] = 0;
  CHECK(router.route(stored_zeros) == std::vector<Index>{0, 0, 0});
  NearestNeighbours<S> of_zeros(3);
  of_zeros.learn(0, stored_zeros);
  CHECK(of_zeros.bytes() == 3 * sizeof(Index));  // a stored zero is not kept
}

TEST_CASE("a task without a neighbour is not chosen where all neighbours are unlike the query",
          "[baselines][regression]") {
  Matrix<double> rows(3, 2);
  rows << 1, 0.1, 1, 0.9, 0.9, 1;
  const Matrix<double> query = -Matrix<double>::Identity(1, 2);
  NearestNeighbours<double> router(2, 1);
  router.learn(0, rows.topRows(1).eval());  // the furthest
  router.learn(1, rows.middleRows(1, 1).eval());
  router.learn(2, rows.bottomRows(1).eval());  // the nearest, and unlike the query as well
  CHECK(router.route(query).front() == 2);
}

TEMPLATE_TEST_CASE("the length of rows does not matter even at the ends of the scalar's range",
                   "[baselines][regression]", float, double) {
  using S = TestType;
  const S small = std::numeric_limits<S>::min();
  const S large = std::numeric_limits<S>::max() / 8;  // normal numbers are below 5
  const Matrix<S> rows = random_normal<S>(30, 5, 1);
  const Matrix<S> queries = random_normal<S>(100, 5, 2);
  NearestNeighbours<S> router(5, 3);
  NearestNeighbours<S> of_extremes(5, 3);
  for (Index task = 0; task < 3; ++task) {
    const Matrix<S> some = rows.middleRows(10 * task, 10);
    router.learn(task, some);
    of_extremes.learn(task, (some.topRows(5) * (8 * small)).eval());
    of_extremes.learn(task, (some.bottomRows(5) * large).eval());
  }
  const std::vector<Index> chosen = router.route(queries);
  CHECK(of_extremes.route((queries * (64 * small)).eval()) == chosen);
  CHECK(of_extremes.route((queries * large).eval()) == chosen);
}

TEST_CASE("nearest neighbours refuse what they cannot keep and stay as they were",
          "[baselines][error]") {
  CHECK(message_of<ArgumentError>([] { (void)NearestNeighbours<float>(0); }) ==
        "dim is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([] { (void)NearestNeighbours<float>(3, 0); }) ==
        "neighbours is 0, expected at least 1");
  NearestNeighbours<double> router(3, 2);
  Matrix<double> x = Matrix<double>::Ones(2, 3);
  CHECK(message_of<ArgumentError>([&] { (void)router.route(x); }) ==
        "tasks are 0, expected one that was learned");
  router.learn(0, x);
  const std::size_t bytes = router.bytes();
  CHECK(message_of<ArgumentError>([&] { router.learn(2, x); }) == "task is 2, expected 0..1");
  CHECK(message_of<ArgumentError>([&] { router.learn(-1, x); }) == "task is -1, expected 0..1");
  CHECK(message_of<ShapeError>([&] { router.learn(1, x.leftCols(2).eval()); }) ==
        "features are 2 x 2, expected n x 3");
  CHECK(message_of<ShapeError>([&] { router.learn(1, x.topRows(0).eval()); }) ==
        "features have 0 rows, expected at least 1");
  CHECK(message_of<ShapeError>([&] { (void)router.route(x.leftCols(2).eval()); }) ==
        "features are 2 x 2, expected n x 3");
  x(1, 2) = std::numeric_limits<double>::quiet_NaN();
  const std::string refused =
      "features hold NaN or infinity at row 1, column 2, expected finite numbers";
  CHECK(message_of<NonFiniteError>([&] { router.learn(1, x); }) == refused);
  CHECK(message_of<NonFiniteError>([&] { router.learn(1, to_sparse(x)); }) == refused);
  CHECK(message_of<NonFiniteError>([&] { (void)router.route(x); }) == refused);
  CHECK(router.tasks() == 1);
  CHECK(router.bytes() == bytes);
}

}  // namespace
}  // namespace anyssr
