// SPDX-License-Identifier: MIT
// Tasks that the routing policy names.
#include "learner/task_life.hpp"
#include "support/catch.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("the default task of the policy stays as long as it is that", "[learner][error]") {
  auto learner = living_learner<double>();
  learner.set_policy({.fallback = FallbackKind::default_task, .default_task = "task-1"});
  const auto rows = small_task<double>(1);
  const auto refused = [&](const auto& action) {
    CHECK(refusal_of<TaskError>(learner, action) ==
          "task 'task-1' is the default task of the policy: set another policy first");
  };
  refused([&] { learner.archive_task("task-1"); });
  refused([&] { learner.rename_task("task-1", "x"); });
  refused([&] { learner.remove_task("task-1"); });
  refused([&] { learner.remove_task("task-1", rows.inputs, rows.labels); });
  learner.set_policy({});
  learner.archive_task("task-1");
  CHECK(!learner.tasks()[1].active);
}

TEST_CASE("thresholds of a task in the policy are not lost with its name", "[learner][error]") {
  auto learner = living_learner<double>();
  learner.set_policy({.tasks = {{"task-1", {.min_confidence = 0.9}}}});
  const auto refused = [&](const auto& action) {
    CHECK(refusal_of<TaskError>(learner, action) ==
          "task 'task-1' has thresholds of its own in the policy: set another policy first");
  };
  refused([&] { learner.rename_task("task-1", "x"); });
  refused([&] { learner.remove_task("task-1"); });
  refused([&] { learner.merge_tasks("task-0", "task-1", "both"); });
  learner.archive_task("task-1");
  learner.restore_task("task-1");
  learner.merge_tasks("task-0", "task-1", "task-1");
  learner.undo_merge("task-1");  // which is there again
  CHECK(learner.policy().tasks.count("task-1") == 1);
}
