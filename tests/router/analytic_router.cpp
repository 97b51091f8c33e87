// SPDX-License-Identifier: MIT
#include "anyssr/router/analytic_router.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index query_dim = 12;

/// Rows of one task: two clusters, one a label.
template <class S>
struct TaskRows {
  std::string name;
  Matrix<S> features;
  std::vector<Index> labels;
};

template <class S>
std::vector<TaskRows<S>> make_tasks(Index count, std::uint64_t seed, Index rows = 30) {
  std::vector<TaskRows<S>> tasks;
  for (Index t = 0; t < count; ++t) {
    const auto stream = static_cast<std::uint64_t>(10 * t);
    const Matrix<S> centres = random_normal<S>(2, query_dim, seed, stream + 1);
    TaskRows<S> task{std::string(1, static_cast<char>('a' + t)),
                     random_normal<S>(rows, query_dim, seed, stream + 2),
                     {}};
    for (Index i = 0; i < rows; ++i) {
      task.labels.push_back(i % 2);
      task.features.row(i) = S(0.7) * task.features.row(i) + S(1.5) * centres.row(i % 2);
    }
    tasks.push_back(std::move(task));
  }
  return tasks;
}

const RouterOptions plain_router{
    .rls = {.ridge = 0.5, .ridge_scale = RidgeScale::absolute, .threads = 1}};

/// W of the joint fit by QR: task t owns column 3t, its labels the two after it.
template <class S>
Eigen::MatrixXd joint_weights(const std::vector<TaskRows<S>>& tasks, double ridge) {
  Index n = 0;
  for (const auto& task : tasks) n += task.features.rows();
  Eigen::MatrixXd x(n, query_dim);
  Eigen::MatrixXd y = Eigen::MatrixXd::Zero(n, 3 * static_cast<Index>(tasks.size()));
  Index row = 0;
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    for (Index i = 0; i < tasks[t].features.rows(); ++i, ++row) {
      x.row(row) = tasks[t].features.row(i).template cast<double>();
      y(row, 3 * static_cast<Index>(t)) = 1;
      y(row, 3 * static_cast<Index>(t) + 1 + tasks[t].labels[static_cast<std::size_t>(i)]) = 1;
    }
  }
  return joint_fit(x, y, ridge);
}

/// Task scores the plain way.
Eigen::RowVectorXd reference_scores(const Eigen::RowVectorXd& x, const Eigen::MatrixXd& weights,
                                    Index tasks) {
  const Eigen::RowVectorXd raw = x * weights;
  Eigen::RowVectorXd scores(tasks);
  for (Index t = 0; t < tasks; ++t)
    scores(t) = raw(3 * t) + std::max(raw(3 * t + 1), raw(3 * t + 2));
  return scores;
}

/// ridge sum_j h_j^2 / (S_jj + ridge) / |h|^2
template <class S>
double unexplained_share(const Eigen::RowVectorXd& h, const std::vector<TaskRows<S>>& tasks,
                         double ridge) {
  Eigen::RowVectorXd diagonal = Eigen::RowVectorXd::Constant(query_dim, ridge);
  for (const auto& task : tasks) {
    for (Index i = 0; i < task.features.rows(); ++i) {
      diagonal += task.features.row(i).template cast<double>().cwiseAbs2();
    }
  }
  return ridge * h.cwiseAbs2().cwiseQuotient(diagonal).sum() / h.squaredNorm();
}

template <class S>
std::vector<RoutingDecision> decide(const AnalyticRouter<S>& router, const Matrix<S>& features) {
  RoutingWorkspace<S> workspace;
  std::vector<RoutingDecision> decisions;
  router.decide(features, workspace, decisions);
  return decisions;
}

}  // namespace

TEMPLATE_TEST_CASE("tasks in any order and in any batches give the joint fit", "[router][property]",
                   float, double) {
  using S = TestType;
  const unsigned seed = GENERATE(range(1U, 13U));
  CAPTURE(seed);
  const auto tasks = make_tasks<S>(4, seed);
  RandomStream random(seed, 99);
  AnalyticRouter<S> router(query_dim, plain_router);
  const std::vector<Index> order = random_permutation(4, random);
  for (const Index t : order) {  // a task comes in two parts; the second after all first parts
    const auto& task = tasks[static_cast<std::size_t>(t)];
    const Index part = 5 + random.below(20);
    router.learn(task.name, task.features.topRows(part),
                 std::span(task.labels).first(static_cast<std::size_t>(part)));
  }
  for (const Index t : random_permutation(4, random)) {
    const auto& task = tasks[static_cast<std::size_t>(t)];
    const Index done = router.tasks()[static_cast<std::size_t>(*router.find(task.name))].rows;
    router.extend(task.name, task.features.bottomRows(30 - done),
                  std::span(task.labels).subspan(static_cast<std::size_t>(done)));
  }
  const Eigen::MatrixXd joint = joint_weights(tasks, 0.5);
  const double tolerance = std::is_same_v<S, double> ? 1e-9 : round_off<S>(1e3);
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const RoutedTask& task = router.tasks()[static_cast<std::size_t>(*router.find(tasks[t].name))];
    CHECK(task.rows == 30);
    REQUIRE(task.label_columns.size() == 2);
    const auto& weights = router.table()->weights();
    const auto column = 3 * static_cast<Index>(t);
    CHECK(relative_error(weights.col(task.column), joint.col(column)) < tolerance);
    CHECK(relative_error(weights.col(task.label_columns[0]), joint.col(column + 1)) < tolerance);
    CHECK(relative_error(weights.col(task.label_columns[1]), joint.col(column + 2)) < tolerance);
  }
}

TEMPLATE_TEST_CASE("scores margin runner-up and confidence follow their formulas", "[router]",
                   float, double) {
  using S = TestType;
  const auto tasks = make_tasks<S>(4, 21);
  AnalyticRouter<S> router(query_dim, plain_router);
  for (const auto& task : tasks) router.learn(task.name, task.features, task.labels);
  const Eigen::MatrixXd joint = joint_weights(tasks, 0.5);
  const Matrix<S> queries = random_normal<S>(9, query_dim, 22);
  const auto decisions = decide(router, queries);
  REQUIRE(decisions.size() == 9);
  for (Index i = 0; i < 9; ++i) {
    const RoutingDecision& decision = decisions[static_cast<std::size_t>(i)];
    Eigen::RowVectorXd expected =
        reference_scores(queries.row(i).template cast<double>(), joint, 4);
    CHECK(relative_error(decision.scores.transpose().eval(), expected) < round_off<S>(1e3));
    Index best = 0;
    const double top = expected.maxCoeff(&best);
    CHECK(decision.task == best);
    const double b = router.table()->temperature();
    const double confidence = 1 / (b * (expected.array() - top)).exp().sum();
    CHECK(std::abs(decision.confidence - confidence) < round_off<S>(1e5));
    expected(best) = -1e9;
    Index second = 0;
    const double runner_up = expected.maxCoeff(&second);
    CHECK(decision.runner_up == second);
    CHECK(std::abs(decision.margin - (top - runner_up)) < round_off<S>(1e3));
    REQUIRE(decision.novelty.has_value());  // cheap by default
    const Eigen::RowVectorXd query = queries.row(i).template cast<double>();
    const double novelty = unexplained_share(query, tasks, 0.5) - top / 2;
    CHECK(std::abs(*decision.novelty - novelty) < round_off<S>(1e3));
    CHECK(decision.outcome == RoutingOutcome::routed);
  }
}

TEST_CASE("the temperature is the default where no task has a rival", "[router]") {
  const auto tasks = make_tasks<double>(1, 31);
  AnalyticRouter<double> router(query_dim, plain_router);
  router.learn(tasks[0].name, tasks[0].features, tasks[0].labels);
  CHECK(router.table()->temperature() == 10);
}

TEMPLATE_TEST_CASE("one query alone is decided as in a batch and sparse as dense", "[router]",
                   float, double) {
  using S = TestType;
  const auto kind =
      GENERATE(ExpansionKind::identity, ExpansionKind::dense, ExpansionKind::hadamard);
  CAPTURE(static_cast<int>(kind));
  const auto tasks = make_tasks<S>(3, 41);
  AnalyticRouter<S> router(query_dim,
                           {.expansion = {.kind = kind, .dim = 64}, .rls = plain_router.rls});
  for (const auto& task : tasks) router.learn(task.name, to_sparse<S>(task.features), task.labels);
  const Matrix<S> queries = random_normal<S>(6, query_dim, 42);
  const auto batch = decide(router, queries);
  RoutingWorkspace<S> workspace;
  RoutingDecision single;
  for (Index i = 0; i < 6; ++i) {
    const RoutingDecision& expected = batch[static_cast<std::size_t>(i)];
    router.decide(queries.row(i), workspace, single);
    CHECK(single.task == expected.task);
    CHECK(relative_error(single.scores, expected.scores) < round_off<S>(1e3));
    const Matrix<S> row = queries.row(i);
    router.decide(to_sparse<S>(row), workspace, single);
    CHECK(single.task == expected.task);
    CHECK(relative_error(single.scores, expected.scores) < round_off<S>(1e3));
  }
}

TEST_CASE("learning together equals learning in turn", "[router]") {
  const auto tasks = make_tasks<double>(3, 51);
  AnalyticRouter<double> in_turn(query_dim, plain_router);
  for (const auto& task : tasks) in_turn.learn(task.name, task.features, task.labels);
  Matrix<double> features(90, query_dim);
  std::vector<Index> task_of_row;
  std::vector<Index> labels;
  for (Index i = 0; i < 90; ++i) {  // rows of the tasks mixed
    const auto t = static_cast<std::size_t>(i % 3);
    features.row(i) = tasks[t].features.row(i / 3);
    task_of_row.push_back(i % 3);
    labels.push_back(tasks[t].labels[static_cast<std::size_t>(i / 3)]);
  }
  const std::vector<std::string> names{"a", "b", "c"};
  AnalyticRouter<double> together(query_dim, plain_router);
  together.learn_together(std::span<const std::string>(names), features, task_of_row, labels);
  const Matrix<double> queries = random_normal<double>(50, query_dim, 52);
  const auto first = decide(in_turn, queries);
  const auto second = decide(together, queries);
  for (std::size_t i = 0; i < 50; ++i) {
    CHECK(first[i].task == second[i].task);
    CHECK(relative_error(first[i].scores, second[i].scores) < 1e-9);
  }
}

TEST_CASE("a task without labels counts its task column as its best label", "[router]") {
  const auto tasks = make_tasks<double>(2, 61);
  AnalyticRouter<double> router(query_dim, plain_router);
  router.learn(tasks[0].name, tasks[0].features);
  router.learn(tasks[1].name, tasks[1].features, tasks[1].labels);
  CHECK(router.tasks()[0].label_columns.empty());
  const Matrix<double> query = random_normal<double>(1, query_dim, 62);
  const auto decision = decide(router, query).front();
  const double own = (query * router.table()->weights().col(router.tasks()[0].column))(0);
  CHECK(std::abs(decision.scores(0) - 2 * own) < 1e-12);
  AnalyticRouter<double> task_columns_only(query_dim,
                                           {.rls = plain_router.rls, .label_columns = false});
  task_columns_only.learn("a", tasks[1].features, tasks[1].labels);
  CHECK(task_columns_only.table()->weights().cols() == 1);
}

TEST_CASE("a router with one task names it for every query", "[router]") {
  const auto tasks = make_tasks<float>(1, 71);
  AnalyticRouter<float> router(query_dim, plain_router);
  router.learn("only", tasks[0].features, tasks[0].labels);
  const auto decision = decide<float>(router, random_normal<float>(1, query_dim, 72)).front();
  CHECK(decision.task == 0);
  CHECK(decision.runner_up == -1);
  CHECK(decision.confidence == 1);
  CHECK(decision.margin == decision.scores(0));
}

TEST_CASE("a table serves as it was while the router goes on learning", "[router]") {
  const auto tasks = make_tasks<double>(3, 81);
  AnalyticRouter<double> router(query_dim, plain_router);
  router.learn("a", tasks[0].features, tasks[0].labels);
  router.learn("b", tasks[1].features, tasks[1].labels);
  const auto table = router.table();
  const RowMajorMatrix<double> weights = table->weights();
  router.learn("c", tasks[2].features, tasks[2].labels);
  CHECK(table->tasks().size() == 2);
  CHECK((table->weights() == weights));
  CHECK(router.table()->tasks().size() == 3);
}

TEST_CASE("bad input is refused by name and the router stays as it was", "[router][error]") {
  const auto tasks = make_tasks<double>(2, 91);
  const Matrix<double>& x = tasks[0].features;
  AnalyticRouter<double> router(query_dim, plain_router);
  RoutingWorkspace<double> workspace;
  RoutingDecision decision;
  CHECK(contains(message_of<TaskError>([&] { router.decide(x.topRows(1), workspace, decision); }),
                 "no task is learned yet"));
  router.learn("a", x, tasks[0].labels);
  const auto table = router.table();
  const Matrix<double> sums = router.regression().second_moment();
  const auto refused = [&](auto&& action) {
    const std::string message = message_of<Error>(action);
    CHECK(router.table() == table);
    CHECK((router.regression().second_moment() == sums));
    CHECK_FALSE(router.is_poisoned());
    return message;
  };
  CHECK(contains(refused([&] { router.learn("a", x); }), "task 'a' is known already"));
  CHECK(contains(refused([&] { router.learn("", x); }), "task name is empty"));
  CHECK(contains(refused([&] { router.extend("z", x); }), "task 'z' is unknown"));
  CHECK(contains(refused([&] { router.extend("a", x); }), "'a' was learned with labels"));
  CHECK(refused([&] { router.learn("b", Matrix<double>::Ones(3, 5)); }) ==
        "features are 3 x 5, expected n x 12");
  CHECK(contains(refused([&] { router.learn("b", Matrix<double>(0, query_dim)); }), "has no rows"));
  Matrix<double> bad = x;
  bad(1, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK(contains(refused([&] { router.learn("b", bad); }), "row 1, column 2"));
  const std::vector<Index> few{0, 1};
  CHECK(
      contains(refused([&] { router.learn("b", x, few); }), "labels have 2 entries, expected 30"));
  const std::vector<Index> negative(30, -1);
  CHECK(contains(refused([&] { router.learn("b", x, negative); }), "labels hold -1"));
  const std::vector<std::string> names{"b", "c"};
  const std::vector<Index> all_b(30, 0);
  CHECK(contains(
      refused([&] { router.learn_together(std::span<const std::string>(names), x, all_b); }),
      "task 'c' has no rows"));
  CHECK(contains(
      refused([&] { router.decide(Matrix<double>::Ones(2, query_dim), workspace, decision); }),
      "features are 2 x 12, expected 1 rows"));
  CHECK(contains(refused([&] { router.decide(bad.row(1), workspace, decision); }),
                 "NaN or infinity"));
  CHECK(contains(message_of<ArgumentError>([] { AnalyticRouter<float>(4, {.label_weight = -1}); }),
                 "label_weight is -1"));
  CHECK(
      contains(message_of<ArgumentError>([] { AnalyticRouter<float>(4, {.calibration_rows = 0}); }),
               "calibration_rows is 0"));
}

TEST_CASE("a factorisation that fails poisons the router or is rolled back", "[router][error]") {
  const bool rollback = GENERATE(false, true);
  CAPTURE(rollback);
  const RlsOptions tiny_ridge{.ridge = 1e-30, .ridge_scale = RidgeScale::absolute, .threads = 1};
  AnalyticRouter<float> router(60, {.rls = tiny_ridge, .rollback_copy = rollback});
  Matrix<float> full_rank = random_normal<float>(200, 60, 1);
  router.learn("first", full_rank);
  const auto table = router.table();
  const Matrix<float> sums = router.regression().second_moment();
  // Rows so large beside the first that the sums are of rank 2 in float.
  const Matrix<float> huge = 1e9F * random_normal<float>(2, 60, 2).replicate(10, 1);
  CHECK(contains(message_of<NumericalError>([&] { router.learn("second", huge); }),
                 "raise the ridge"));
  CHECK(router.table() == table);
  CHECK(router.is_poisoned() == !rollback);
  RoutingWorkspace<float> workspace;
  RoutingDecision decision;
  router.decide(full_rank.topRows(1), workspace, decision);
  CHECK(decision.task == 0);
  if (rollback) {
    CHECK((router.regression().second_moment() == sums));
    router.learn("second", full_rank);
    CHECK(router.tasks().size() == 2);
  } else {
    CHECK(contains(message_of<NumericalError>([&] { router.learn("second", full_rank); }),
                   "poisoned"));
  }
}
