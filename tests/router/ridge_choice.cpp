// SPDX-License-Identifier: MIT
// Features that a ridge can go wrong on, as a router meets them.
#include <algorithm>

#include "anyssr/subspace/feature_shift.hpp"
#include "router/labelled_rows.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Rows of four tasks, `offset` away from zero.
template <class S>
LabelledTasks<S> distant_tasks(double offset, std::uint64_t sample) {
  LabelledTasks<S> tasks;
  for (Index t = 0; t < 4; ++t) {
    tasks.emplace_back(t, 60, sample);
    tasks.back().x.array() += static_cast<S>(offset);
  }
  return tasks;
}

/// Share of rows that go to their task.
template <class S, class Map>
double routed_right(const AnalyticRouter<S>& router, const LabelledTasks<S>& tasks,
                    const Map& map) {
  RoutingWorkspace<S> workspace;
  RoutingDecision decision;
  double right = 0;
  double rows = 0;
  for (const LabelledRows<S>& task : tasks) {
    for (Index i = 0; i < task.x.rows(); ++i) {
      router.decide(map(Matrix<S>(task.x.row(i))), workspace, decision);
      right += decision.task == *router.find(task.name) ? 1 : 0;
      rows += 1;
    }
  }
  return right / rows;
}

}  // namespace

TEMPLATE_TEST_CASE("a router tells that its features stand far from zero", "[router][regression]",
                   float, double) {
  using S = TestType;
  AnalyticRouter<S> router(labelled_dim, {.rls = {.ridge = 0.1, .threads = 1}});
  CHECK(router.feature_condition().is_sound());
  for (const auto& task : distant_tasks<S>(0, 0)) router.learn(task.name, task.x, task.labels);
  CHECK(router.feature_condition().warning().empty());
  CHECK(router.feature_condition().offset_share < 0.5);
  AnalyticRouter<S> distant(labelled_dim, {.rls = {.ridge = 0.1, .threads = 1}});
  for (const auto& task : distant_tasks<S>(500, 0)) distant.learn(task.name, task.x, task.labels);
  CHECK(contains(distant.feature_condition().warning(), "FeatureShift"));
}

TEMPLATE_TEST_CASE("behind a shift a router of distant features routes as of near ones",
                   "[router][property]", float, double) {
  using S = TestType;
  const bool reverse = GENERATE(false, true);
  const bool balanced = GENERATE(false, true);
  CAPTURE(reverse, balanced);
  LabelledTasks<S> tasks = distant_tasks<S>(1e6, 0);
  const auto shift = FeatureShift<S>::fitted(tasks[0].x);
  const auto moved = [&](const Matrix<S>& x) { return shift.apply(x); };
  if (reverse) std::reverse(tasks.begin(), tasks.end());
  AnalyticRouter<S> router(shift.out_dim(),
                           {.rls = {.ridge = 1e-4, .threads = 1}, .balanced = balanced});
  AnalyticRouter<S> joint(shift.out_dim(),
                          {.rls = {.ridge = 1e-4, .threads = 1}, .balanced = balanced});
  std::vector<std::string> names;
  std::vector<Index> task_of_row;
  std::vector<Index> labels;
  Matrix<S> all(240, labelled_dim);
  for (const auto& task : tasks) {
    router.learn(task.name, moved(task.x), task.labels);
    all.middleRows(static_cast<Index>(60 * names.size()), 60) = task.x;
    task_of_row.insert(task_of_row.end(), 60, static_cast<Index>(names.size()));
    labels.insert(labels.end(), task.labels.begin(), task.labels.end());
    names.push_back(task.name);
  }
  joint.learn_together(names, moved(all), task_of_row, labels);
  CHECK(relative_error(router.regression().second_moment(), joint.regression().second_moment()) <
        round_off<S>(100));
  CHECK(router.feature_condition().warning().empty());
  router.set_ridge(router.select_ridge().ridge);
  CHECK(routed_right(router, distant_tasks<S>(1e6, 1), moved) > 0.98);
}

TEMPLATE_TEST_CASE("the ridge that a router chooses is in the scale of its options", "[router]",
                   float, double) {
  using S = TestType;
  const bool relative = GENERATE(false, true);
  const bool balanced = GENERATE(false, true);
  CAPTURE(relative, balanced);
  const RidgeScale scale = relative ? RidgeScale::relative : RidgeScale::absolute;
  AnalyticRouter<S> router(labelled_dim, {.rls = {.ridge = 0.7, .ridge_scale = scale, .threads = 1},
                                          .balanced = balanced});
  for (const auto& task : distant_tasks<S>(0, 0)) router.learn(task.name, task.x, task.labels);
  const RidgeSelection selection = router.select_ridge();
  CHECK(selection.end == RidgeEnd::none);
  router.set_ridge(selection.ridge);
  const auto chosen =
      std::find_if(selection.candidates.begin(), selection.candidates.end(),
                   [&](const RidgeCandidate& c) { return c.ridge == selection.ridge; });
  REQUIRE(chosen != selection.candidates.end());
  CHECK(std::abs(router.regression().ridge() / chosen->lambda - 1) < 1e-6);
}
