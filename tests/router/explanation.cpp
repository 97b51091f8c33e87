// SPDX-License-Identifier: MIT
#include "anyssr/router/explanation.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index all_pushes = 1000;

double sum_of(const std::vector<FeaturePush>& pushes) {
  double sum = 0;
  for (const FeaturePush& push : pushes) sum += push.push;
  return sum;
}

/// Weights of a task's score for a query whose best label is known, in double.
template <class S>
Eigen::VectorXd slow_score_weights(const AnalyticRouter<S>& router, const RoutedTask& task,
                                   const Eigen::RowVectorXd& h) {
  const Eigen::MatrixXd weights = router.table()->weights().template cast<double>();
  Eigen::VectorXd own = weights.col(task.column);
  for (const Index column : task.further_columns) own += weights.col(column);
  Eigen::VectorXd best = own;
  double most = -1e300;
  for (const Index column : task.label_columns) {
    if (h.dot(weights.col(column)) <= most) continue;
    most = h.dot(weights.col(column));
    best = weights.col(column);
  }
  return own + router.options().label_weight * best;
}

/// Every push of every rival, against h_j (w_chosen - w_rival)_j.
template <class S, class X>
void check_pushes(const AnalyticRouter<S>& router, const X& query) {
  const Explanation told = explain(*router.table(), query, 10, all_pushes);
  const auto rivals = static_cast<Index>(router.tasks().size()) - 1;
  REQUIRE(static_cast<Index>(told.rivals.size()) == rivals);
  const Eigen::MatrixXd expanded =
      Matrix<S>(router.expansion().expand(query)).template cast<double>();
  const Eigen::RowVectorXd h = expanded.row(0);
  const auto weights = [&](Index task) {
    return slow_score_weights(router, router.tasks()[static_cast<std::size_t>(task)], h);
  };
  for (const RivalExplanation& rival : told.rivals) {
    const double margin =
        told.decision.scores(told.decision.task) - told.decision.scores(rival.task);
    CHECK(rival.margin == margin);
    CHECK(std::abs(sum_of(rival.pushes) - margin) < round_off<S>(500));
    Eigen::VectorXd left =
        h.transpose().cwiseProduct(weights(told.decision.task) - weights(rival.task));
    for (const FeaturePush& push : rival.pushes) {
      CHECK(std::abs(left(push.feature) - push.push) < round_off<S>(100));
      left(push.feature) = 0;
    }
    CHECK(left.norm() == 0);  // each feature once, and none is missing
  }
}

}  // namespace

TEMPLATE_TEST_CASE("the pushes of all features add up to the margin", "[router][property]", float,
                   double) {
  using S = TestType;
  const auto kind = GENERATE(ExpansionKind::identity, ExpansionKind::dense);
  const bool labelled = GENERATE(true, false);
  const double label_weight = GENERATE(1.0, 0.5, 0.0);
  CAPTURE(to_string(kind), labelled, label_weight);
  const RouterOptions options{
      .expansion = {.kind = kind, .dim = 32}, .rls = labelled_rls, .label_weight = label_weight};
  const AnalyticRouter<S> router =
      router_of(labelled_tasks<S>({30, 25, 20, 15}), options, labelled);
  Matrix<S> query = random_normal<S>(1, labelled_dim, 41);
  query(0, 3) = 0;
  check_pushes(router, query);
  check_pushes(router, to_sparse<S>(query));
  const Explanation told = explain(*router.table(), query);
  CHECK(told.of_features == (kind == ExpansionKind::identity));
}

TEST_CASE("the pushes towards a task that was joined add up too", "[router]") {
  const bool labelled = GENERATE(true, false);
  CAPTURE(labelled);
  AnalyticRouter<double> router =
      router_of(labelled_tasks<double>({30, 25, 20}), {.rls = labelled_rls}, labelled);
  router.join("task-0", "task-2", "both");
  for (Index i = 0; i < 4; ++i) {
    check_pushes(router, Matrix<double>(random_normal<double>(1, labelled_dim, 42).array() - i));
  }
}

TEST_CASE("rivals and pushes stand in order and no more are named than asked for", "[router]") {
  const AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 25, 20, 15}));
  const Matrix<double> query = random_normal<double>(1, labelled_dim, 43);
  const Explanation whole = explain(*router.table(), query, 3, all_pushes);
  CHECK(whole.rivals.front().task == whole.decision.runner_up);
  CHECK(whole.rivals.front().margin == whole.decision.margin);
  for (std::size_t k = 1; k < whole.rivals.size(); ++k) {
    CHECK(whole.rivals[k - 1].margin <= whole.rivals[k].margin);
  }
  const std::vector<FeaturePush>& pushes = whole.rivals.front().pushes;
  CHECK(pushes.size() == static_cast<std::size_t>(labelled_dim));
  for (std::size_t j = 1; j < pushes.size(); ++j) {
    CHECK(std::abs(pushes[j - 1].push) >= std::abs(pushes[j].push));
  }
  const Explanation part = explain(*router.table(), query, 2, 4);
  REQUIRE(part.rivals.size() == 2);
  REQUIRE(part.rivals[0].pushes.size() == 4);
  for (std::size_t j = 0; j < 4; ++j) {  // the largest of all
    CHECK(part.rivals[0].pushes[j].feature == pushes[j].feature);
    CHECK(part.rivals[0].pushes[j].push == pushes[j].push);
  }
  CHECK(explain(*router.table(), query, 0).rivals.empty());
  CHECK(explain(*router.table(), query, 1, 0).rivals[0].pushes.empty());
}

TEST_CASE("an explanation carries the decision that it explains", "[router]") {
  const AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 25, 20}));
  const Matrix<double> query = random_normal<double>(1, labelled_dim, 44);
  const RoutingDecision decision = decisions_of(router, query).front();
  const Explanation told = explain(*router.table(), query);
  CHECK(told.decision.task == decision.task);
  CHECK(told.decision.scores == decision.scores);
  CHECK(told.decision.confidence == decision.confidence);
  CHECK(told.decision.novelty == decision.novelty);
}

TEST_CASE("archived tasks are no rivals and a task alone has none", "[router]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 25, 20}));
  const Matrix<double> query = random_normal<double>(1, labelled_dim, 45);
  const Index second = decisions_of(router, query).front().runner_up;
  router.set_active(router.tasks()[static_cast<std::size_t>(second)].name, false);
  const Explanation told = explain(*router.table(), query, 5);
  REQUIRE(told.rivals.size() == 1);
  CHECK(told.rivals[0].task != second);
  const AnalyticRouter<double> alone = router_of(labelled_tasks<double>({9}));
  CHECK(explain(*alone.table(), query).rivals.empty());
}

TEST_CASE("features that push nowhere are not named", "[router]") {
  const AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 25}));
  Matrix<double> query = Matrix<double>::Zero(1, labelled_dim);
  query(0, 2) = 1;
  const Explanation told = explain(*router.table(), query, 1, all_pushes);
  REQUIRE(told.rivals[0].pushes.size() == 1);
  CHECK(told.rivals[0].pushes[0].feature == 2);
}

TEST_CASE("what cannot be explained is refused", "[router][error]") {
  const AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 25}));
  const Matrix<double> query = random_normal<double>(1, labelled_dim, 46);
  const auto refused = [&](const Matrix<double>& x, Index rivals, Index pushes) {
    return message_of<Error>([&] { (void)explain(*router.table(), x, rivals, pushes); });
  };
  CHECK(refused(query, -1, 3) == "rivals is -1, expected 0 or more");
  CHECK(refused(query, 2, -3) == "pushes is -3, expected 0 or more");
  CHECK(contains(refused(query.replicate(2, 1), 1, 1), "features are 2 x 14, expected 1 rows"));
  CHECK(contains(refused(query.leftCols(5), 1, 1), "features are 1 x 5, expected n x 14"));
  const AnalyticRouter<double> untaught(labelled_dim);
  CHECK(contains(message_of<TaskError>([&] { (void)explain(*untaught.table(), query); }),
                 "no task is learned yet"));
}
