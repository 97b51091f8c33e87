// SPDX-License-Identifier: MIT
#include "anyssr/metrics/data_inspector.hpp"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"

namespace {

using namespace anyssr;
using anyssr::test::contains;
using anyssr::test::message_of;
using anyssr::test::random_sparse;
using anyssr::test::relative_error;
using anyssr::test::round_off;
using Labels = std::vector<Index>;
using Names = std::vector<std::string>;

constexpr Index seen_dim = 10;

/// Rows of task `task` of a seed: each task around its own centre.
Matrix<double> seen_rows(Index rows, int task, std::uint64_t seed) {
  const auto stream = static_cast<std::uint64_t>(task);
  const RowVector<double> centre = 2 * random_normal<double>(1, seen_dim, 77, stream);
  return random_normal<double>(rows, seen_dim, seed, stream).rowwise() + centre;
}

Labels even_labels(Index rows) {
  Labels labels;
  for (Index i = 0; i < rows; ++i) labels.push_back(i % 3);
  return labels;
}

Names names_of(Index rows, const std::string& task) {
  return Names(static_cast<std::size_t>(rows), task);
}

bool is_like(const FeatureMoments& a, const FeatureMoments& b) {
  return a.rows == b.rows && a.mean.size() == b.mean.size() &&
         relative_error(a.mean, b.mean) < round_off<double>(1000) &&
         relative_error(a.m2, b.m2) < round_off<double>(1000);
}

/// Counts equal, sums equal to rounding.
bool is_like(const InspectorState& a, const InspectorState& b) {
  bool like = a.dim == b.dim && a.sketch == b.sketch && a.seed == b.seed &&
              a.dropped_query_rows == b.dropped_query_rows && a.groups == b.groups &&
              a.learned.size() == b.learned.size() && a.windows.size() == b.windows.size();
  if (!like) return false;
  for (const auto& [task, sums] : a.learned) {
    const auto other = b.learned.find(task);
    like = like && other != b.learned.end() && sums.labels == other->second.labels &&
           is_like(sums.features, other->second.features);
  }
  for (std::size_t i = 0; i < a.windows.size(); ++i) {
    like = like && a.windows[i].number == b.windows[i].number &&
           a.windows[i].tasks == b.windows[i].tasks &&
           is_like(a.windows[i].features, b.windows[i].features);
  }
  return like;
}

/// A few observations, told by a number.
void observe_some(DataInspector& inspector, int which) {
  const auto seed = static_cast<std::uint64_t>(which);
  const Index rows = 20 + which;
  inspector.observe_learned("task " + std::to_string(which % 3), seen_rows(rows, which % 3, seed),
                            even_labels(rows));
  inspector.observe_queries(seen_rows(rows, which % 2, seed + 100),
                            names_of(rows, "task " + std::to_string(which % 2)),
                            60.0 * ((which * 5) % 7));
  const std::vector<std::uint8_t> correct{1, 0, static_cast<std::uint8_t>(which % 2)};
  inspector.observe_outcomes({{"region", {"eu", "us", "eu"}}}, correct);
}

InspectorOptions few_windows() { return {.sketch = 6, .window_seconds = 60, .max_windows = 3}; }

/// An inspector that learned two tasks and was asked about them in the hour 0.
DataInspector two_task_inspector(std::uint64_t seed) {
  DataInspector inspector(seen_dim);
  for (int task = 0; task < 2; ++task) {
    const std::string name = "task " + std::to_string(task);
    inspector.observe_learned(name, seen_rows(200, task, seed), even_labels(200));
    inspector.observe_queries(seen_rows(150, task, seed + 1000), names_of(150, name), 10);
  }
  return inspector;
}

}  // namespace

TEMPLATE_TEST_CASE("an inspector keeps rows and labels and moments of each task", "[metrics]",
                   float, double) {
  DataInspector inspector(seen_dim);
  const Matrix<TestType> x = seen_rows(12, 0, 1).cast<TestType>();
  const RowMajorMatrix<TestType> more = seen_rows(5, 0, 2).cast<TestType>();
  inspector.observe_learned("a", x, even_labels(12));
  inspector.observe_learned("a", more);
  Matrix<double> all(17, seen_dim + 1);
  all.leftCols(seen_dim) << x.template cast<double>(), more.template cast<double>();
  all.col(seen_dim) = all.leftCols(seen_dim).rowwise().norm();
  const LearnedSums& sums = inspector.state().learned.at("a");
  CHECK(is_like(sums.features, detail::moments_of(all)));
  CHECK(sums.labels == std::map<Index, Index>{{0, 4}, {1, 4}, {2, 4}});
}

TEST_CASE("an inspector takes sparse rows as it takes dense ones", "[metrics][property]") {
  const InspectorOptions options{.sketch = 16};
  DataInspector dense(400, options);
  DataInspector sparse(400, options);
  const SparseRows<float> x = random_sparse<float>(30, 400, 0.05, 3);
  dense.observe_learned("a", Matrix<float>(x));
  sparse.observe_learned("a", x);
  dense.observe_queries(Matrix<float>(x), names_of(30, "a"), 5);
  sparse.observe_queries(x, names_of(30, "a"), 5);
  CHECK(is_like(dense.state(), sparse.state()));
}

TEST_CASE("a merge of inspectors equals observing all in one", "[metrics][property]") {
  const int split = GENERATE(0, 1, 5, 9);
  CAPTURE(split);
  DataInspector all(seen_dim, few_windows());
  DataInspector first(seen_dim, few_windows());
  DataInspector second(seen_dim, few_windows());
  for (int which = 0; which < 9; ++which) {
    observe_some(all, which);
    observe_some(which < split ? first : second, which);
  }
  second.merge(first);
  CHECK(is_like(second.state(), all.state()));
  REQUIRE(all.state().windows.size() == 3);
  CHECK(all.state().windows[0].number == 4);
  CHECK(all.state().dropped_query_rows > 0);
}

TEST_CASE("the newest windows stay whatever the order of the queries", "[metrics][property]") {
  DataInspector inspector(seen_dim, few_windows());
  for (const double time : {500.0, 10.0, 125.0, 310.0, 59.0, 250.0}) {
    inspector.observe_queries(seen_rows(2, 0, 1), Names{"a", ""}, time);
  }
  const auto& windows = inspector.state().windows;
  REQUIRE(windows.size() == 3);
  CHECK(windows[0].number == 4);
  CHECK(windows[1].number == 5);
  CHECK(windows[2].number == 8);
  CHECK(windows[2].tasks == std::map<std::string, Index>{{"", 1}, {"a", 1}});
  CHECK(inspector.state().dropped_query_rows == 6);
}

TEST_CASE("a saved state goes on as if it had never stopped", "[metrics][property]") {
  DataInspector whole(seen_dim, few_windows());
  for (int which = 0; which < 6; ++which) observe_some(whole, which);
  DataInspector start(seen_dim, few_windows());
  for (int which = 0; which < 3; ++which) observe_some(start, which);
  DataInspector rest(start.state(), few_windows());
  for (int which = 3; which < 6; ++which) observe_some(rest, which);
  CHECK(is_like(rest.state(), whole.state()));
  CHECK(rest.state().windows.back().features.m2 == whole.state().windows.back().features.m2);
}

TEST_CASE("tasks asked in other shares are no drift of features", "[metrics][property]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 11)));
  CAPTURE(seed);
  DataInspector inspector = two_task_inspector(seed);
  inspector.observe_queries(seen_rows(300, 0, seed + 2000), names_of(300, "task 0"), 4000);
  inspector.observe_queries(seen_rows(20, 1, seed + 2000), names_of(20, "task 1"), 4000);
  const Drift learned = inspector.learned_to_now();
  CHECK(learned.tested);
  CHECK(learned.rows_before == 400);
  CHECK(learned.rows_now == 320);
  CHECK_FALSE(learned.alarm);
  CHECK(learned.shares.p < 1e-9);
  const Drift earlier = inspector.earlier_to_now();
  CHECK(earlier.alarm);
  CHECK(earlier.shares.now == 320.0 / 320 - 20.0 / 320);
}

TEST_CASE("drift from learned to now is the statistic of the mixture of tasks",
          "[metrics][property]") {
  const DataInspector inspector = two_task_inspector(3);
  const Drift drift = inspector.learned_to_now();
  const auto& learned = inspector.state().learned;
  const FeatureMoments& a = learned.at("task 0").features;
  const FeatureMoments& b = learned.at("task 1").features;
  const FeatureMoments& now = inspector.state().windows[0].features;
  double largest = 0;
  for (Index j = 0; j <= seen_dim; ++j) {
    const double error = (a.m2(j) + b.m2(j)) / 199 / 200 / 4 + now.m2(j) / 299 / 300;
    const double t = (now.mean(j) - (a.mean(j) + b.mean(j)) / 2) / std::sqrt(error);
    if (std::abs(t) > std::abs(largest)) largest = t;
  }
  CHECK(std::abs(drift.features.t - largest) < 1e-8);
}

TEST_CASE("queries as they were learned alarm as rarely as promised", "[metrics][property]") {
  int learned_alarms = 0;
  int earlier_alarms = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    DataInspector inspector(
        seen_dim, {.drift = {.alarm_p = 0.05, .smallest_shift = 0, .smallest_share_shift = 0}});
    inspector.observe_learned("a", seen_rows(60, 0, seed));
    inspector.observe_queries(seen_rows(50, 0, seed + 1000), names_of(50, "a"), 0);
    inspector.observe_queries(seen_rows(40, 0, seed + 2000), names_of(40, "a"), 4000);
    learned_alarms += inspector.learned_to_now().alarm ? 1 : 0;
    earlier_alarms += inspector.earlier_to_now().alarm ? 1 : 0;
  }
  // 10 expected at most; 22 are exceeded less than once in 1000 times
  CHECK(learned_alarms <= 22);
  CHECK(earlier_alarms <= 22);
}

TEST_CASE("queries of another kind alarm", "[metrics][property]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 11)));
  CAPTURE(seed);
  DataInspector inspector = two_task_inspector(seed);
  CHECK_FALSE(inspector.report().learned_to_now.alarm);
  Matrix<double> moved = seen_rows(200, 0, seed + 3000);
  moved.col(4).array() += 1;
  inspector.observe_queries(moved, names_of(200, "task 0"), 4000);
  const InspectorReport report = inspector.report();
  CHECK(report.learned_to_now.alarm);
  CHECK(report.learned_coordinate == "feature 4");
  CHECK(report.earlier_to_now.alarm);
}

TEST_CASE("a shift of wide features is seen through their sketch", "[metrics][property]") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 4)));
  CAPTURE(seed);
  DataInspector inspector(3000, {.seed = seed});
  inspector.observe_learned("a", random_normal<float>(400, 3000, seed, 1));
  Matrix<float> now = random_normal<float>(400, 3000, seed, 2);
  inspector.observe_queries(now, names_of(400, "a"), 0);
  CHECK_FALSE(inspector.learned_to_now().alarm);
  // a shift of a third of a row's whole deviation, in a direction of its own
  now.rowwise() += RowVector<float>(0.33F * random_normal<float>(1, 3000, seed, 3));
  inspector.observe_queries(now, names_of(400, "a"), 4000);
  CHECK(inspector.learned_to_now().alarm);
}

TEST_CASE("queries of unknown tasks are held against all learned rows", "[metrics][property]") {
  DataInspector inspector(seen_dim);
  inspector.observe_learned("a", seen_rows(100, 0, 1));
  inspector.observe_queries(seen_rows(50, 0, 2), names_of(50, "b"), 0);
  inspector.observe_queries(seen_rows(50, 0, 3), names_of(50, ""), 0);
  const Drift drift = inspector.learned_to_now();
  CHECK(drift.tested);
  CHECK_FALSE(drift.alarm);
  CHECK(drift.shares.distance == 1);  // b alone, a before
}

TEST_CASE("many unknown names are one kind of queries", "[metrics][property]") {
  int alarms = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    DataInspector inspector(seen_dim);
    inspector.observe_learned("a", seen_rows(100, 0, 2 * seed));
    Names names(2000);
    for (std::size_t i = 0; i < names.size(); ++i) {
      names[i] = i % 2 == 0 ? "a" : "unknown " + std::to_string(i % 20);
    }
    inspector.observe_queries(seen_rows(2000, 0, 2 * seed + 1), names, 0);
    alarms += inspector.learned_to_now().alarm ? 1 : 0;
  }
  CHECK(alarms <= 1);  // 0.1 % are promised
}

TEST_CASE("queries of a join are held against the rows of its parts", "[metrics][property]") {
  DataInspector inspector(seen_dim);
  inspector.observe_learned("a", seen_rows(200, 0, 1));
  inspector.observe_learned("b", seen_rows(200, 1, 2));
  inspector.observe_learned("c", seen_rows(2000, 2, 3));
  inspector.observe_queries(seen_rows(200, 0, 4), names_of(200, "both"), 0);
  inspector.observe_queries(seen_rows(200, 1, 5), names_of(200, "both"), 0);
  CHECK(inspector.learned_to_now().alarm);
  inspector.set_joins({{"both", {"a", "b"}}});
  const Drift drift = inspector.learned_to_now();
  CHECK_FALSE(drift.alarm);
  CHECK(drift.features.p > 0.01);
  CHECK(drift.shares.task == "both");
  CHECK(drift.shares.now == 1);
  CHECK(std::abs(drift.shares.distance - 2000.0 / 2400) < 1e-12);
}

TEST_CASE("a join of tasks that are asked as before is no drift", "[metrics][property]") {
  DataInspector inspector(seen_dim, few_windows());
  for (int task = 0; task < 3; ++task) {
    const std::string name = "task " + std::to_string(task);
    inspector.observe_learned(name, seen_rows(task == 0 ? 100 : 50, task, 1));
  }
  const auto ask = [&](double time, const std::vector<std::string>& names) {
    for (int task = 0; task < 3; ++task) {
      const Index rows = task == 0 ? 100 : 50;
      inspector.observe_queries(seen_rows(rows, task, 7 + static_cast<std::uint64_t>(time)),
                                names_of(rows, names[static_cast<std::size_t>(task)]), time);
    }
  };
  ask(0, {"task 0", "task 1", "task 2"});
  ask(60, {"both", "both", "task 2"});
  CHECK(inspector.earlier_to_now().alarm);
  inspector.set_joins({{"both", {"task 0", "task 1"}}});
  CHECK_FALSE(inspector.earlier_to_now().alarm);
  CHECK(inspector.earlier_to_now().shares.distance == 0);
  inspector.set_joins({});  // undone
  inspector.split_queries("both", "task 0", "task 1");
  CHECK(inspector.state().windows[1].tasks ==
        std::map<std::string, Index>{{"task 0", 100}, {"task 1", 50}, {"task 2", 50}});
  CHECK(inspector.earlier_to_now().shares.distance == 0);
  inspector.observe_queries(seen_rows(1, 0, 3), names_of(1, "one"), 60);
  inspector.split_queries("one", "task 1", "task 0");  // of a row none is left for the smaller one
  CHECK(inspector.state().windows[1].tasks.at("task 0") == 101);
  CHECK(inspector.state().windows[1].tasks.at("task 1") == 50);
}

TEST_CASE("imbalance is told before learning and counts nothing", "[metrics][golden]") {
  DataInspector inspector(seen_dim);
  Labels labels(14, 3);
  labels.resize(20, 1);
  const auto before = inspector.balance_warnings("a", labels);
  REQUIRE(before.size() == 1);
  CHECK(before[0].text == "task 'a': 70 % of the 20 rows are label 3, expected at most 60 %");
  CHECK(inspector.state().learned.empty());
  CHECK(inspector.balance_warnings().empty());
  inspector.observe_learned("a", seen_rows(20, 0, 1), labels);
  CHECK(inspector.balance_warnings().size() == 1);
  // 6 more of label 1 make 14 of 26
  CHECK(inspector.balance_warnings("a", Labels(6, 1)).empty());
  const auto other = inspector.balance_warnings("b", even_labels(90));
  REQUIRE(other.size() == 1);
  CHECK((other[0].kind == BalanceKind::large_task));
}

TEST_CASE("outcomes are counted by column and value", "[metrics][golden]") {
  DataInspector inspector(seen_dim, {.min_group_rows = 2});
  const std::vector<std::uint8_t> correct{1, 0, 1, 1};
  inspector.observe_outcomes({{"region", {"eu", "us", "eu", "us"}}, {"age", {"", "", "", "9"}}},
                             correct);
  const auto gaps = inspector.fairness();
  REQUIRE(gaps.size() == 2);
  CHECK(gaps[0].column == "age");
  CHECK(gaps[0].left_out == Names{"9"});
  CHECK(gaps[1].gap == 0.5);
  CHECK(gaps[1].worst == "us");
  CHECK(inspector.state().groups.at("age").at("").right == 2);
}

TEST_CASE("a forgotten task is no longer compared with", "[metrics][property]") {
  DataInspector inspector = two_task_inspector(1);
  inspector.forget_task("task 1");
  CHECK(inspector.state().learned.size() == 1);
  CHECK(inspector.state().windows[0].features.rows == 300);
  CHECK(message_of<TaskError>([&] { inspector.forget_task("task 1"); }) ==
        "task 'task 1' is not known, expected one that was observed");
}

TEST_CASE("rows that are taken away leave what the others gave", "[metrics][property]") {
  const Matrix<double> x = seen_rows(30, 0, 1);
  const Labels labels = even_labels(30);
  DataInspector inspector(seen_dim);
  inspector.observe_learned("a", x, labels);
  inspector.observe_learned("b", seen_rows(9, 1, 1));
  DataInspector others(seen_dim);
  others.observe_learned("a", x.topRows(21), Labels(labels.begin(), labels.begin() + 21));
  others.observe_learned("b", seen_rows(9, 1, 1));
  const LearnedSums last =
      inspector.sums_of(x.bottomRows(9), Labels(labels.begin() + 21, labels.end()));
  CHECK(inspector.take_learned("a", last));
  CHECK(is_like(inspector.state(), others.state()));

  inspector.add_learned("a", last);
  CHECK(inspector.take_learned(
      "a", inspector.sums_of(x.topRows(29), Labels(labels.begin(), labels.begin() + 29))));
  const LearnedSums& one = inspector.state().learned.at("a");
  CHECK(one.features.rows == 1);
  CHECK(one.features.m2.isZero(0));
  CHECK(one.labels == std::map<Index, Index>{{2, 1}});
  CHECK(inspector.take_learned("a", inspector.sums_of(x.bottomRows(1), Labels{2})));
  CHECK(inspector.state().learned.count("a") == 0);
}

TEST_CASE("rows that were not counted are not taken away", "[metrics][property]") {
  DataInspector inspector(seen_dim);
  const Matrix<double> x = seen_rows(6, 0, 1);
  inspector.observe_learned("a", x, even_labels(6));
  const InspectorState before = inspector.state();
  CHECK_FALSE(inspector.take_learned("b", inspector.sums_of(x)));
  CHECK_FALSE(inspector.take_learned("a", inspector.sums_of(seen_rows(7, 0, 1))));
  CHECK_FALSE(inspector.take_learned("a", inspector.sums_of(x.topRows(2), Labels{7, 0})));
  CHECK_FALSE(inspector.take_learned("a", inspector.sums_of(x.topRows(3), Labels{0, 0, 0})));
  CHECK_FALSE(inspector.take_learned("a", inspector.sums_of(x.topRows(2))));  // had labels
  CHECK(is_like(inspector.state(), before));
  CHECK(message_of<TaskError>([&] { inspector.take_learned("", inspector.sums_of(x)); }) ==
        "a task name is empty, expected a name");
  LearnedSums narrow = inspector.sums_of(x);
  narrow.features.mean.conservativeResize(3);
  CHECK(message_of<ShapeError>([&] { inspector.add_learned("a", narrow); }) ==
        "task 'a' has 3 means, expected 11, one a coordinate");
  CHECK(message_of<ShapeError>([&] { (void)inspector.sums_of(x, even_labels(7)); }) ==
        "labels have 7 entries, expected at most 6, one a row");
  CHECK(is_like(inspector.state(), before));
}

TEST_CASE("a renamed task keeps what was observed of it", "[metrics][property]") {
  DataInspector inspector = two_task_inspector(1);
  const InspectorState before = inspector.state();
  CHECK(message_of<TaskError>([&] { inspector.rename_task("task 0", "task 1"); }) ==
        "task 'task 1' has observations already, expected a new name");
  CHECK(message_of<TaskError>([&] { inspector.rename_task("", "c"); }) ==
        "a task name is empty, expected a name");
  CHECK(message_of<TaskError>([&] { inspector.rename_task("task 0", ""); }) ==
        "a task name is empty, expected a name");
  inspector.rename_task("task 0", "task 0");
  inspector.rename_task("unseen", "c");
  CHECK(is_like(inspector.state(), before));
  inspector.rename_task("task 0", "c");
  CHECK_FALSE(inspector.state().learned.contains("task 0"));
  CHECK(is_like(inspector.state().learned.at("c").features, before.learned.at("task 0").features));
  CHECK(inspector.state().windows[0].tasks ==
        std::map<std::string, Index>{{"c", 150}, {"task 1", 150}});
}

TEST_CASE("two tasks that become one keep what was observed of both", "[metrics][property]") {
  DataInspector inspector = two_task_inspector(1);
  const InspectorState before = inspector.state();
  CHECK(message_of<TaskError>([&] { inspector.join_tasks("task 0", "task 0", "c", 3); }) ==
        "the tasks to join are 'task 0' and 'task 0' as 'c', expected two and a name");
  inspector.join_tasks("unseen", "unheard", "c", 3);
  CHECK(is_like(inspector.state(), before));
  CHECK(message_of<TaskError>([&] { inspector.join_tasks("task 0", "unseen", "task 1", 3); }) ==
        "task 'task 1' has observations already, expected a new name");
  const std::string name = GENERATE("c", "task 0", "task 1");
  inspector.join_tasks("task 0", "task 1", name, 3);
  const InspectorState& after = inspector.state();
  REQUIRE(after.learned.size() == 1);
  const LearnedSums& both = after.learned.at(name);
  CHECK(both.features.rows == 400);
  std::map<Index, Index> labels = before.learned.at("task 0").labels;
  for (const auto& [label, rows] : before.learned.at("task 1").labels) labels[label + 3] += rows;
  CHECK(both.labels == labels);
  CHECK(after.windows[0].tasks == std::map<std::string, Index>{{name, 300}});
}

TEST_CASE("a report says what the state holds", "[metrics][golden]") {
  DataInspector inspector = two_task_inspector(5);
  inspector.observe_outcomes({{"region", Names(40, "eu")}}, std::vector<std::uint8_t>(40, 1));
  const InspectorReport report = inspector.report();
  CHECK(report.learned_rows == 400);
  CHECK(report.query_rows == 300);
  REQUIRE(report.tasks.size() == 2);
  CHECK(report.tasks[0].share == 0.5);
  REQUIRE(report.tasks[0].labels.size() == 3);
  CHECK(report.tasks[0].labels[0].share == 67.0 / 200);
  CHECK(report.tasks[0].evenness > 0.999);
  const Matrix<double> x = seen_rows(200, 0, 5);
  const Vector<double> norms = x.rowwise().norm();
  CHECK(std::abs(report.tasks[0].features.mean_norm - norms.mean()) < 1e-12);
  const double total = (x.rowwise() - x.colwise().mean()).squaredNorm() / 199;
  CHECK(std::abs(report.tasks[0].features.spread - std::sqrt(total)) < 1e-12);
  REQUIRE(report.windows.size() == 1);
  CHECK(report.windows[0].end == 3600);
  CHECK(report.windows[0].tasks[1].share == 0.5);
  const std::string text = to_text(report);
  CHECK(contains(text, "learned: 400 rows of 2 tasks\n  'task 0': 200 rows (50 %), 3 labels"));
  CHECK(contains(text, "asked: 300 rows in 1 window, 0 older\n  0 to 3600 s: 300 rows, 'task 0' "));
  CHECK(contains(text, "drift from learned to now: none (p "));
  CHECK(contains(text, "drift from earlier to now: not tested (0 rows before, 300 now)"));
  CHECK(contains(text, "groups of 'region': gap 0 % (p 1), best 'eu', worst 'eu'\n"));
}

TEST_CASE("a report of nothing has nothing to say", "[metrics][property]") {
  const std::string text = to_text(DataInspector(seen_dim).report());
  CHECK(contains(text, "learned: 0 rows of 0 tasks\nasked: 0 rows in 0 windows, 0 older\n"));
  CHECK_FALSE(contains(text, "nan"));
}

TEST_CASE("observations that are refused change nothing", "[metrics][error]") {
  DataInspector inspector(seen_dim, few_windows());
  observe_some(inspector, 1);
  const InspectorState before = inspector.state();
  Matrix<double> x = seen_rows(3, 0, 1);
  const Names three = names_of(3, "a");
  CHECK(message_of<TaskError>([&] { inspector.observe_learned("", x); }) ==
        "a task name is empty, expected a name");
  CHECK(message_of<ShapeError>([&] {
          inspector.observe_learned("a", x, Labels{1, 2});
        }) == "labels have 2 entries, expected 3, one a row");
  CHECK(message_of<ArgumentError>([&] {
          inspector.observe_learned("a", x, Labels{1, 2, -3});
        }) == "labels hold -3, expected 0..9007199254740992");
  CHECK(message_of<ShapeError>([&] {
          inspector.observe_learned("a", Matrix<double>(x.leftCols(9)));
        }) == "features are 3 x 9, expected n x 10");
  CHECK(message_of<ShapeError>([&] { inspector.observe_queries(x, Names{"a"}, 0); }) ==
        "tasks have 1 entries, expected 3, one a row");
  CHECK(message_of<ArgumentError>([&] { inspector.observe_queries(x, three, -1); }) ==
        "time is -1 s, expected 0 to 5.40432e+17");
  CHECK_THROWS_AS(inspector.observe_queries(x, three, NAN), ArgumentError);
  CHECK_THROWS_AS(inspector.observe_queries(x, three, INFINITY), ArgumentError);
  x(1, 1) = NAN;
  const std::string not_finite =
      "features hold NaN or infinity at row 1, column 1, expected finite numbers";
  CHECK(message_of<NonFiniteError>([&] { inspector.observe_learned("a", x); }) == not_finite);
  CHECK(message_of<NonFiniteError>([&] { inspector.observe_queries(x, three, 0); }) == not_finite);
  const std::vector<std::uint8_t> correct{1, 0};
  const std::vector<std::uint8_t> two{2};
  CHECK(message_of<ShapeError>([&] {
          inspector.observe_outcomes({{"c", {"x"}}}, correct);
        }) == "values of group column 'c' have 1 entries, expected 2, one a row");
  CHECK(message_of<ArgumentError>([&] {
          inspector.observe_outcomes({{"", {"x", "y"}}}, correct);
        }) == "a group column has no name, expected one");
  CHECK(message_of<ArgumentError>([&] {
          inspector.observe_outcomes({{"c", {"x"}}}, two);
        }) == "correct flag 0 is 2, expected 0 (wrong) or 1 (right)");
  CHECK(message_of<TaskError>([&] { (void)inspector.balance_warnings("", Labels{}); }) ==
        "a task name is empty, expected a name");
  CHECK(is_like(inspector.state(), before));
}

TEST_CASE("observing no rows changes nothing", "[metrics][property]") {
  DataInspector inspector(seen_dim);
  inspector.observe_learned("a", Matrix<double>(0, seen_dim));
  inspector.observe_queries(Matrix<double>(0, seen_dim), {}, 5);
  inspector.observe_outcomes({{"c", {}}}, {});
  CHECK(is_like(inspector.state(), DataInspector(seen_dim).state()));
}

TEST_CASE("inspectors of other sums do not merge", "[metrics][error]") {
  DataInspector inspector(seen_dim, few_windows());
  const auto refused = [&](Index dim, const InspectorOptions& options) {
    return message_of<ArgumentError>([&] { inspector.merge(DataInspector(dim, options)); });
  };
  InspectorOptions other = few_windows();
  CHECK(refused(9, other) == "dim of the state is 9, expected 10");
  other.seed = 4;
  CHECK(refused(seen_dim, other) == "seed of the state is 4, expected 0");
  other = few_windows();
  other.sketch = 7;
  CHECK(refused(seen_dim, other) == "sketch of the state is 7, expected 6");
  other = few_windows();
  other.window_seconds = 90;
  CHECK(refused(seen_dim, other) == "window_seconds of the state is 90, expected 60");
}

TEST_CASE("a state that no observations lead to is refused", "[metrics][error]") {
  DataInspector inspector(seen_dim, few_windows());
  for (int which = 0; which < 4; ++which) observe_some(inspector, which);
  const auto refused = [&](const auto& change) {
    InspectorState state = inspector.state();
    change(state);
    return message_of<Error>([&] { DataInspector(state, few_windows()); });
  };
  CHECK(refused([](InspectorState&) {}) == "nothing was thrown");
  CHECK(refused([](InspectorState& s) { s.learned["task 0"].features.mean.resize(3); }) ==
        "task 'task 0' has 3 means, expected 7, one a coordinate");
  CHECK(contains(refused([](InspectorState& s) { s.learned["task 0"].features.m2(2) = -1; }),
                 "task 'task 0' holds -1 among squared deviations, expected 0.."));
  CHECK(contains(refused([](InspectorState& s) { s.learned["task 0"].features.mean(2) = NAN; }),
                 "task 'task 0' holds nan among means, expected "));
  CHECK(contains(refused([](InspectorState& s) { s.learned["task 0"].labels[1] = 500; }),
                 "task 'task 0' counts 500 rows for '1', expected 1.."));
  CHECK(contains(refused([](InspectorState& s) {
                   s.learned["task 0"].labels = {{-1, 2}};
                 }),
                 "task 'task 0' holds label -1, expected 0.."));
  CHECK(refused([](InspectorState& s) { s.learned[""] = s.learned["task 0"]; }) ==
        "a task name is empty, expected a name");
  CHECK(contains(refused([](InspectorState& s) { s.windows[0].tasks.clear(); }),
                 "counts 0 rows, expected "));
  CHECK(contains(refused([](InspectorState& s) { std::swap(s.windows[0], s.windows[1]); }),
                 "expected rising numbers of 0.."));
  CHECK(contains(refused([](InspectorState& s) { s.windows[0].features.rows = 0; }),
                 " has 0 rows, expected 1.."));
  const Index most = Index{1} << 52;
  CHECK(contains(refused([&](InspectorState& s) { s.dropped_query_rows = most; }),
                 "the state counts more than 4503599627370496 rows"));
  CHECK(contains(refused([&](InspectorState& s) {
                   s.learned["task 0"].features.rows = most;
                   s.learned["task 1"].features.rows = most;
                 }),
                 "the state counts more than 4503599627370496 rows"));
  CHECK(contains(refused([](InspectorState& s) { s.dropped_query_rows = -1; }),
                 "dropped_query_rows is -1, expected 0.."));
  CHECK(contains(refused([](InspectorState& s) {
                   s.groups["c"]["x"] = {3, 2};
                 }),
                 "group 'x' of column 'c' has 3 right of 2 answers, expected "));
  CHECK(refused([](InspectorState& s) { s.groups[""]; }) ==
        "a group column has no name, expected one");
  CHECK(refused([](InspectorState& s) { s.seed = 1; }) == "seed of the state is 1, expected 0");
}

TEST_CASE("inspector options out of range are refused", "[metrics][error]") {
  CHECK(contains(
      message_of<ArgumentError>([&] { DataInspector(seen_dim, {.window_seconds = 1e-8}); }),
      "window_seconds is 1e-08, expected at least 1e-6"));
  const auto refused = [](const InspectorOptions& options) {
    return message_of<ArgumentError>([&] { DataInspector(seen_dim, options); });
  };
  CHECK(refused({.sketch = 0}) == "sketch is 0, expected 1 to 65536");
  CHECK(refused({.window_seconds = 0}) == "window_seconds is 0, expected a finite number above 0");
  CHECK(refused({.max_windows = 0}) == "max_windows is 0, expected at least 1");
  CHECK(refused({.now_windows = 0}) == "now_windows is 0, expected at least 1");
  CHECK(refused({.drift = {.min_rows = 0}}) == "min_rows is 0, expected at least 2");
  CHECK(refused({.balance = {.min_rows = 0}}) == "min_rows is 0, expected at least 1");
  CHECK(refused({.min_group_rows = 0}) == "min_group_rows is 0, expected at least 1");
  CHECK(message_of<ArgumentError>([] { DataInspector{0}; }) == "dim is 0, expected at least 1");
}
