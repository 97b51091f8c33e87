// SPDX-License-Identifier: MIT
// Tasks that are removed, with their rows or without.
#include <algorithm>
#include <limits>
#include <span>

#include "learner/task_life.hpp"
#include "support/catch.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("the rows of a removed task go on as examples of no task", "[learner]", float,
                   double) {
  auto learner = living_learner<TestType>();
  const auto kept = learner.snapshot().adapter("task-2");
  learner.remove_task("task-1");
  LifeFit fit;
  fit.add(small_task<TestType>(0), 0);
  for (const auto& input : small_task<TestType>(1).inputs) fit.add(input, {});
  fit.add(small_task<TestType>(2), 3);
  CHECK(weight_error(learner, fit) < life_tolerance<TestType>());
  CHECK(learner.router().removed_rows() == 24);
  REQUIRE(learner.tasks().size() == 2);
  CHECK(learner.tasks()[1].name == "task-2");
  CHECK(learner.snapshot().adapter("task-2") == kept);
  CHECK(learner.usage().count("task-1") == 0);
}

TEMPLATE_TEST_CASE("a task removed by its rows was never learned", "[learner]", float, double) {
  auto learner = living_learner<TestType>();
  auto rows = small_task<TestType>(1);
  std::reverse(rows.inputs.begin(), rows.inputs.end());
  std::reverse(rows.labels.begin(), rows.labels.end());
  learner.remove_task("task-1", rows.inputs, rows.labels);
  LifeFit fit;
  fit.add(small_task<TestType>(0), 0);
  fit.add(small_task<TestType>(2), 3);
  CHECK(weight_error(learner, fit) < life_tolerance<TestType>());
  CHECK(learner.router().removed_rows() == 0);
  CHECK(learner.router().regression().rows() == 48);
}

TEMPLATE_TEST_CASE("a task removed by sums kept apart was never learned", "[learner]", float,
                   double) {
  auto learner = living_learner<TestType>();
  const auto rows = small_task<TestType>(1);
  AnalyticRouter<TestType> own(small_dim, learner.router().options());
  own.learn("any name", learner.backbone().features(rows.inputs), rows.labels);
  learner.remove_task("task-1", own);
  LifeFit fit;
  fit.add(small_task<TestType>(0), 0);
  fit.add(small_task<TestType>(2), 3);
  CHECK(weight_error(learner, fit) < life_tolerance<TestType>());
  CHECK(learner.router().removed_rows() == 0);
}

TEST_CASE("a removal by what the task never learned is refused", "[learner][error]") {
  auto learner = living_learner<double>();
  auto rows = small_task<double>(1);
  CHECK(contains(refusal_of<TaskError>(learner, [&] { learner.remove_task("nobody"); }),
                 "task 'nobody' is unknown"));
  const std::span<const RowVector<double>> inputs(rows.inputs);
  const std::span<const Index> labels(rows.labels);
  CHECK(refusal_of<TaskError>(learner, [&] {
          learner.remove_task("task-1", inputs.first(9), labels.first(9));
        }) == "the rows to remove task 'task-1' by are 9, expected the 24 that it learned");
  CHECK(refusal_of<ShapeError>(learner, [&] {
          learner.remove_task("task-1", inputs, labels.first(9));
        }) == "targets have 9 entries, expected 24, one a row");
  AnalyticRouter<double> other(small_dim, learner.router().options());
  other.learn("a", learner.backbone().features(inputs.first(8)), labels.first(8));
  CHECK(contains(refusal_of<TaskError>(learner, [&] { learner.remove_task("task-1", other); }),
                 "hold 1 tasks and 8 rows, expected the 24 rows of this task"));
  for (auto& input : rows.inputs) input *= 100;
  CHECK(contains(refusal_of<ArgumentError>(
                     learner, [&] { learner.remove_task("task-1", rows.inputs, rows.labels); }),
                 "never learned"));
  rows.inputs[3](2) = std::numeric_limits<double>::quiet_NaN();
  CHECK(contains(refusal_of<NonFiniteError>(
                     learner, [&] { learner.remove_task("task-1", rows.inputs, rows.labels); }),
                 "row 3, column 2"));
}
