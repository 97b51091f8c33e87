// SPDX-License-Identifier: MIT
// Merges that wait to be committed or undone.
#include <cstdint>
#include <map>
#include <string>

#include "learner/task_life.hpp"
#include "support/catch.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("an undone merge leaves no trace", "[learner]", float, double) {
  auto learner = living_learner<TestType>();
  const Learned<TestType> before(learner);
  const auto answers = fresh_predictions(learner, 3);
  const bool adjacent = GENERATE(true, false);
  learner.merge_tasks("task-0", adjacent ? "task-1" : "task-2", "both");
  CHECK(learner.tasks().size() == 2);
  CHECK(learner.tasks()[0].waits_for_commit);
  CHECK(learner.merged().size() == 1);
  learner.undo_merge("both");
  CHECK(learner.merged().empty());
  const Learned<TestType> after(learner);
  CHECK(after.changes == before.changes + 2);
  CHECK(after.moment == before.moment);
  CHECK(after.cross == before.cross);
  CHECK(after.energy == before.energy);
  CHECK(after.temperature == before.temperature);
  if (!adjacent) {  // the second comes back right after the first
    REQUIRE(learner.tasks().size() == 3);
    CHECK(learner.tasks()[1].name == "task-2");
    CHECK(learner.snapshot().adapter("task-2")->digest() == before.adapters[2].digest());
    return;
  }
  CHECK(after.tasks == before.tasks);
  CHECK(after.states == before.states);
  CHECK(after.adapters == before.adapters);
  CHECK(same_predictions(fresh_predictions(learner, 3), answers));
}

TEST_CASE("what an undone merge answered counts for its first task", "[learner]") {
  auto learner = living_learner<double>();
  (void)fresh_predictions(learner, 3);
  const std::uint64_t before = learner.usage().at("task-0").count;
  learner.merge_tasks("task-0", "task-1", "both");
  (void)fresh_predictions(learner, 3);
  const std::uint64_t both = learner.usage().at("both").count;
  REQUIRE(both > 0);
  learner.undo_merge("both");
  CHECK(learner.usage().count("both") == 0);
  CHECK(learner.usage().at("task-0").count == before + both);
  const std::uint64_t other = learner.usage().at("task-2").count;
  learner.rename_task("task-2", "both");
  CHECK(learner.usage().at("both").count == other);
}

TEST_CASE("a merge that waits raises no alarm of drift", "[learner]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  PointLearner<double> learner = small_learner<double>(options);
  learn_small_tasks(learner, 0, 3);
  for (int i = 0; i < 4; ++i) {
    for (Index t = 0; t < 3; ++t) (void)learner.predict(small_task<double>(t).inputs);
  }
  const Drift before = learner.inspector()->learned_to_now();
  learner.merge_tasks("task-0", "task-1", "both");
  for (int i = 0; i < 40; ++i) {
    for (Index t = 0; t < 3; ++t) (void)learner.predict(small_task<double>(t).inputs);
  }
  const Drift waiting = learner.inspector()->learned_to_now();
  CHECK(before.tested);
  CHECK_FALSE(before.alarm);
  CHECK_FALSE(waiting.alarm);
  CHECK(waiting.features.shift < 0.1);
}

TEST_CASE("a waiting merge is named by the key it waits under", "[learner]") {
  auto learner = living_learner<double>();
  const auto waiting = [&] { return learner.merged().begin()->first; };
  const std::string name = "a name that needs memory of its own";
  learner.merge_tasks("task-0", "task-1", name + " before");
  learner.rename_task(waiting(), name);
  CHECK(learner.merged().begin()->first == name);
  learner.undo_merge(waiting());
  learner.merge_tasks("task-0", "task-1", name);
  learner.commit_merge(waiting());
  CHECK(learner.tasks()[0].name == name);
  CHECK(learner.merged().empty());
}

TEST_CASE("an undone merge gives its queries back to both parts", "[learner]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = small_learner<double>(options);
  learn_small_tasks<double>(learner, 0, 3);
  learner.merge_tasks("task-0", "task-1", "both");
  for (Index t = 0; t < 3; ++t) (void)learner.predict(small_task<double>(t).inputs);
  learner.undo_merge("both");
  std::map<std::string, Index> asked;
  const auto state = learner.inspector()->state();
  for (const QueryWindow& window : state.windows) {
    for (const auto& [task, rows] : window.tasks) asked[task] += rows;
  }
  CHECK(asked == std::map<std::string, Index>{{"task-0", 24}, {"task-1", 24}, {"task-2", 24}});
}

TEST_CASE("a committed merge stands", "[learner]") {
  auto learner = living_learner<double>();
  learner.merge_tasks("task-0", "task-1", "task-0");  // it may have the name of one
  learner.commit_merge("task-0");
  CHECK(learner.merged().empty());
  CHECK(!learner.tasks()[0].waits_for_commit);
  CHECK(learner.router().regression().targets() == 8);
  const auto more = small_rows<double>({.task = 0, .rows = 9, .sample = 70});
  learner.extend_task("task-0", more.inputs, more.labels);
  CHECK(learner.tasks()[0].rows == 57);
  for (const char* action : {"undo", "commit"}) {
    const bool undo = std::string(action) == "undo";
    CHECK(refusal_of<TaskError>(learner, [&] {
            undo ? learner.undo_merge("task-0") : learner.commit_merge("task-0");
          }) == "task 'task-0' waits for no merge, expected one that merge_tasks made");
  }
}

TEST_CASE("a committed merge goes on with what was counted of both", "[learner]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = small_learner<double>(options);
  learn_small_tasks<double>(learner, 0, 3);
  for (const Index t : {0, 1, 1}) (void)learner.predict(small_task<double>(t).inputs);
  const auto counts = learner.usage();
  const auto asked = [&](const std::string& task) {
    const auto found = counts.find(task);
    return found == counts.end() ? TaskUsage{} : found->second;
  };
  learner.merge_tasks("task-1", "task-0", "both");
  learner.commit_merge("both");
  const auto joined = learner.usage();
  CHECK(joined.count("task-0") + joined.count("task-1") == 0);
  CHECK(joined.at("both").count == asked("task-0").count + asked("task-1").count);
  CHECK(joined.at("both").confidence_sum ==
        Approx(asked("task-0").confidence_sum + asked("task-1").confidence_sum));
  const auto learned = learner.inspector()->state().learned;
  CHECK(learned.count("task-0") + learned.count("task-1") == 0);
  CHECK(learned.at("both").features.rows == 48);
  CHECK(learned.at("both").labels.size() == 4);
}

TEST_CASE("a name that an undone merge would bring back is not given away", "[learner][error]") {
  auto learner = living_learner<double>();
  learner.merge_tasks("task-0", "task-1", "both");
  const auto rows = small_task<double>(0);
  const std::string held =
      "task 'task-1' waits for its merge to be committed or undone, expected another name";
  CHECK(refusal_of<TaskError>(
            learner, [&] { learner.learn_task("task-1", rows.inputs, rows.labels); }) == held);
  const Adapter<double> adapter = *learner.snapshot().adapter("task-2");
  CHECK(refusal_of<TaskError>(learner,
                              [&] { learner.adopt_task("task-1", adapter, rows.inputs); }) == held);
  learner.commit_merge("both");
  learner.learn_task("task-1", rows.inputs, rows.labels);
  CHECK(learner.tasks().size() == 3);
}

TEST_CASE("a task that waits for a merge refuses to change", "[learner][error]") {
  auto learner = living_learner<double>();
  learner.merge_tasks("task-0", "task-1", "both");
  const auto rows = small_task<double>(0);
  const Adapter<double> adapter = *learner.snapshot().adapter("task-2");
  const auto refused = [&](const auto& action) {
    CHECK(contains(refusal_of<TaskError>(learner, action),
                   "task 'both' waits for a merge to be committed or undone"));
  };
  refused([&] { learner.extend_task("both", rows.inputs, rows.labels); });
  refused([&] { learner.correct(rows.inputs[0], "both"); });
  refused([&] { learner.replace_adapter("both", adapter); });
  refused([&] { learner.remove_task("both"); });
  refused([&] { learner.merge_tasks("both", "task-2", "all"); });
  CHECK(contains(refusal_of<TaskError>(learner, [&] { learner.rename_task("task-2", "task-1"); }),
                 "task 'task-1' is known already"));
  learner.rename_task("both", "pair");
  learner.undo_merge("pair");
  CHECK(learner.tasks()[1].name == "task-1");
}

TEST_CASE("a merge that is renamed keeps what was observed of its parts", "[learner]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  PointLearner<double> learner = small_learner<double>(options);
  learn_small_tasks(learner, 0, 3);
  const auto rows_of = [&](const std::string& task) {
    const auto learned = learner.inspector()->state().learned;
    const auto found = learned.find(task);
    return found == learned.end() ? Index{0} : found->second.features.rows;
  };
  const auto [merged, renamed] = GENERATE(table<std::string, std::string>(
      {{"ab", "task-0"}, {"ab", "task-1"}, {"task-0", "z"}, {"task-1", "z"}, {"ab", "z"}}));
  CAPTURE(merged, renamed);
  learner.merge_tasks("task-0", "task-1", merged);
  learner.rename_task(merged, renamed);
  if (GENERATE(true, false)) {
    learner.commit_merge(renamed);
    CHECK(rows_of(renamed) == 48);
  } else {
    learner.undo_merge(renamed);
    CHECK(rows_of("task-0") == 24);
    CHECK(rows_of("task-1") == 24);
    CHECK(rows_of("z") == 0);
  }
}
