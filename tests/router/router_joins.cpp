// SPDX-License-Identifier: MIT
// Two tasks of a router become one, for a time or for good.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// The rows of two tasks as one task; the labels of the second follow those of the first.
template <class S>
LabelledRows<S> union_of(const LabelledRows<S>& first, const LabelledRows<S>& second,
                         const std::string& name) {
  LabelledRows<S> both = first;
  both.name = name;
  both.x = Matrix<S>(first.x.rows() + second.x.rows(), labelled_dim);
  both.x << first.x, second.x;
  for (const Index label : second.labels) both.labels.push_back(2 + label);
  return both;
}

/// Column of W of a task by its name, and of its labels after it.
template <class S>
Matrix<S> columns_of(const AnalyticRouter<S>& router, const std::string& name) {
  const RoutedTask& task = router.tasks()[static_cast<std::size_t>(*router.find(name))];
  const auto labels = static_cast<Index>(task.label_columns.size());
  Matrix<S> columns(labelled_dim, 1 + labels);
  columns.col(0) = router.table()->weights().col(task.column);
  for (Index j = 0; j < labels; ++j) {
    const Index column = task.label_columns[static_cast<std::size_t>(j)];
    columns.col(1 + j) = router.table()->weights().col(column);
  }
  return columns;
}

std::vector<std::string> names_of(const std::vector<RoutedTask>& tasks) {
  std::vector<std::string> names;
  for (const RoutedTask& task : tasks) names.push_back(task.name);
  return names;
}

/// Scores of tasks by name, n x names.
template <class S>
Eigen::MatrixXd scores_by_name(const AnalyticRouter<S>& router, const Matrix<S>& queries,
                               const std::vector<std::string>& names) {
  const Eigen::MatrixXd scores = scores_of(router, queries);
  Eigen::MatrixXd result(scores.rows(), static_cast<Index>(names.size()));
  for (std::size_t t = 0; t < names.size(); ++t) {
    result.col(static_cast<Index>(t)) = scores.col(*router.find(names[t]));
  }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("tasks that join are one task that learned the rows of both",
                   "[router][property]", float, double) {
  using S = TestType;
  const bool labelled = GENERATE(true, false);
  const bool swapped = GENERATE(false, true);
  CAPTURE(labelled, swapped);
  const LabelledTasks<S> tasks = labelled_tasks<S>({30, 20, 25});
  const RouterOptions options{.rls = labelled_rls, .label_weight = 0.75};
  AnalyticRouter<S> router = router_of(tasks, options, labelled);
  const std::size_t first = swapped ? 2 : 0;
  const std::size_t second = 2 - first;
  const LabelledRows<S> both = union_of(tasks[first], tasks[second], "both");
  const AnalyticRouter<S> joint = router_of(LabelledTasks<S>{both, tasks[1]}, options, labelled);
  const Matrix<S> queries = random_normal<S>(30, labelled_dim, 61);
  const std::vector<std::string> names{"both", "task-1"};
  const Eigen::MatrixXd expected = scores_by_name(joint, queries, names);

  router.join(tasks[first].name, tasks[second].name, "both");
  REQUIRE(router.tasks().size() == 2);
  CHECK(router.find("both") == (swapped ? 1 : 0));  // in the place of the first
  const RoutedTask joined = router.tasks()[static_cast<std::size_t>(*router.find("both"))];
  CHECK(joined.rows == 55);
  CHECK(joined.parts.size() == 2);
  CHECK(relative_error(scores_by_name(router, queries, names), expected) < router_tolerance<S>());

  router.commit_join("both");
  CHECK(router.regression().targets() == joint.regression().targets());
  CHECK(router.tasks()[static_cast<std::size_t>(*router.find("both"))].parts.empty());
  CHECK(relative_error(scores_by_name(router, queries, names), expected) < router_tolerance<S>());
  for (const std::string& name : names) {
    CHECK(relative_error(columns_of(router, name), columns_of(joint, name)) <
          router_tolerance<S>());
  }
}

TEST_CASE("a committed join goes on learning as one task", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 25});
  AnalyticRouter<double> router = router_of(tasks);
  router.join("task-0", "task-1", "both");
  router.commit_join("both");
  AnalyticRouter<double> joint =
      router_of(LabelledTasks<double>{union_of(tasks[0], tasks[1], "both"), tasks[2]});
  const LabelledRows<double> more(9, 10);
  const std::vector<Index> labels{3, 3, 0, 4, 1, 2, 4, 0, 1, 2};  // a new one too
  for (AnalyticRouter<double>* each : {&router, &joint}) each->extend("both", more.x, labels);
  CHECK(router.tasks()[0].rows == 60);
  for (const std::string name : {"both", "task-2"}) {
    CHECK(relative_error(columns_of(router, name), columns_of(joint, name)) < 1e-9);
  }
  const Matrix<double> query = random_normal<double>(1, labelled_dim, 62);
  CHECK(router.best_label("both", query) == joint.best_label("both", query));
}

TEMPLATE_TEST_CASE("an undone join leaves no trace", "[router][property]", float, double) {
  using S = TestType;
  AnalyticRouter<S> router = router_of(labelled_tasks<S>({30, 20, 25}));
  const Matrix<S> queries = random_normal<S>(30, labelled_dim, 63);
  const std::vector<std::string> names = names_of(router.tasks());
  const Eigen::MatrixXd scores = scores_of(router, queries);
  const auto table = router.table();
  router.join("task-0", "task-2", "both");
  router.undo_join("both");
  CHECK(names_of(router.tasks()) == std::vector<std::string>{"task-0", "task-2", "task-1"});
  CHECK(scores_by_name(router, queries, names) == scores);
  CHECK((router.table()->weights() == table->weights()));
  CHECK(router.table()->temperature() == table->temperature());
  CHECK(router.table()->candidate_threshold(0.9) == table->candidate_threshold(0.9));
  for (const RoutedTask& before : table->tasks()) {
    const RoutedTask& after = router.tasks()[static_cast<std::size_t>(*router.find(before.name))];
    CHECK(after.rows == before.rows);
    CHECK(after.column == before.column);
    CHECK(after.label_columns == before.label_columns);
    CHECK(after.further_columns.empty());
    CHECK(after.parts.empty());
    CHECK(after.calibration.residuals == before.calibration.residuals);
  }
  const LabelledRows<S> more(0, 4, 3);
  router.extend("task-2", more.x, more.labels);  // they learn again
}

TEST_CASE("a join is undone after others were learned and removed", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 25, 16});
  AnalyticRouter<double> router =
      router_of(LabelledTasks<double>(tasks.begin(), tasks.begin() + 3));
  router.join("task-1", "task-2", "both");
  router.learn(tasks[3].name, tasks[3].x, tasks[3].labels);
  router.remove("task-0", router_of(LabelledTasks<double>{tasks[0]}));  // columns move
  router.undo_join("both");
  const LabelledTasks<double> left(tasks.begin() + 1, tasks.end());
  CHECK(names_of(router.tasks()) == std::vector<std::string>{"task-1", "task-2", "task-3"});
  CHECK(relative_error(router.table()->weights(), joint_of(router, left, 0.7, {1, 1, 1})) < 1e-9);
}

TEST_CASE("the mean score of a join is that of the rows of both", "[router]") {
  const bool labelled = GENERATE(true, false);
  CAPTURE(labelled);
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 25});
  AnalyticRouter<double> router = router_of(tasks, {.rls = labelled_rls}, labelled);
  const LabelledRows<double> both = union_of(tasks[0], tasks[1], "both");
  router.join("task-0", "task-1", "both");
  const RoutedTask& joined = router.tasks()[0];
  const Eigen::MatrixXd weights = router.table()->weights();
  double sum = 0;
  for (Index i = 0; i < 50; ++i) {
    const Eigen::RowVectorXd raw = both.x.row(i) * weights;
    const double own = raw(joined.column) + raw(joined.further_columns.front());
    const auto label = static_cast<std::size_t>(both.labels[static_cast<std::size_t>(i)]);
    sum += own + (labelled ? raw(joined.label_columns[label]) : own);
  }
  CHECK(std::abs(joined.calibration.mean_score - sum / 50) < 1e-9);
  CHECK(joined.calibration.rows == 50);
}

TEST_CASE("a join keeps the residuals of both as they are today", "[router]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({60, 20, 25});
  AnalyticRouter<double> router = router_of(tasks);
  const RoutedTask a = router.tasks()[0];
  const RoutedTask b = router.tasks()[1];
  const Eigen::MatrixXd weights = router.table()->weights();
  const auto mean_score = [&](const RoutedTask& task, const LabelledRows<double>& rows) {
    double sum = 0;
    for (Index i = 0; i < rows.x.rows(); ++i) {
      const Eigen::RowVectorXd raw = rows.x.row(i) * weights;
      sum += raw(task.column) +
             raw(task.label_columns[static_cast<std::size_t>(rows.labels[std::size_t(i)])]);
    }
    return sum / static_cast<double>(rows.x.rows());
  };
  const auto today = [&](const RoutedTask& task, const LabelledRows<double>& rows) {
    return detail::sketch_mean(task.calibration.residuals) + task.calibration.mean_score -
           mean_score(task, rows);
  };
  const double gap = mean_score(a, tasks[0]) - mean_score(b, tasks[1]);
  REQUIRE(gap > 0.2);  // what the first task's residuals must not be raised by
  router.join("task-0", "task-1", "both");
  const RoutedTask& joined = router.tasks()[0];
  const double apart = (60 * mean_score(a, tasks[0]) + 20 * mean_score(b, tasks[1])) / 80;
  const double fall = std::max(0.0, apart - joined.calibration.mean_score);
  const double expected = (60 * today(a, tasks[0]) + 20 * today(b, tasks[1])) / 80 + fall;
  CHECK(std::abs(detail::sketch_mean(joined.calibration.residuals) - expected) <
        0.02);  // a sketch of sketches
}

TEST_CASE("a join may take the name of either and be renamed", "[router]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20, 25}));
  const std::string name = GENERATE("task-0", "task-1", "both");
  router.join("task-0", "task-1", name);
  CHECK(names_of(router.tasks()) == std::vector<std::string>{name, "task-2"});
  router.rename(name, "renamed");
  router.rename("renamed", "task-1");
  router.undo_join("task-1");
  CHECK(names_of(router.tasks()) == std::vector<std::string>{"task-0", "task-1", "task-2"});
}

TEST_CASE("a join is archived as a whole", "[router]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20, 25}));
  router.set_active("task-0", false);
  CHECK(refusal<TaskError>(router, [&] { router.join("task-0", "task-1", "both"); }) ==
        "task 'task-0' is archived and 'task-1' is not, expected both alike");
  CHECK(refusal<TaskError>(router, [&] { router.join("task-1", "task-0", "both"); }) ==
        "task 'task-1' is active and 'task-0' is not, expected both alike");
  router.set_active("task-1", false);
  router.join("task-0", "task-1", "both");
  CHECK_FALSE(router.tasks()[0].active);
  router.set_active("both", true);
  router.undo_join("both");
  CHECK(router.tasks()[0].active);
  CHECK(router.tasks()[1].active);
}

TEST_CASE("tasks that cannot join are refused", "[router][error]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 25});
  AnalyticRouter<double> router = router_of(tasks);
  router.learn("plain", tasks[0].x.topRows(6));
  const auto refused = [&](const char* first, const char* second, const char* name) {
    return refusal<Error>(router, [&] { router.join(first, second, name); });
  };
  CHECK(refused("task-0", "task-0", "x") == "task 'task-0' is to join itself");
  CHECK(refused("who", "task-0", "x") == "task 'who' is unknown: learn it first");
  CHECK(refused("task-0", "who", "x") == "task 'who' is unknown: learn it first");
  CHECK(refused("task-0", "task-1", "task-2") ==
        "task 'task-2' is known already, expected another name");
  CHECK(refused("task-0", "task-1", "") == "the new task name is empty, expected a name");
  CHECK(refused("task-0", "plain", "x") ==
        "task 'task-0' was learned with labels, expected the same of 'plain'");
  AnalyticRouter<double> balanced = router_of(tasks, {.rls = labelled_rls, .balanced = true});
  CHECK(contains(refusal<ArgumentError>(balanced, [&] { balanced.join("task-0", "task-1", "x"); }),
                 "tasks of a balanced router cannot join"));
}

TEST_CASE("a join that waits refuses what would change what it learned", "[router][error]") {
  const LabelledTasks<double> tasks = labelled_tasks<double>({30, 20, 25});
  AnalyticRouter<double> router = router_of(tasks);
  router.join("task-0", "task-1", "both");
  const LabelledRows<double>& rows = tasks[0];
  const auto refused = [&](const auto& action) { return refusal<TaskError>(router, action); };
  const std::string waits = "task 'both' waits for a merge to be committed or undone";
  CHECK(refused([&] { router.extend("both", rows.x, rows.labels); }) == waits);
  CHECK(refused([&] { router.unlearn("both", rows.x, rows.labels); }) == waits);
  CHECK(refused([&] { router.remove("both"); }) == waits);
  CHECK(refused([&] { router.join("both", "task-2", "x"); }) == waits);
  CHECK(refused([&] { router.join("task-2", "both", "x"); }) == waits);
  AnalyticRouter<double> other(labelled_dim, router.options());
  other.learn("both", rows.x, rows.labels);
  CHECK(contains(refused([&] { router.merge(other); }), "'both' is frozen or waits for a merge"));
  CHECK(contains(refusal<TaskError>(other, [&] { other.merge(router); }), "waits for a merge"));
}

TEST_CASE("only a join that waits is committed or undone", "[router][error]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20, 25}));
  const auto refused = [&](const auto& action) { return refusal<TaskError>(router, action); };
  const std::string nothing =
      "task 'task-2' waits for no merge, expected one that merge_tasks made";
  CHECK(refused([&] { router.commit_join("task-2"); }) == nothing);
  CHECK(refused([&] { router.undo_join("task-2"); }) == nothing);
  CHECK(contains(refused([&] { router.undo_join("who"); }), "task 'who' is unknown"));
  router.join("task-0", "task-1", "both");
  router.commit_join("both");
  CHECK(contains(refused([&] { router.commit_join("both"); }), "'both' waits for no merge"));
  CHECK(contains(refused([&] { router.undo_join("both"); }), "'both' waits for no merge"));
}

TEST_CASE("a frozen join is neither committed nor undone", "[router][error]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20, 25}));
  router.join("task-0", "task-1", "both");
  router.set_frozen("both", true);
  const std::string frozen = "task 'both' is frozen: unfreeze it first";
  CHECK(refusal<TaskError>(router, [&] { router.commit_join("both"); }) == frozen);
  CHECK(refusal<TaskError>(router, [&] { router.undo_join("both"); }) == frozen);
  router.set_frozen("both", false);
  router.undo_join("both");
  CHECK(router.tasks().size() == 3);
}

TEST_CASE("a join whose old names are taken meanwhile cannot be undone", "[router][error]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20}));
  router.join("task-0", "task-1", "both");
  const LabelledRows<double> again(0, 6);
  CHECK(refusal<TaskError>(router, [&] { router.rename("both", ""); }) ==
        "the new task name is empty, expected a name");
  router.learn("task-0", again.x, again.labels);
  CHECK(refusal<TaskError>(router, [&] { router.undo_join("both"); }) ==
        "task 'task-0' is known already, expected another name");
  router.rename("task-0", "later");
  router.undo_join("both");
  CHECK(names_of(router.tasks()) == std::vector<std::string>{"task-0", "task-1", "later"});
}
