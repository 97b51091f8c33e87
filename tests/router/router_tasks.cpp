// SPDX-License-Identifier: MIT
// The life of tasks without old rows: archived, frozen, renamed, removed.
#include "anyssr/router/analytic_router.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// A router that learned one task alone, as a router of all tasks would have.
template <class S>
AnalyticRouter<S> own_sums_of(const LabelledRows<S>& rows, const RouterOptions& options) {
  return router_of(LabelledTasks<S>{rows}, options);
}

/// W of the tasks left where the rows of another are examples of no task, in double.
template <class S>
Eigen::MatrixXd joint_with_strangers(const AnalyticRouter<S>& router, const LabelledTasks<S>& tasks,
                                     const LabelledRows<S>& gone) {
  Index rows = gone.x.rows();
  for (const auto& task : tasks) rows += task.x.rows();
  Eigen::MatrixXd x(rows, labelled_dim);
  Eigen::MatrixXd y = Eigen::MatrixXd::Zero(rows, router.regression().targets());
  Index at = 0;
  for (const auto& task : tasks) {
    const RoutedTask& routed = router.tasks()[static_cast<std::size_t>(*router.find(task.name))];
    for (Index i = 0; i < task.x.rows(); ++i, ++at) {
      x.row(at) = task.x.row(i).template cast<double>();
      y(at, routed.column) = 1;
      const auto label = static_cast<std::size_t>(task.labels[static_cast<std::size_t>(i)]);
      y(at, routed.label_columns[label]) = 1;
    }
  }
  x.bottomRows(gone.x.rows()) = gone.x.template cast<double>();
  return joint_fit(x, y, 0.7);
}

/// Message of a TaskError; the router stays as it was.
template <class S, class Action>
std::string task_refusal(const AnalyticRouter<S>& router, const Action& action) {
  return refusal<TaskError>(router, action);
}

}  // namespace

TEMPLATE_TEST_CASE("archiving a task changes no bit of the others and restoring none at all",
                   "[router][property]", float, double) {
  using S = TestType;
  AnalyticRouter<S> router = router_of(labelled_tasks<S>({30, 20, 25}));
  const Matrix<S> queries = random_normal<S>(40, labelled_dim, 51);
  const auto before = decisions_of(router, queries);
  router.set_active("task-1", false);
  CHECK_FALSE(router.tasks()[1].active);
  const Eigen::MatrixXd scores = scores_of(router, queries);
  for (Index i = 0; i < 40; ++i) {
    const Vector<double>& whole = before[static_cast<std::size_t>(i)].scores;
    CHECK(scores(i, 0) == whole(0));
    CHECK(scores(i, 1) == -std::numeric_limits<double>::infinity());
    CHECK(scores(i, 2) == whole(2));
  }
  router.set_active("task-1", true);
  const auto after = decisions_of(router, queries);
  for (std::size_t i = 0; i < 40; ++i) {
    CHECK(after[i].scores == before[i].scores);
    CHECK(after[i].task == before[i].task);
    CHECK(after[i].confidence == before[i].confidence);
    CHECK(after[i].novelty == before[i].novelty);
  }
}

TEST_CASE("an archived task is never chosen", "[router][property]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20, 25}));
  const Matrix<double> queries = random_normal<double>(100, labelled_dim, 52);
  const Eigen::MatrixXd whole = scores_of(router, queries);
  router.set_active("task-0", false);
  const auto decisions = decisions_of(router, queries);
  for (Index i = 0; i < 100; ++i) {
    const RoutingDecision& decision = decisions[static_cast<std::size_t>(i)];
    const Index best = whole(i, 1) >= whole(i, 2) ? 1 : 2;
    CHECK(decision.task == best);
    CHECK(decision.runner_up == 3 - best);
    const double margin = std::abs(whole(i, 1) - whole(i, 2));
    CHECK(decision.margin == margin);
    const double confidence = 1 / (1 + std::exp(-router.table()->temperature() * margin));
    CHECK(std::abs(decision.confidence - confidence) < 1e-12);
  }
}

TEST_CASE("the only active task is chosen for every query", "[router]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20}));
  router.set_active("task-0", false);
  for (const auto& decision : decisions_of(router, random_normal<double>(9, labelled_dim, 53))) {
    CHECK(decision.task == 1);
    CHECK(decision.runner_up == -1);
    CHECK(decision.confidence == 1);
    CHECK(decision.margin == decision.scores(1));
  }
}

TEST_CASE("a router without an active task decides nothing", "[router][error]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20}));
  router.set_active("task-0", false);
  router.set_active("task-1", false);
  const Matrix<double> query = random_normal<double>(1, labelled_dim, 54);
  RoutingWorkspace<double> workspace;
  RoutingDecision decision;
  CHECK(task_refusal(router, [&] { router.decide(query, workspace, decision); }) ==
        "no task is active: all are archived, restore one first");
  CHECK(decision.task == -1);
  CHECK(contains(task_refusal(router, [&] { (void)decisions_of(router, query); }),
                 "no task is active"));
  router.set_active("task-1", true);
  CHECK(decisions_of(router, query).front().task == 1);
}

TEST_CASE("an archived task goes on learning", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20});
  AnalyticRouter<double> router = router_of(LabelledTasks<double>{tasks[0], tasks[1].part(0, 12)});
  router.set_active("task-1", false);
  router.extend("task-1", tasks[1].x.bottomRows(8), tasks[1].part(12, 8).labels);
  CHECK_FALSE(router.tasks()[1].active);
  router.set_active("task-1", true);
  CHECK(relative_error(router.table()->weights(), joint_of(router, tasks, 0.7, {1, 1})) < 1e-9);
}

TEST_CASE("a frozen task refuses every change of what it learned", "[router][error]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 25});
  AnalyticRouter<double> router = router_of(tasks);
  const Matrix<double> queries = random_normal<double>(9, labelled_dim, 55);
  const Eigen::MatrixXd scores = scores_of(router, queries);
  router.set_frozen("task-1", true);
  CHECK(router.tasks()[1].frozen);
  CHECK(scores_of(router, queries) == scores);
  const LabelledRows<double>& rows = tasks[1];
  const AnalyticRouter<double> own = own_sums_of(rows, router.options());
  const std::string frozen = "task 'task-1' is frozen: unfreeze it first";
  CHECK(task_refusal(router, [&] { router.extend("task-1", rows.x, rows.labels); }) == frozen);
  CHECK(task_refusal(router, [&] { router.unlearn("task-1", rows.x, rows.labels); }) == frozen);
  CHECK(task_refusal(router, [&] { router.remove("task-1"); }) == frozen);
  CHECK(task_refusal(router, [&] { router.remove("task-1", own); }) == frozen);
  CHECK(task_refusal(router, [&] { router.join("task-1", "task-0", "x"); }) == frozen);
  CHECK(task_refusal(router, [&] { router.join("task-0", "task-1", "x"); }) == frozen);
  CHECK(contains(task_refusal(router, [&] { router.merge(own); }), "'task-1' is frozen"));
  router.extend("task-0", rows.x.topRows(2), rows.part(0, 2).labels);  // others go on
  router.set_active("task-1", false);                                  // and it may be archived
  router.set_frozen("task-1", false);
  router.extend("task-1", rows.x, rows.labels);
  CHECK(router.tasks()[1].rows == 40);
}

TEST_CASE("another name changes no bit of the decisions", "[router]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20}));
  const Matrix<double> queries = random_normal<double>(9, labelled_dim, 56);
  const Eigen::MatrixXd scores = scores_of(router, queries);
  router.rename("task-0", "travel");
  CHECK(router.find("travel") == 0);
  CHECK_FALSE(router.find("task-0").has_value());
  CHECK(scores_of(router, queries) == scores);
  router.rename("travel", "travel");
  CHECK(router.find("travel") == 0);
  const LabelledRows<double> rows(7, 5);
  router.learn("task-0", rows.x, rows.labels);  // the name is free again
  CHECK(router.tasks().size() == 3);
}

TEST_CASE("names that are unknown empty or taken are refused", "[router][error]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20}));
  const auto refused = [&](const auto& action) { return task_refusal(router, action); };
  const std::string unknown = "task 'who' is unknown: learn it first";
  CHECK(refused([&] { router.rename("who", "x"); }) == unknown);
  CHECK(refused([&] { router.rename("task-0", ""); }) ==
        "the new task name is empty, expected a name");
  CHECK(refused([&] { router.rename("task-0", "task-1"); }) ==
        "task 'task-1' is known already, expected another name");
  CHECK(refused([&] { router.set_active("who", false); }) == unknown);
  CHECK(refused([&] { router.set_frozen("who", true); }) == unknown);
  CHECK(refused([&] { router.remove("who"); }) == unknown);
  CHECK(refused([&] { router.remove("who", router); }) == unknown);
}

TEMPLATE_TEST_CASE("a removed task leaves its rows as examples of no task", "[router][property]",
                   float, double) {
  using S = TestType;
  LabelledTasks<S> tasks = labelled_tasks<S>({30, 20, 25});
  AnalyticRouter<S> router = router_of(tasks);
  router.remove("task-1");
  const LabelledRows<S> gone = tasks[1];
  tasks.erase(tasks.begin() + 1);
  CHECK(router.tasks().size() == 2);
  CHECK_FALSE(router.find("task-1").has_value());
  CHECK(router.regression().targets() == 6);
  CHECK(router.regression().rows() == 75);
  CHECK(router.removed_rows() == 20);
  const Eigen::MatrixXd expected = joint_with_strangers(router, tasks, gone);
  CHECK(relative_error(router.table()->weights(), expected) < router_tolerance<S>());
  CHECK(router.regression().target_energy().sum() == 110);
}

TEST_CASE("a removed task's name and columns serve the next task", "[router]") {
  LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 25});
  AnalyticRouter<double> router = router_of(tasks);
  router.remove("task-0");
  const LabelledRows<double> again(8, 12);
  router.learn("task-0", again.x, again.labels);
  CHECK(router.regression().targets() == 9);
  const LabelledRows<double> gone = tasks[0];
  tasks[0] = again;
  tasks[0].name = "task-0";
  CHECK(relative_error(router.table()->weights(), joint_with_strangers(router, tasks, gone)) <
        1e-9);
}

TEMPLATE_TEST_CASE("a task removed after unlearning is as if never learned", "[router][property]",
                   float, double) {
  using S = TestType;
  LabelledTasks<S> tasks = labelled_tasks<S>({30, 20, 25});
  AnalyticRouter<S> router = router_of(tasks);
  router.unlearn("task-1", tasks[1].x, tasks[1].labels);
  router.remove("task-1");
  tasks.erase(tasks.begin() + 1);
  CHECK(router.removed_rows() == 0);
  CHECK(router.regression().rows() == 55);
  const Eigen::MatrixXd joint = joint_of(router, tasks, 0.7, {1, 1});
  CHECK(relative_error(router.table()->weights(), joint) < router_tolerance<S>());
}

TEMPLATE_TEST_CASE("a task removed by its own sums is as if never learned", "[router][property]",
                   float, double) {
  using S = TestType;
  const bool balanced = GENERATE(false, true);
  CAPTURE(balanced);
  const RouterOptions options{.rls = labelled_rls, .balanced = balanced};
  LabelledTasks<S> tasks = labelled_tasks<S>({30, 20, 25});
  AnalyticRouter<S> router = router_of(tasks, options);
  AnalyticRouter<S> own(labelled_dim, options);  // in two parts and under another name
  own.learn("mine", tasks[1].x.topRows(9), tasks[1].part(0, 9).labels, 20);
  own.extend("mine", tasks[1].x.bottomRows(11), tasks[1].part(9, 11).labels);
  router.remove("task-1", own);
  tasks.erase(tasks.begin() + 1);
  CHECK(router.removed_rows() == 0);
  CHECK(router.regression().rows() == 55);
  CHECK(router.regression().targets() == 6);
  const std::vector<double> weights =
      balanced ? std::vector<double>{1.0 / 30, 1.0 / 25} : std::vector<double>{1, 1};
  const Eigen::MatrixXd joint = joint_of(router, tasks, balanced ? 0.7 * 2 / 55 : 0.7, weights);
  // What the removed rows leave behind is as large as they were beside what stays.
  CHECK(relative_error(router.table()->weights(), joint) <
        (balanced ? 4 : 1) * router_tolerance<S>());
}

TEST_CASE("the last task can be removed and others learned after it", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20});
  AnalyticRouter<double> router = router_of(LabelledTasks<double>{tasks[0]});
  router.remove("task-0", own_sums_of(tasks[0], router.options()));
  CHECK(router.tasks().empty());
  CHECK(router.regression().rows() == 0);
  router.learn("task-1", tasks[1].x, tasks[1].labels);
  const Eigen::MatrixXd joint = joint_of(router, LabelledTasks<double>{tasks[1]}, 0.7, {1});
  CHECK(relative_error(router.table()->weights(), joint) < 1e-9);
}

TEST_CASE("sums that are not the task's own are refused", "[router][error]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 25});
  AnalyticRouter<double> router = router_of(tasks);
  const RouterOptions options = router.options();
  const auto refused = [&](const AnalyticRouter<double>& own) {
    return refusal<Error>(router, [&] { router.remove("task-1", own); });
  };
  const std::string alone = "expected the 20 rows of this task and its 2 labels alone";
  CHECK(contains(refused(router), "hold 3 tasks and 75 rows, " + alone));
  CHECK(contains(refused(own_sums_of(tasks[1].part(0, 19), options)), alone));
  AnalyticRouter<double> unlabelled(labelled_dim, options);
  unlabelled.learn("task-1", tasks[1].x);
  CHECK(contains(refused(unlabelled), alone));
  RouterOptions other = options;
  other.expansion = {.kind = ExpansionKind::dense, .dim = 14, .seed = 3};
  CHECK(contains(refused(own_sums_of(tasks[1], other)), "another expansion"));
  LabelledRows<double> foreign(5, 20);
  foreign.x *= 30;
  CHECK(contains(refused(own_sums_of(foreign, options)), "were never learned"));
}

TEST_CASE("own sums with more in them than the task are refused", "[router][error]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 5});
  AnalyticRouter<double> router = router_of(tasks);
  const RouterOptions options = router.options();
  const auto refused = [&](const AnalyticRouter<double>& own) {
    return refusal<Error>(router, [&] { router.remove("task-1", own); });
  };
  AnalyticRouter<double> with_remains = router_of(LabelledTasks<double>{tasks[1], tasks[2]});
  with_remains.remove("task-2");
  CHECK(contains(refused(with_remains), "hold 1 tasks and 25 rows"));
  RouterOptions balanced = options;
  balanced.balanced = true;
  CHECK(contains(refused(own_sums_of(tasks[1], balanced)), "by count each row 0.05, expected 1"));
  AnalyticRouter<double> plain(labelled_dim, options);
  plain.learn("a", tasks[0].x);
  plain.learn("b", tasks[1].x);
  AnalyticRouter<double> halves(labelled_dim, options);
  halves.learn("one", tasks[1].x.topRows(8));
  halves.learn("two", tasks[1].x.bottomRows(12));
  halves.join("one", "two", "b");
  CHECK(contains(refusal<Error>(plain, [&] { plain.remove("b", halves); }), "waits for a merge"));
  halves.commit_join("b");
  plain.remove("b", halves);
  CHECK(plain.tasks().size() == 1);
}

TEST_CASE("a poisoned router refuses changes of its tasks", "[router][error]") {
  AnalyticRouter<float> router(
      60, {.rls = {.ridge = 1e-30, .ridge_scale = RidgeScale::absolute, .threads = 1}});
  const Matrix<float> rows = random_normal<float>(200, 60, 57);
  router.learn("first", rows.topRows(100));
  router.learn("second", rows.bottomRows(100));
  const Matrix<float> huge = 1e9F * random_normal<float>(2, 60, 58).replicate(10, 1);
  CHECK(contains(message_of<NumericalError>([&] { router.learn("third", huge); }), "ridge"));
  REQUIRE(router.is_poisoned());
  const auto table = router.table();
  const auto refused = [&](const auto& action) {
    const std::string message = message_of<NumericalError>(action);
    CHECK(router.table() == table);
    return contains(message, "the router is poisoned");
  };
  CHECK(refused([&] { router.set_active("first", false); }));
  CHECK(refused([&] { router.set_frozen("first", true); }));
  CHECK(refused([&] { router.rename("first", "x"); }));
  CHECK(refused([&] { router.remove("first"); }));
  CHECK(refused([&] { router.join("first", "second", "x"); }));
}

TEST_CASE("features so large that their scores overflow are refused", "[router][error]") {
  const AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20}));
  RoutingWorkspace<double> workspace;
  RoutingDecision decision;
  RowVector<double> x = router.table()->weights().col(0).transpose().cwiseSign();
  router.decide(x, workspace, decision);
  CHECK(std::isfinite(decision.confidence));
  x *= 1.7e308;
  CHECK(contains(message_of<NonFiniteError>([&] { router.decide(x, workspace, decision); }),
                 "features of row 0 are too large"));
}
