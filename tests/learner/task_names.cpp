// SPDX-License-Identifier: MIT
// Names of tasks: given, changed and given again.
#include <map>
#include <string>
#include <vector>

#include "learner/task_life.hpp"
#include "support/catch.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("a renamed task keeps its columns its adapter and its use", "[learner]") {
  auto learner = living_learner<double>();
  const auto before = fresh_predictions(learner, 3);
  const auto adapter = learner.snapshot().adapter("task-1");
  const auto used = learner.usage().at("task-1");
  REQUIRE(used.count > 0);
  learner.rename_task("task-1", "travel");
  CHECK(learner.snapshot().adapter("travel") == adapter);
  CHECK(learner.usage().count("task-1") == 0);
  CHECK(learner.usage().at("travel").count == used.count);
  auto after = fresh_predictions(learner, 3);
  for (auto& prediction : after) {
    CHECK(prediction.task != "task-1");
    if (prediction.task == "travel") prediction.task = "task-1";
  }
  CHECK(same_predictions(after, before));
}

TEST_CASE("a bad new name is refused", "[learner][error]") {
  auto learner = living_learner<double>();
  CHECK(contains(refusal_of<TaskError>(learner, [&] { learner.rename_task("nobody", "x"); }),
                 "task 'nobody' is unknown, expected one of: task-0, task-1, task-2"));
  CHECK(refusal_of<TaskError>(learner, [&] { learner.rename_task("task-0", ""); }) ==
        "the new task name is empty, expected a name");
  CHECK(refusal_of<TaskError>(learner, [&] { learner.rename_task("task-0", "task-2"); }) ==
        "task 'task-2' is known already, expected another name");
}

TEST_CASE("a name may be that of the router's own table", "[learner]") {
  auto learner = living_learner<double>(2);
  std::vector<std::string> told;
  learner.set_hooks({.audit = [&](const AuditEvent& event) {
    const auto& change = std::get<ChangeEvent>(event);
    told.push_back(std::string(change.event) + " " + std::string(change.task));
  }});
  const auto name = [&]() -> const std::string& { return learner.router().tasks()[1].name; };
  learner.freeze_task(name());
  learner.freeze_task(name(), false);
  learner.archive_task(name());
  learner.restore_task(name());
  learner.correct(small_task<double>(1).inputs[0], name());
  learner.replace_adapter(name(), *learner.snapshot().adapter("task-0"));
  learner.rename_task(name(), "b");
  learner.merge_tasks(learner.router().tasks()[0].name, name(), "both");
  learner.undo_merge(learner.router().tasks()[0].name);
  learner.merge_tasks(learner.router().tasks()[0].name, name(), "both");
  learner.commit_merge(learner.router().tasks()[0].name);
  learner.remove_task(learner.router().tasks()[0].name);
  CHECK(told == std::vector<std::string>{"freeze task-1", "unfreeze task-1", "archive task-1",
                                         "restore task-1", "correct task-1", "replace task-1",
                                         "rename b", "merge_tasks both", "undo both",
                                         "merge_tasks both", "commit both", "remove both"});
}

TEST_CASE("a name that is given again brings no use with it", "[learner]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = small_learner<double>(options);
  learn_small_tasks<double>(learner, 0, 3);
  const auto old = learner.snapshot();
  learner.remove_task("task-2");
  (void)old.predict(small_task<double>(2).inputs);
  CHECK(learner.usage().count("task-2") == 0);  // what has gone counts for nobody
  SECTION("by a new name") { learner.rename_task("task-1", "task-2"); }
  SECTION("by a merge") { learner.merge_tasks("task-0", "task-1", "task-2"); }
  SECTION("by learning") { learn_small_tasks<double>(learner, 2, 3); }
  CHECK(learner.usage().count("task-2") == 0);
  const auto state = learner.inspector()->state();
  for (const QueryWindow& window : state.windows) {
    CHECK(window.tasks == std::map<std::string, Index>{{"", window.features.rows}});
  }
}

TEST_CASE("a task starts without use whatever an old snapshot counted", "[learner]") {
  auto learner = living_learner<double>();
  const auto old = learner.snapshot();
  learner.remove_task("task-0");
  (void)old.predict(small_task<double>(0).inputs);
  learn_small_tasks(learner, 0, 1);
  CHECK(learner.usage().count("task-0") == 0);
}
