// SPDX-License-Identifier: MIT
// Queries whose right task is told afterwards.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "learner/task_life.hpp"
#include "support/catch.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("a corrected query is learned as a row of the right task", "[learner]", float,
                   double) {
  auto learner = living_learner<TestType>();
  const auto digest = learner.snapshot().handles()[2]->info().digest;
  const auto query = small_rows<TestType>({.task = 2, .rows = 10, .sample = 70}).inputs[7];
  LifeFit fit = fit_of_tasks<TestType>(3);
  SECTION("under the label that is given") {
    learner.correct(query, "task-2", Index{0});
    fit.add(query, {6, 7});
  }
  SECTION("under the label that scores best where none is given") {
    const Eigen::MatrixXd raw = query.template cast<double>() * fit.weights(9);
    learner.correct(query, "task-2");
    fit.add(query, {6, raw(0, 7) > raw(0, 8) ? 7 : 8});
  }
  CHECK(weight_error(learner, fit) < life_tolerance<TestType>());
  CHECK(learner.tasks()[2].rows == 25);
  CHECK(learner.snapshot().handles()[2]->info().digest == digest);
}

TEST_CASE("a correction of a learned row equals having learned it right at once", "[learner]") {
  auto learner = living_learner<double>();
  auto first = small_task<double>(0);
  auto second = small_task<double>(1);
  const RowVector<double> query = first.inputs[5];
  learner.correct(query, "task-1", Index{0}, std::pair{std::string("task-0"), first.labels[5]});
  first.inputs.erase(first.inputs.begin() + 5);
  first.labels.erase(first.labels.begin() + 5);
  second.inputs.push_back(query);
  second.labels.push_back(0);
  auto fresh = small_learner<double>();
  fresh.learn_task("task-0", first.inputs, first.labels);
  fresh.learn_task("task-1", second.inputs, second.labels);
  learn_small_tasks<double>(fresh, 2, 3);
  CHECK(relative_error(learner.router().table()->weights(), fresh.router().table()->weights()) <
        life_tolerance<double>());
  CHECK(learner.tasks()[0].rows == 23);
  CHECK(learner.tasks()[1].rows == 25);
}

TEMPLATE_TEST_CASE("corrections at once equal the joint fit of what they say", "[learner]", float,
                   double) {
  auto learner = living_learner<TestType>();
  const auto first = small_task<TestType>(0);
  const auto fresh = small_rows<TestType>({.task = 2, .rows = 10, .sample = 70});
  const std::uint64_t before = learner.snapshot().changes();
  using Word = Correction<RowVector<TestType>, Index>;
  const std::vector<Word> words{{.query = fresh.inputs[1], .right_task = "task-2", .target = 0},
                                {.query = first.inputs[4],
                                 .right_task = "task-1",
                                 .target = 1,
                                 .learned_as = std::pair{std::string("task-0"), first.labels[4]}},
                                {.query = fresh.inputs[2], .right_task = "task-2", .target = 1},
                                {.query = first.inputs[9],
                                 .right_task = "task-2",
                                 .target = 1,
                                 .learned_as = std::pair{std::string("task-0"), first.labels[9]}}};
  learner.correct(words);
  LifeFit fit;
  for (std::size_t i = 0; i < first.inputs.size(); ++i) {
    if (i != 4 && i != 9) fit.add(first.inputs[i], {0, 1 + first.labels[i]});
  }
  fit.add(small_task<TestType>(1), 3);
  fit.add(small_task<TestType>(2), 6);
  fit.add(fresh.inputs[1], {6, 7});
  fit.add(first.inputs[4], {3, 5});
  fit.add(fresh.inputs[2], {6, 8});
  fit.add(first.inputs[9], {6, 8});
  CHECK(weight_error(learner, fit) < life_tolerance<TestType>());
  CHECK(learner.tasks()[0].rows == 22);
  CHECK(learner.tasks()[2].rows == 27);
  CHECK(learner.snapshot().changes() == before + 1);
}

TEST_CASE("of corrections with a bad one none is made", "[learner][error]") {
  auto learner = living_learner<double>();
  learner.freeze_task("task-2");
  const auto fresh = small_rows<double>({.task = 1, .rows = 10, .sample = 70});
  using Word = Correction<RowVector<double>, Index>;
  const Word good{.query = fresh.inputs[0], .right_task = "task-0", .target = 0};
  const auto refusal = [&](const std::vector<Word>& words) {
    return refusal_of<Error>(learner, [&] { learner.correct(words); });
  };
  CHECK(refusal({}) == "corrections are empty, expected at least 1");
  CHECK(contains(refusal({good, {.query = fresh.inputs[1], .right_task = "nobody"}}),
                 "task 'nobody' is unknown"));
  CHECK(contains(refusal({good, {.query = fresh.inputs[1], .right_task = "task-2"}}),
                 "task 'task-2' is frozen"));
  CHECK(contains(refusal({good, {.query = fresh.inputs[1], .right_task = "task-1", .target = 7}}),
                 "class 7"));
}

TEST_CASE("a task without labels is corrected by its task column alone", "[learner]") {
  auto learner = living_learner<double>(2);
  const auto rows = small_task<double>(2);
  const Adapter<double> adapter = *learner.snapshot().adapter("task-0");
  learner.adopt_task("adopted", adapter, rows.inputs);
  const auto query = small_rows<double>({.task = 2, .rows = 10, .sample = 70}).inputs[0];
  learner.correct(query, "adopted");
  LifeFit fit = fit_of_tasks<double>(2);
  for (const auto& input : rows.inputs) fit.add(input, {6});
  fit.add(query, {6});
  CHECK(weight_error(learner, fit) < life_tolerance<double>());
}

TEST_CASE("a bad correction is refused", "[learner][error]") {
  auto learner = living_learner<double>();
  RowVector<double> query = small_task<double>(0).inputs[0];
  const auto wrong = [&](const char* task, std::optional<Index> target,
                         std::optional<std::pair<std::string, Index>> learned_as) {
    return refusal_of<Error>(learner, [&] { learner.correct(query, task, target, learned_as); });
  };
  CHECK(contains(wrong("nobody", {}, {}), "task 'nobody' is unknown"));
  CHECK(contains(wrong("task-1", {}, std::pair{std::string("no one"), Index{0}}),
                 "task 'no one' is unknown"));
  CHECK(contains(wrong("task-1", Index{7}, {}),
                 "class 7, expected one of the 2 classes of the adapter"));
  CHECK(contains(wrong("task-1", Index{-1}, {}), "class -1"));
  CHECK(contains(wrong("task-1", {}, std::pair{std::string("task-0"), Index{5}}),
                 "never learned label 5"));
  query(3) = std::numeric_limits<double>::infinity();
  CHECK(contains(wrong("task-1", {}, {}), "NaN or infinity at row 0, column 3"));
  query(3) = 1e6;
  CHECK(contains(wrong("task-1", {}, std::pair{std::string("task-0"), Index{0}}), "never learned"));
}
