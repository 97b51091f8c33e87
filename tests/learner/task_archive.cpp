// SPDX-License-Identifier: MIT
// Tasks that are set aside for a while, and tasks that must not change.
#include <limits>
#include <string>
#include <utility>

#include "learner/task_life.hpp"
#include "support/catch.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("an archived task is never chosen and comes back as it was", "[learner]", float,
                   double) {
  auto learner = living_learner<TestType>();
  const Learned<TestType> before(learner);
  const auto answers = fresh_predictions(learner, 3);
  learner.archive_task("task-1");
  CHECK(learner.snapshot().changes() == before.changes + 1);
  CHECK(!learner.tasks()[1].active);
  for (const auto& prediction : fresh_predictions(learner, 3)) {
    CHECK(prediction.task != "task-1");
    CHECK(prediction.decision.scores(1) == -std::numeric_limits<double>::infinity());
  }
  CHECK(learner.predict_as("task-1", small_task<TestType>(1).inputs).size() == 24);
  learner.restore_task("task-1");
  CHECK(learner.tasks()[1].active);
  CHECK((Learned<TestType>(learner).same_sums(before)));
  CHECK(same_predictions(fresh_predictions(learner, 3), answers));
}

TEST_CASE("an archived task goes on learning rows", "[learner]") {
  auto learner = living_learner<double>();
  learner.archive_task("task-1");
  const auto more = small_rows<double>({.task = 1, .rows = 9, .sample = 70});
  learner.extend_task("task-1", more.inputs, more.labels);
  LifeFit fit = fit_of_tasks<double>(3);
  fit.add(more, 3);
  CHECK(weight_error(learner, fit) < life_tolerance<double>());
  CHECK(!learner.tasks()[1].active);
}

TEST_CASE("a frozen task refuses all that would change it until it is unfrozen",
          "[learner][error]") {
  auto learner = living_learner<double>();
  learner.freeze_task("task-0");
  CHECK(learner.tasks()[0].frozen);
  const auto rows = small_task<double>(0);
  const auto other = small_task<double>(1);
  const Adapter<double> adapter = *learner.snapshot().adapter("task-1");
  AnalyticRouter<double> own(small_dim, learner.router().options());
  own.learn("task-0", learner.backbone().features(rows.inputs), rows.labels);
  const auto refused = [&](const auto& action) {
    CHECK(refusal_of<TaskError>(learner, action) == "task 'task-0' is frozen: unfreeze it first");
  };
  refused([&] { learner.extend_task("task-0", rows.inputs, rows.labels); });
  refused([&] { learner.replace_adapter("task-0", adapter); });
  refused([&] { learner.correct(rows.inputs[0], "task-0"); });
  refused([&] {
    learner.correct(rows.inputs[0], "task-1", Index{0}, std::pair{std::string("task-0"), Index{0}});
  });
  refused([&] { learner.merge_tasks("task-0", "task-1", "both"); });
  refused([&] { learner.merge_tasks("task-1", "task-0", "both"); });
  refused([&] { learner.remove_task("task-0"); });
  refused([&] { learner.remove_task("task-0", rows.inputs, rows.labels); });
  refused([&] { learner.remove_task("task-0", own); });
  learner.extend_task("task-1", other.inputs, other.labels);  // others go on
  learner.freeze_task("task-0", false);
  learner.extend_task("task-0", rows.inputs, rows.labels);
  CHECK(learner.tasks()[0].rows == 48);
}
