// SPDX-License-Identifier: MIT
// What a router can do without old rows: unlearn, merge, another ridge, balanced tasks. Each
// against a joint fit in double.

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

template <class S>
void check_joint(const AnalyticRouter<S>& router, const LabelledTasks<S>& tasks, double ridge) {
  const std::vector<double> ones(tasks.size(), 1.0);
  CHECK(relative_error(router.regression().weights(), joint_of(router, tasks, ridge, ones)) <
        router_tolerance<S>());
  CHECK(relative_error(router.table()->weights(), router.regression().weights()) == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("unlearned rows are gone as if they had never come", "[router][property]", float,
                   double) {
  using S = TestType;
  AnalyticRouter<S> router(labelled_dim, {.rls = labelled_rls});
  const LabelledRows<S> a(0, 40);
  const LabelledRows<S> b(1, 30);
  router.learn(a.name, a.x, a.labels);
  const std::uint64_t digest = router.learn(b.name, b.x.topRows(20), b.part(0, 20).labels);
  const std::uint64_t more = router.extend(b.name, b.x.bottomRows(10), b.part(20, 10).labels);
  CHECK(digest != more);
  router.unlearn(b.name, b.x.bottomRows(10), b.part(20, 10).labels, more);
  CHECK(router.tasks()[1].rows == 20);
  check_joint<S>(router, {a, b.part(0, 20)}, 0.7);
  router.unlearn(a.name, a.x.topRows(15), a.part(0, 15).labels);
  check_joint<S>(router, {a.part(15, 25), b.part(0, 20)}, 0.7);

  const RouterBefore<S> before(router);
  const auto refused = [&](const auto& action) {
    const std::string message = message_of<Error>(action);
    CHECK(RouterBefore<S>(router) == before);
    return message;
  };
  CHECK(contains(refused([&] { router.unlearn("who", a.x, a.labels); }), "task 'who' is unknown"));
  CHECK(contains(refused([&] { router.unlearn(b.name, b.x, b.labels); }),
                 "the rows to remove from task 'task-1' are 30, expected at most 20"));
  CHECK(contains(
      refused([&] { router.unlearn(b.name, b.x.topRows(20), b.part(0, 20).labels, digest + 1); }),
      "they are not the rows that were learned"));
  CHECK(contains(refused([&] {
                   router.unlearn(b.name, Matrix<S>(S(50) * a.x.topRows(4)), a.part(0, 4).labels);
                 }),
                 "were never learned"));
  CHECK(contains(refused([&] {
                   router.unlearn(b.name, b.x.topRows(2), std::vector<Index>{0, 7});
                 }),
                 "never learned label 7"));
  CHECK(contains(refused([&] { router.unlearn(b.name, b.x.topRows(2)); }), "with labels"));
  Matrix<S> bad = b.x.topRows(2);
  bad(1, 3) = std::numeric_limits<S>::quiet_NaN();
  CHECK(contains(refused([&] { router.unlearn(b.name, bad, b.part(0, 2).labels); }),
                 "NaN or infinity at row 1, column 3"));
}

TEMPLATE_TEST_CASE("merged routers equal one that learned everything", "[router][property]", float,
                   double) {
  using S = TestType;
  const RouterOptions options{.expansion = {.kind = ExpansionKind::identity}, .rls = labelled_rls};
  const LabelledRows<S> a(0, 24);
  const LabelledRows<S> b(1, 30);
  const LabelledRows<S> c(2, 18);
  AnalyticRouter<S> left(labelled_dim, options);
  AnalyticRouter<S> right(labelled_dim, options);
  left.learn(a.name, a.x, a.labels);
  left.learn(b.name, b.x.topRows(13), b.part(0, 13).labels);
  right.learn(c.name, c.x, c.labels);
  right.learn(b.name, b.x.bottomRows(17), b.part(13, 17).labels);
  left.merge(right);
  REQUIRE(left.tasks().size() == 3);
  CHECK(left.tasks()[1].rows == 30);
  CHECK(left.find("task-2") == 2);
  check_joint<S>(left, {a, b, c}, 0.7);
  left.learn("later", c.x.topRows(4), c.part(0, 4).labels);  // goes on learning
  CHECK(left.tasks().size() == 4);
}

TEST_CASE("a task that a merge brings stays archived or frozen", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 25});
  AnalyticRouter<double> left = router_of(LabelledTasks<double>{tasks[0]});
  AnalyticRouter<double> right = router_of(LabelledTasks<double>{tasks[1], tasks[2]});
  right.set_active("task-1", false);
  right.set_frozen("task-2", true);
  left.merge(right);
  CHECK(left.tasks()[0].active);
  CHECK_FALSE(left.tasks()[1].active);
  CHECK_FALSE(left.tasks()[1].frozen);
  CHECK(left.tasks()[2].active);
  CHECK(left.tasks()[2].frozen);
  check_joint<double>(left, tasks, 0.7);
}

TEST_CASE("routers of another seed or width or weighting are not merged", "[router][error]") {
  const auto make = [](std::uint64_t seed, Index width, bool balanced, Activation activation) {
    AnalyticRouter<double> router(labelled_dim, {.expansion = {.kind = ExpansionKind::dense,
                                                               .dim = width,
                                                               .activation = activation,
                                                               .seed = seed},
                                                 .rls = labelled_rls,
                                                 .balanced = balanced});
    const LabelledRows<double> rows(0, 20);
    router.learn(rows.name, rows.x, rows.labels, seed == 7 ? 25 : 0);
    return router;
  };
  AnalyticRouter<double> router = make(1, 32, false, Activation::relu);
  const RouterBefore<double> before(router);
  const auto refused = [&](const AnalyticRouter<double>& other) {
    const std::string message = message_of<Error>([&] { router.merge(other); });
    CHECK(RouterBefore<double>(router) == before);
    return message;
  };
  CHECK(contains(refused(make(2, 32, false, Activation::relu)), "seed 2, expected"));
  CHECK(contains(refused(make(1, 33, false, Activation::relu)), "14 to 33"));
  CHECK(contains(refused(make(1, 32, false, Activation::gelu)), "another expansion"));
  CHECK(contains(refused(make(1, 32, true, Activation::relu)),
                 "the router to merge is balanced, expected the same as here"));
  AnalyticRouter<double> balanced = make(7, 32, true, Activation::relu);  // declared 25 rows
  AnalyticRouter<double> same_seed(labelled_dim, balanced.options());
  const LabelledRows<double> rows(0, 20);
  same_seed.learn(rows.name, rows.x, rows.labels);
  CHECK(contains(message_of<TaskError>([&] { balanced.merge(same_seed); }),
                 "declare the same number of rows in both"));
}

TEMPLATE_TEST_CASE("another ridge needs no data", "[router][property]", float, double) {
  using S = TestType;
  const LabelledTasks<S> tasks{LabelledRows<S>(0, 40), LabelledRows<S>(1, 25)};
  AnalyticRouter<S> router(labelled_dim, {.rls = labelled_rls});
  for (const auto& task : tasks) router.learn(task.name, task.x, task.labels);
  router.set_ridge(5);
  CHECK(router.options().rls.ridge == 5);
  check_joint<S>(router, tasks, 5);
  const LabelledRows<S> third(2, 12);
  router.learn(third.name, third.x, third.labels);  // the new ridge stays
  check_joint<S>(router, {tasks[0], tasks[1], third}, 5);
  const RouterBefore<S> before(router);
  CHECK(contains(message_of<ArgumentError>([&] { router.set_ridge(0); }), "ridge is 0"));
  CHECK(contains(message_of<ArgumentError>([&] {
                   (void)router.select_ridge(std::vector<double>{1, -1});
                 }),
                 "ridge is -1"));
  CHECK(RouterBefore<S>(router) == before);
}

TEMPLATE_TEST_CASE("a balanced router is the joint fit with weights of one over n",
                   "[router][property]", float, double) {
  using S = TestType;
  const bool relative = GENERATE(false, true);
  const bool reverse = GENERATE(false, true);
  CAPTURE(relative, reverse);
  LabelledTasks<S> tasks{LabelledRows<S>(0, 60), LabelledRows<S>(1, 9), LabelledRows<S>(2, 20)};
  if (reverse) std::swap(tasks[0], tasks[2]);
  RlsOptions rls = labelled_rls;
  if (relative) rls.ridge_scale = RidgeScale::relative;
  AnalyticRouter<S> router(labelled_dim, {.rls = rls, .balanced = true});
  std::vector<double> weights;
  double trace = 0;
  Index rows = 0;
  for (const auto& task : tasks) {
    const Index half = task.x.rows() / 2;
    const auto first = task.part(0, half);
    const auto second = task.part(half, task.x.rows() - half);
    router.learn(task.name, first.x, first.labels, task.x.rows());
    router.extend(task.name, second.x, second.labels);
    weights.push_back(1 / static_cast<double>(task.x.rows()));
    trace += weights.back() * task.x.template cast<double>().squaredNorm();
    rows += task.x.rows();
  }
  const double scale = relative ? trace / labelled_dim : 3.0 / static_cast<double>(rows);
  CHECK(std::abs(router.regression().ridge() - 0.7 * scale) < 1e-5 * scale);
  CHECK(relative_error(router.regression().weights(),
                       joint_of(router, tasks, 0.7 * scale, weights)) < router_tolerance<S>());
  const std::vector<double> candidates{0.01, 0.1, 1};
  const RidgeSelection selection = router.select_ridge(candidates);
  CHECK(selection.candidates[1].ridge == 0.1);
  CHECK(std::abs(selection.candidates[1].lambda - 0.1 * scale) < 1e-5 * scale);
  CHECK(std::find(candidates.begin(), candidates.end(), selection.ridge) != candidates.end());

  const RouterBefore<S> before(router);
  CHECK(contains(message_of<TaskError>([&] {
                   router.extend(tasks[1].name, tasks[1].x.topRows(1), std::vector<Index>{0});
                 }),
                 "would have 10 rows, expected at most the 9 it was declared with"));
  CHECK(RouterBefore<S>(router) == before);
  router.unlearn(tasks[0].name, tasks[0].x.topRows(5), tasks[0].part(0, 5).labels);
  CHECK(router.tasks()[0].rows == tasks[0].x.rows() - 5);
}

TEST_CASE("unlearned rows have no say in what is calibrated", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({60, 60, 240});
  const AnalyticRouter<double> never = router_of(LabelledTasks<double>{tasks[0], tasks[1]});
  AnalyticRouter<double> router = router_of(tasks);
  router.unlearn("task-2", tasks[2].x, tasks[2].labels);
  CHECK(router.tasks()[2].calibration.rows == 0);
  const double coverage = GENERATE(0.8, 0.9);
  CHECK(router.table()->candidate_threshold(coverage) >
        never.table()->candidate_threshold(coverage) - 0.1);
}

TEST_CASE("a router of another label weight is not merged", "[router][error]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20});
  AnalyticRouter<double> router = router_of(LabelledTasks<double>{tasks[0]});
  AnalyticRouter<double> other(labelled_dim, {.label_weight = 0.25});
  CHECK(contains(refusal<ArgumentError>(router, [&] { router.merge(other); }),
                 "the router to merge has label_weight 0.25, expected 1 as here"));
}
