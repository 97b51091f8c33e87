// SPDX-License-Identifier: MIT
// What a human decides on queries that wait for review.
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "learner/task_life.hpp"
#include "support/catch.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEST_CASE("a review that is confirmed leaves the queue and the router stays", "[learner]") {
  auto learner = living_learner<double>();
  learner.set_hooks({.reviews = std::make_shared<ReviewQueue<RowVector<double>>>()});
  learner.set_policy({.name = "all", .min_margin = 1000});
  const auto rows = small_task<double>(1);
  const auto predictions = learner.predict(std::span(rows.inputs).first(3));
  const auto waiting = learner.hooks().reviews->list();
  REQUIRE(waiting.size() == 3);
  const Learned<double> before(learner);
  const auto reviewed = learner.confirm_review(waiting[1].request);
  CHECK((Learned<double>(learner) == before));
  CHECK(reviewed.task == predictions[1].task);
  CHECK(!reviewed.is_corrected);
  CHECK(learner.hooks().reviews->size() == 2);
  CHECK(contains(message_of<ArgumentError>([&] { learner.confirm_review(waiting[1].request); }),
                 "does not wait for review: 2 requests do"));
}

TEST_CASE("a review that is corrected teaches the router its query", "[learner]") {
  auto learner = living_learner<double>();
  learner.set_hooks({.reviews = std::make_shared<ReviewQueue<RowVector<double>>>()});
  learner.set_policy({.name = "all", .min_margin = 1000});
  const auto query = small_rows<double>({.task = 1, .rows = 10, .sample = 70}).inputs[2];
  (void)learner.predict(std::span(&query, 1));
  const std::uint64_t request = learner.hooks().reviews->list().front().request;
  CHECK(contains(refusal_of<TaskError>(learner, [&] { learner.correct_review(request, "nobody"); }),
                 "task 'nobody' is unknown"));
  REQUIRE(learner.hooks().reviews->size() == 1);  // it goes on waiting
  const auto reviewed = learner.correct_review(request, "task-2", Index{1});
  CHECK(reviewed.task == "task-2");
  CHECK(reviewed.is_corrected);
  CHECK((reviewed.item.input == query));
  CHECK(learner.hooks().reviews->size() == 0);
  LifeFit fit = fit_of_tasks<double>(3);
  fit.add(query, {6, 8});
  CHECK(weight_error(learner, fit) < life_tolerance<double>());
}

TEST_CASE("reviews that are corrected at once teach all their queries or none", "[learner]") {
  auto learner = living_learner<double>();
  learner.set_hooks({.reviews = std::make_shared<ReviewQueue<RowVector<double>>>()});
  learner.set_policy({.name = "all", .min_margin = 1000});
  const auto queries = small_rows<double>({.task = 1, .rows = 10, .sample = 70}).inputs;
  (void)learner.predict(std::span(queries).first(3));
  const auto waiting = learner.hooks().reviews->list();
  CHECK(contains(refusal_of<TaskError>(learner,
                                       [&] {
                                         learner.correct_reviews({{waiting[0].request, "task-1"},
                                                                  {waiting[1].request, "nobody"}});
                                       }),
                 "task 'nobody' is unknown"));
  CHECK(contains(refusal_of<ArgumentError>(
                     learner,
                     [&] {
                       learner.correct_reviews({{waiting[0].request, "task-1"}, {12345, "task-1"}});
                     }),
                 "12345"));
  REQUIRE(learner.hooks().reviews->size() == 3);
  learner.correct_reviews({{waiting[0].request, "task-1"}, {waiting[2].request, "task-2"}});
  CHECK(learner.hooks().reviews->size() == 1);
  CHECK(learner.tasks()[1].rows == 25);
  CHECK(learner.tasks()[2].rows == 25);
}

TEST_CASE("the log names the requests that a human decided", "[learner]") {
  auto learner = living_learner<double>();
  std::vector<std::array<std::string, 3>> heard;
  learner.set_hooks({.audit =
                         [&](const AuditEvent& event) {
                           if (const auto* change = std::get_if<ChangeEvent>(&event)) {
                             heard.push_back({std::string(change->event),
                                              std::string(change->query),
                                              std::string(change->task)});
                           }
                         },
                     .reviews = std::make_shared<ReviewQueue<RowVector<double>>>()});
  learner.set_policy({.name = "all", .min_margin = 1000});
  const auto queries = small_rows<double>({.task = 1, .rows = 10, .sample = 70}).inputs;
  const std::vector<std::string> ids{"q-0", "q-1", "q-2"};
  const auto predictions = learner.predict(std::span(queries).first(3), {}, {.ids = ids});
  const auto waiting = learner.hooks().reviews->list();
  learner.confirm_review(waiting[1].request);
  learner.correct_review(waiting[0].request, "task-2");
  learner.correct_reviews({{waiting[2].request, "task-0"}});
  CHECK(heard == std::vector<std::array<std::string, 3>>{{"confirm", "q-1", predictions[1].task},
                                                         {"correct", "q-0", "task-2"},
                                                         {"correct", "q-2", "task-0"}});
}

TEST_CASE("what waits for review follows the names of tasks", "[learner]") {
  auto learner = living_learner<double>();
  learner.set_hooks({.reviews = std::make_shared<ReviewQueue<RowVector<double>>>()});
  learner.set_policy({.name = "all", .min_margin = 1000});
  const auto task_of_review = [&] {
    const auto waiting = learner.hooks().reviews->list();
    return waiting.back().task + " of " + waiting.back().candidates.front();
  };
  const auto rows = small_task<double>(1);
  REQUIRE(learner.predict(std::span(rows.inputs).first(1)).front().task == "task-1");
  learner.rename_task("task-1", "b");
  CHECK(task_of_review() == "b of b");
  learner.merge_tasks("task-0", "b", "both");
  CHECK(task_of_review() == "b of b");
  learner.commit_merge("both");
  CHECK(task_of_review() == "both of both");
  learner.merge_tasks("both", "task-2", "all");
  (void)learner.predict(std::span(rows.inputs).first(1));
  CHECK(task_of_review() == "all of all");
  learner.undo_merge("all");
  CHECK(task_of_review() == "both of both");
}

TEST_CASE("a review that another thread resolved meanwhile is no error", "[learner]") {
  auto learner = living_learner<double>();
  const auto queue = std::make_shared<ReviewQueue<RowVector<double>>>();
  std::uint64_t taken = 0;
  learner.set_hooks({.audit =
                         [&](const AuditEvent& event) {
                           const auto* change = std::get_if<ChangeEvent>(&event);
                           if (change != nullptr && taken != 0) queue->drop(taken);
                         },
                     .reviews = queue});
  learner.set_policy({.name = "all", .min_margin = 1000});
  const auto queries = small_rows<double>({.task = 1, .rows = 10, .sample = 70}).inputs;
  (void)learner.predict(std::span(queries).first(3));
  const auto waiting = queue->list();
  taken = waiting[0].request;
  learner.correct_reviews({{waiting[0].request, "task-1"}, {waiting[1].request, "task-1"}});
  taken = waiting[2].request;
  CHECK(learner.correct_review(waiting[2].request, "task-1").task == "task-1");
  CHECK(queue->size() == 0);
  CHECK(learner.tasks()[1].rows == 27);
}

TEST_CASE("reviews without a queue are refused", "[learner][error]") {
  auto learner = living_learner<double>(1);
  const std::string message = "there is no review queue: set ServingHooks::reviews";
  CHECK(refusal_of<ArgumentError>(learner, [&] { learner.confirm_review(1); }) == message);
  CHECK(refusal_of<ArgumentError>(learner, [&] { learner.correct_review(1, "task-0"); }) ==
        message);
}
