// SPDX-License-Identifier: MIT
#include "anyssr/router/router_state.hpp"

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// A router with everything that a state can hold: a removed task, one archived, one frozen, a join
/// that waits, one that was committed.
template <class S>
AnalyticRouter<S> eventful_router(const RouterOptions& options = {.rls = labelled_rls}) {
  const LabelledTasks<S> tasks = labelled_tasks<S>({30, 20, 25, 18, 16, 22, 12});
  AnalyticRouter<S> router = router_of(tasks, options);
  router.remove("task-1");
  router.set_active("task-2", false);
  router.set_frozen("task-3", true);
  router.join("task-0", "task-4", "waiting");
  router.join("task-5", "task-6", "joined");
  router.commit_join("joined");
  return router;
}

template <class S>
AnalyticRouter<S> restored(RouterState<S> state, const RouterOptions& options) {
  return AnalyticRouter<S>(labelled_dim, options, std::move(state));
}

/// The message that refuses the state of the eventful router after `change`.
template <class E>
std::string refused_state(const std::function<void(RouterState<double>&)>& change) {
  static const AnalyticRouter<double> router = eventful_router<double>();
  RouterState<double> state = router_state_of(router);
  change(state);
  return message_of<E>([&] { (void)restored(std::move(state), router.options()); });
}

RoutedTask& named(RouterState<double>& state, const std::string& name) {
  for (RoutedTask& task : state.tasks) {
    if (task.name == name) return task;
  }
  return state.tasks.front();
}

constexpr double infinite = std::numeric_limits<double>::infinity();

}  // namespace

TEMPLATE_TEST_CASE("a router goes on from its state as if it had never stopped",
                   "[router][property]", float, double) {
  using S = TestType;
  const auto mode = GENERATE(NoveltyMode::diagonal, NoveltyMode::leverage);
  const RouterOptions options{.rls = labelled_rls, .novelty = {.mode = mode}};
  AnalyticRouter<S> router = eventful_router<S>(options);
  AnalyticRouter<S> again = restored(router_state_of(router), options);
  const Matrix<S> queries = random_normal<S>(30, labelled_dim, 71);
  const auto same = [&] {
    const auto before = decisions_of(router, queries);
    const auto after = decisions_of(again, queries);
    for (std::size_t i = 0; i < before.size(); ++i) {
      CHECK(after[i].scores == before[i].scores);
      CHECK(after[i].confidence == before[i].confidence);
      CHECK(after[i].novelty == before[i].novelty);
    }
    CHECK(again.table()->temperature() == router.table()->temperature());
    CHECK(again.table()->candidate_threshold(0.9) == router.table()->candidate_threshold(0.9));
  };
  same();
  CHECK(again.removed_rows() == 20);
  CHECK_FALSE(again.tasks()[1].active);
  CHECK(again.tasks()[2].frozen);
  CHECK(again.label_weight_counts().rows == router.label_weight_counts().rows);
  CHECK(again.suggest_label_weight() == router.suggest_label_weight());
  const LabelledRows<S> more(9, 20);
  for (AnalyticRouter<S>* each : {&router, &again}) {
    each->undo_join("waiting");
    each->learn("later", more.x, more.labels);
  }
  same();
}

TEST_CASE("a balanced router goes on from its state with the same ridge", "[router]") {
  const RouterOptions options{.rls = labelled_rls, .balanced = true};
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20, 25}), options);
  router.remove("task-1");
  const AnalyticRouter<double> again = restored(router_state_of(router), options);
  CHECK(again.regression().ridge() == router.regression().ridge());
  const Matrix<double> queries = random_normal<double>(9, labelled_dim, 72);
  CHECK(scores_of(again, queries) == scores_of(router, queries));
}

TEST_CASE("the temperature of a state serves where no task measured one", "[router]") {
  const AnalyticRouter<double> router = router_of(labelled_tasks<double>({30}));
  RouterState<double> state = router_state_of(router);
  state.temperature = 6.5;
  CHECK(restored(state, router.options()).table()->temperature() == 6.5);
}

TEST_CASE("a name that a waiting join may give back can be learned and saved", "[router]") {
  AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20}));
  router.join("task-0", "task-1", "both");
  const LabelledRows<double> again(0, 6);
  router.learn("task-0", again.x, again.labels);
  const AnalyticRouter<double> back = restored(router_state_of(router), router.options());
  CHECK(back.tasks().size() == 2);
  CHECK(back.tasks()[0].parts[0].name == "task-0");
}

TEST_CASE("a state with impossible tasks is refused", "[router][error]") {
  const auto refused = refused_state<Error>;
  CHECK(refused([](auto&) {}) == "nothing was thrown");
  CHECK(contains(refused([](auto& s) { s.tasks[1].name = ""; }), "a task name is empty"));
  CHECK(contains(refused([](auto& s) { s.tasks[1].name = s.tasks[2].name; }),
                 "task 'task-3' stands there twice"));
  CHECK(contains(refused([](auto& s) { s.tasks[1].rows = -1; }), "task 'task-2' has -1 rows"));
  CHECK(contains(refused([](auto& s) { s.tasks[1].rows += 1; }), "rows, expected"));
  CHECK(contains(refused([](auto& s) { s.tasks[1].rows -= 1; }), "the tasks have 122 rows"));
  CHECK(contains(refused([](auto& s) { s.tasks[1].row_weight = 0; }),
                 "the row weight of task 'task-2' is 0"));
  CHECK(contains(refused([](auto& s) { s.tasks[1].row_weight = infinite; }),
                 "the row weight of task 'task-2' is inf"));
  CHECK(contains(refused([](auto& s) { s.tasks[1].column = s.tasks[2].column; }),
                 "each column once"));
  CHECK(contains(refused([](auto& s) { s.tasks[1].column = -1; }), "each column once"));
  CHECK(
      contains(refused([](auto& s) { s.tasks[1].label_columns.pop_back(); }), "columns, expected"));
}

TEST_CASE("a state with impossible calibration is refused", "[router][error]") {
  const auto refused = [](const std::function<void(TaskCalibration&)>& change) {
    const std::string message =
        refused_state<ArgumentError>([&](auto& state) { change(state.tasks[1].calibration); });
    return contains(message, "the calibration of task 'task-2' holds numbers that no rows lead to");
  };
  CHECK(refused([](auto& c) { c.rows = -1; }));
  CHECK(refused([](auto& c) { c.temperature = 0; }));
  CHECK(refused([](auto& c) { c.temperature = infinite; }));
  CHECK(refused([](auto& c) { c.temperature_weight = -1; }));
  CHECK(refused([](auto& c) { c.temperature_weight = infinite; }));
  CHECK(refused([](auto& c) { c.mean_score = infinite; }));
  CHECK(refused([](auto& c) { c.residuals.back() = std::numeric_limits<double>::quiet_NaN(); }));
  CHECK(refused([](auto& c) { std::swap(c.residuals.front(), c.residuals.back()); }));
}

TEST_CASE("a state with an impossible join is refused", "[router][error]") {
  const auto refused = [](const std::function<void(RoutedTask&)>& change) {
    return refused_state<Error>([&](auto& state) { change(named(state, "waiting")); });
  };
  const std::string no_join = "task 'waiting' is not the join of";
  CHECK(
      contains(refused([](auto& t) { t.parts.pop_back(); }), "waits to join 1 tasks, expected 2"));
  CHECK(contains(refused([](auto& t) { t.parts[1].rows += 1; }), no_join));
  CHECK(contains(refused([](auto& t) { t.parts[0].column += 1; }), no_join));
  CHECK(contains(refused([](auto& t) { t.parts[0].label_columns.pop_back(); }), no_join));
  CHECK(contains(refused([](auto& t) { t.parts[1].parts = {t.parts[0]}; }), no_join));
  CHECK(contains(refused([](auto& t) { t.parts[1].further_columns = {0}; }), no_join));
  CHECK(contains(refused([](auto& t) {
                   t.parts[0].rows += 100;
                   t.parts[1].rows -= 100;
                 }),
                 no_join));
  CHECK(contains(refused([](auto& t) { t.parts[1].row_weight = infinite; }), no_join));
  CHECK(contains(refused([](auto& t) { t.parts[1].calibration.mean_score = infinite; }),
                 "the calibration of task 'task-4'"));
  CHECK(contains(refused([](auto& t) { t.parts[1].name = ""; }), "has an empty name"));
  CHECK(contains(refused([](auto& t) { t.parts[1].name = t.parts[0].name; }),
                 "task 'task-0' stands there twice"));
  CHECK(contains(refused([](auto& t) { t.parts.clear(); }), "waits for no merge"));
}

TEST_CASE("a state with impossible counts is refused", "[router][error]") {
  const auto refused = refused_state<Error>;
  CHECK(contains(refused([](auto& s) { s.removed_rows = -1; }),
                 "the rows of removed tasks are -1, expected 0..143"));
  CHECK(contains(refused([](auto& s) { s.removed_rows = 144; }),
                 "the rows of removed tasks are 144, expected 0..143"));
  CHECK(contains(refused([](auto& s) { s.removed_rows += 1; }), "rows, expected"));
  CHECK(contains(refused([](auto& s) { s.temperature = 0; }), "temperature is 0"));
  CHECK(contains(refused([](auto& s) { s.temperature = infinite; }), "temperature is inf"));
  CHECK(contains(refused([](auto& s) { s.label_weight_counts.rows = -1; }),
                 "label weight counts have -1 rows"));
  CHECK(contains(refused([](auto& s) { s.label_weight_counts.right[2] = 100000; }),
                 "label weight counts hold 100000"));
  CHECK(contains(refused([](auto& s) { s.regression.rows = -1; }), "rows are -1"));
}

TEST_CASE("a state of another width is refused", "[router][error]") {
  const AnalyticRouter<double> router = router_of(labelled_tasks<double>({30, 20}));
  CHECK(message_of<ShapeError>([&] {
          (void)AnalyticRouter<double>(9, router.options(), router_state_of(router));
        }) == "second_moment is 14 x 14, expected 9 x 9 for this expansion");
}
