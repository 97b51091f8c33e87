// SPDX-License-Identifier: MIT
#include "anyssr/router/novelty.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// S + ridge I of the rows that a router learned, in double.
template <class S>
Eigen::MatrixXd slow_gram(const AnalyticRouter<S>& router, const LabelledTasks<S>& tasks,
                          double ridge) {
  const Index d = router.expansion().out_dim();
  Eigen::MatrixXd gram = ridge * Eigen::MatrixXd::Identity(d, d);
  for (const LabelledRows<S>& task : tasks) {
    const Eigen::MatrixXd h = router.expansion().expand(task.x).template cast<double>();
    gram += h.transpose() * h;
  }
  return gram;
}

/// lambda h G^-1 h^T / |h|^2 of every row, lambda 0.7.
Eigen::VectorXd slow_leverage(const Eigen::MatrixXd& h, const Eigen::MatrixXd& gram) {
  const Eigen::MatrixXd inverse = inverse_of(gram);
  const Eigen::VectorXd leverage = (h * inverse).cwiseProduct(h).rowwise().sum();
  return 0.7 * leverage.cwiseQuotient(h.rowwise().squaredNorm());
}

/// lambda sum_j h_j^2 / G_jj / |h|^2 of every row, lambda 0.7.
Eigen::VectorXd slow_diagonal(const Eigen::MatrixXd& h, const Eigen::MatrixXd& gram) {
  Eigen::VectorXd result = Eigen::VectorXd::Zero(h.rows());
  for (Index i = 0; i < h.rows(); ++i) {
    double energy = 0;
    for (Index j = 0; j < h.cols(); ++j) {
      result(i) += 0.7 * h(i, j) * h(i, j) / gram(j, j);
      energy += h(i, j) * h(i, j);
    }
    result(i) /= energy;
  }
  return result;
}

template <class Source, class X>
Eigen::VectorXd novelties_of(const Source& source, const X& features) {
  Eigen::VectorXd result(features.rows());
  const auto decisions = decisions_of(source, features);
  for (Index i = 0; i < result.size(); ++i) {
    result(i) = decisions[static_cast<std::size_t>(i)].novelty.value();
  }
  return result;
}

/// Best score over 1 + w of every row.
template <class Source, class X>
Eigen::VectorXd score_shares(const Source& source, const X& features) {
  return scores_of(source, features).rowwise().maxCoeff() / 2;
}

RouterOptions novelty_router(NoveltyMode mode, double weight = -1,
                             ExpansionKind kind = ExpansionKind::identity) {
  return {.expansion = {.kind = kind, .dim = 24},
          .rls = labelled_rls,
          .novelty = {.mode = mode, .leverage_weight = weight}};
}

}  // namespace

TEMPLATE_TEST_CASE("the exact leverage is that of the plain inverse", "[router][property]", float,
                   double) {
  using S = TestType;
  const auto kind = GENERATE(ExpansionKind::identity, ExpansionKind::dense);
  CAPTURE(to_string(kind));
  const LabelledTasks<S> tasks = labelled_tasks<S>({40, 25, 30});
  const AnalyticRouter<S> router =
      router_of(tasks, novelty_router(NoveltyMode::leverage, 0.4, kind));
  const Matrix<S> queries = random_normal<S>(700, labelled_dim, 31);  // more than one chunk
  const Eigen::MatrixXd h = router.expansion().expand(queries).template cast<double>();
  const Eigen::VectorXd leverage = slow_leverage(h, slow_gram(router, tasks, 0.7));
  const double tolerance = std::is_same_v<S, double> ? 1e-10 : 2e-4;
  RoutingWorkspace<S> workspace;
  std::vector<RoutingDecision> decisions;
  router.decide(queries, workspace, decisions);
  CHECK(relative_error(workspace.leverage.leverage, leverage) < tolerance);
  router.decide(to_sparse<S>(queries), workspace, decisions);
  CHECK(relative_error(workspace.leverage.leverage, leverage) < tolerance);
  const Eigen::VectorXd expected = 0.4 * leverage - score_shares(router, queries);
  CHECK(relative_error(novelties_of(router, queries), expected) < tolerance);
}

TEMPLATE_TEST_CASE("the cheap leverage divides squares by the diagonal of the Gram",
                   "[router][property]", float, double) {
  using S = TestType;
  const auto kind = GENERATE(ExpansionKind::identity, ExpansionKind::dense);
  CAPTURE(to_string(kind));
  const LabelledTasks<S> tasks = labelled_tasks<S>({40, 25});
  const AnalyticRouter<S> router =
      router_of(tasks, novelty_router(NoveltyMode::diagonal, 0.3, kind));
  const Matrix<S> queries = random_normal<S>(50, labelled_dim, 32);
  const Eigen::MatrixXd h = router.expansion().expand(queries).template cast<double>();
  const Eigen::VectorXd expected =
      0.3 * slow_diagonal(h, slow_gram(router, tasks, 0.7)) - score_shares(router, queries);
  const double tolerance = round_off<S>(500);
  CHECK(relative_error(novelties_of(router, queries), expected) < tolerance);
  CHECK(relative_error(novelties_of(router, to_sparse<S>(queries)), expected) < tolerance);
}

TEST_CASE("one query alone has the novelty that it has in a batch", "[router]") {
  const auto mode = GENERATE(NoveltyMode::score, NoveltyMode::diagonal, NoveltyMode::leverage);
  CAPTURE(static_cast<int>(mode));
  const AnalyticRouter<double> router =
      router_of(labelled_tasks<double>({20, 20}), novelty_router(mode));
  const Matrix<double> queries = random_normal<double>(5, labelled_dim, 33);
  const Eigen::VectorXd batch = novelties_of(router, queries);
  RoutingWorkspace<double> workspace;
  RoutingDecision decision;
  for (Index i = 0; i < 5; ++i) {
    router.decide(queries.row(i), workspace, decision);
    CHECK(std::abs(decision.novelty.value() - batch(i)) < 1e-12);
  }
}

TEST_CASE("the leverage weight is a default of the mode or the caller's", "[router]") {
  const auto weight = [](NoveltyMode mode, double asked) {
    return router_of(labelled_tasks<double>({9}), novelty_router(mode, asked))
        .table()
        ->meter()
        .leverage_weight();
  };
  CHECK(weight(NoveltyMode::leverage, -1) == 4.0 / 3);
  CHECK(weight(NoveltyMode::diagonal, -1) == 1);
  CHECK(weight(NoveltyMode::leverage, 0) == 0);
  CHECK(weight(NoveltyMode::diagonal, 2.5) == 2.5);
}

TEST_CASE("a leverage weight that is not finite is refused", "[router][error]") {
  const double bad =
      GENERATE(std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN());
  CHECK(contains(message_of<ArgumentError>([&] {
                   AnalyticRouter<double>(4, novelty_router(NoveltyMode::diagonal, bad));
                 }),
                 "leverage_weight is"));
}

TEST_CASE("without a leverage novelty is the negative share of the best score", "[router]") {
  const AnalyticRouter<double> router =
      router_of(labelled_tasks<double>({20, 20}), novelty_router(NoveltyMode::score));
  const Matrix<double> queries = random_normal<double>(5, labelled_dim, 34);
  CHECK(novelties_of(router, queries) == -score_shares(router, queries));
}

TEST_CASE("decisions say nothing of novelty where it is not measured", "[router]") {
  const AnalyticRouter<double> router =
      router_of(labelled_tasks<double>({20, 20}), novelty_router(NoveltyMode::none));
  RoutingWorkspace<double> workspace;
  RoutingDecision decision;
  decision.novelty = 3;  // of an earlier query, with another router
  router.decide(random_normal<double>(1, labelled_dim, 35), workspace, decision);
  CHECK_FALSE(decision.novelty.has_value());
  CHECK(workspace.leverage.leverage.size() == 0);
}

TEMPLATE_TEST_CASE("an old table keeps its numbers while the router goes on learning", "[router]",
                   float, double) {
  using S = TestType;
  const auto mode = GENERATE(NoveltyMode::diagonal, NoveltyMode::leverage);
  CAPTURE(static_cast<int>(mode));
  LabelledTasks<S> tasks = labelled_tasks<S>({30, 20});
  AnalyticRouter<S> router = router_of(tasks, novelty_router(mode, 1));
  const auto table = router.table();
  const Matrix<S> queries = random_normal<S>(6, labelled_dim, 36);
  const Eigen::VectorXd before = novelties_of(*table, queries);
  const LabelledRows<S> more(1, 1, 8);  // one row: the factor is updated and not made anew
  router.extend(more.name, more.x, more.labels);
  CHECK(novelties_of(*table, queries) == before);
  tasks.push_back(more);
  const Eigen::MatrixXd h = queries.template cast<double>();
  const Eigen::MatrixXd gram = slow_gram(router, tasks, 0.7);
  const Eigen::VectorXd leverage =
      mode == NoveltyMode::diagonal ? slow_diagonal(h, gram) : slow_leverage(h, gram);
  const Eigen::VectorXd expected = leverage - score_shares(router, queries);
  CHECK(relative_error(novelties_of(router, queries), expected) <
        (std::is_same_v<S, double> ? 1e-10 : 2e-4));
}

TEST_CASE("a query far from all rows is more novel than any of them", "[router]") {
  const auto mode = GENERATE(NoveltyMode::score, NoveltyMode::diagonal, NoveltyMode::leverage);
  CAPTURE(static_cast<int>(mode));
  LabelledTasks<double> tasks = labelled_tasks<double>({40, 40});
  for (LabelledRows<double>& task : tasks) task.x.rightCols(3).setZero();
  const AnalyticRouter<double> router = router_of(tasks, novelty_router(mode));
  Matrix<double> far = Matrix<double>::Zero(1, labelled_dim);
  far.rightCols(3).setConstant(2);
  const double unlike = novelties_of(router, far)(0);
  for (const LabelledRows<double>& task : tasks) {
    CHECK(novelties_of(router, task.x).maxCoeff() < unlike);
  }
}

TEMPLATE_TEST_CASE("a meter counts the bytes that it keeps", "[router]", float, double) {
  using S = TestType;
  const auto bytes = [](NoveltyMode mode) {
    const AnalyticRouter<S> router = router_of(labelled_tasks<S>({9}), novelty_router(mode));
    const std::size_t of_meter = router.table()->meter().bytes();
    CHECK(router.bytes() - of_meter ==
          router.regression().bytes() +
              sizeof(S) * static_cast<std::size_t>(router.table()->weights().size()));
    return of_meter;
  };
  const auto d = static_cast<std::size_t>(labelled_dim);
  CHECK(bytes(NoveltyMode::none) == 0);
  CHECK(bytes(NoveltyMode::score) == 0);
  CHECK(bytes(NoveltyMode::diagonal) == d * sizeof(S));
  CHECK(bytes(NoveltyMode::leverage) == (d * d + d) * sizeof(S));
}

TEMPLATE_TEST_CASE("the share that no row explains lies between 0 and 1", "[router][property]",
                   float, double) {
  using S = TestType;
  const auto mode = GENERATE(NoveltyMode::diagonal, NoveltyMode::leverage);
  CAPTURE(static_cast<int>(mode));
  const AnalyticRouter<S> router = router_of(labelled_tasks<S>({5}), novelty_router(mode));
  Matrix<S> queries = random_normal<S>(60, labelled_dim, 37);
  queries.row(0).setZero();  // of no direction at all
  queries.row(1) *= S(1e6);
  queries.row(2) *= S(1e-6);
  RoutingWorkspace<S> workspace;
  std::vector<RoutingDecision> decisions;
  router.decide(queries, workspace, decisions);
  const Vector<S>& share = workspace.leverage.leverage;
  CHECK(share(0) == 1);
  CHECK(share.minCoeff() > 0);
  CHECK(share.maxCoeff() <= 1);
  CHECK(decisions[0].novelty.value() == router.table()->meter().leverage_weight());
}

TEST_CASE("the share that no row explains does not depend on the scale of ridge and rows",
          "[router]") {
  const auto mode = GENERATE(NoveltyMode::diagonal, NoveltyMode::leverage);
  CAPTURE(static_cast<int>(mode));
  LabelledTasks<double> tasks = labelled_tasks<double>({20, 20});
  RouterOptions options = novelty_router(mode);
  const AnalyticRouter<double> router = router_of(tasks, options);
  const Matrix<double> queries = random_normal<double>(9, labelled_dim, 38);
  for (LabelledRows<double>& task : tasks) task.x *= 10;
  options.rls.ridge *= 100;
  const AnalyticRouter<double> scaled = router_of(tasks, options);
  const Matrix<double> ten_times = 10 * queries;
  CHECK(relative_error(novelties_of(scaled, ten_times), novelties_of(router, queries)) < 1e-12);
}

TEST_CASE("a meter of no mode measures nothing", "[router]") {
  const NoveltyMeter<float> meter;
  LeverageWorkspace<float> workspace;
  meter.measure(Matrix<float>(Matrix<float>::Ones(2, 3)), workspace);
  CHECK(workspace.leverage.size() == 0);
  CHECK_FALSE(meter.novelty(0.5, 0, workspace).has_value());
  CHECK(meter.bytes() == 0);
}
