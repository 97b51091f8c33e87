// SPDX-License-Identifier: MIT
#include "anyssr/learner/continual_learner.hpp"

#include <Eigen/LU>
#include <Eigen/SVD>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// A learner of task-0 .. task-(count - 1), 24 rows and two labels each: columns 3 t to 3 t + 2.
template <class S>
PointLearner<S> living_learner(Index count = 3) {
  auto learner = small_learner<S>();
  learn_small_tasks<S>(learner, 0, count);
  return learner;
}

/// Rows with their columns of ones, fitted at once the slow way.
class LifeFit {
 public:
  template <class X>
  void add(const X& row, std::initializer_list<Index> columns) {
    rows_.push_back(row.template cast<double>());
    ones_.emplace_back(columns);
  }
  /// All rows of a task at columns first, and first + 1 + label.
  template <class S>
  void add(const PointTask<S>& task, Index first) {
    for (std::size_t i = 0; i < task.inputs.size(); ++i) {
      add(task.inputs[i], {first, first + 1 + task.labels[i]});
    }
  }
  [[nodiscard]] Eigen::MatrixXd weights(Index columns) const {
    const auto count = static_cast<Index>(rows_.size());
    Eigen::MatrixXd x(count, small_dim);
    Eigen::MatrixXd y = Eigen::MatrixXd::Zero(count, columns);
    for (Index i = 0; i < count; ++i) {
      x.row(i) = rows_[static_cast<std::size_t>(i)];
      for (const Index column : ones_[static_cast<std::size_t>(i)]) y(i, column) = 1;
    }
    return joint_fit(x, y, 0.3);
  }

 private:
  std::vector<RowVector<double>> rows_;
  std::vector<std::vector<Index>> ones_;
};

template <class S>
double weight_error(const PointLearner<S>& learner, const LifeFit& fit) {
  const auto& weights = learner.router().table()->weights();
  return relative_error(weights, fit.weights(weights.cols()));
}

/// eps times the condition of the Gram, about 1e5 here.
template <class S>
double life_tolerance() {
  return round_off<S>(1e5);
}

/// All decisions, scores and answers for fresh queries of some tasks.
template <class S>
std::vector<Prediction<Vector<S>>> fresh_predictions(const PointLearner<S>& learner, Index tasks) {
  std::vector<RowVector<S>> queries;
  for (Index t = 0; t < tasks; ++t) {
    const auto fresh = point_task<S>(t, 10, small_dim, 5, 50);
    queries.insert(queries.end(), fresh.inputs.begin(), fresh.inputs.end());
  }
  return learner.predict(queries);
}

template <class Predictions>
bool same_predictions(const Predictions& left, const Predictions& right) {
  bool same = left.size() == right.size();
  for (std::size_t i = 0; same && i < left.size(); ++i) {
    same = left[i].task == right[i].task && left[i].decision.scores == right[i].decision.scores &&
           left[i].decision.confidence == right[i].decision.confidence &&
           left[i].output == right[i].output;
  }
  return same;
}

/// The message of a refused call, and that it left the learner as it was.
template <class E, class S, class Action>
std::string refusal_of(const PointLearner<S>& learner, const Action& action) {
  const Learned<S> before(learner);
  const std::string message = message_of<E>(action);
  CHECK((Learned<S>(learner) == before));
  return message;
}

}  // namespace

TEMPLATE_TEST_CASE("an archived task is never chosen and comes back as it was", "[learner]", float,
                   double) {
  auto learner = living_learner<TestType>();
  const Learned<TestType> before(learner);
  const auto answers = fresh_predictions(learner, 3);
  learner.archive_task("task-1");
  CHECK(learner.snapshot().generation() == before.generation + 1);
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
  const auto more = point_task<double>(1, 9, small_dim, 5, 70);
  learner.extend_task("task-1", more.inputs, more.labels);
  LifeFit fit;
  for (Index t = 0; t < 3; ++t) fit.add(small_task<double>(t), 3 * t);
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

TEMPLATE_TEST_CASE("a corrected query is learned as a row of the right task", "[learner]", float,
                   double) {
  auto learner = living_learner<TestType>();
  const auto digest = learner.snapshot().handles()[2]->info().digest;
  const auto query = point_task<TestType>(2, 10, small_dim, 5, 70).inputs[7];
  LifeFit fit;
  for (Index t = 0; t < 3; ++t) fit.add(small_task<TestType>(t), 3 * t);
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
  const auto fresh = point_task<TestType>(2, 10, small_dim, 5, 70);
  const std::uint64_t before = learner.snapshot().generation();
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
  CHECK(learner.snapshot().generation() == before + 1);
}

TEST_CASE("of corrections with a bad one none is made", "[learner][error]") {
  auto learner = living_learner<double>();
  learner.freeze_task("task-2");
  const auto fresh = point_task<double>(1, 10, small_dim, 5, 70);
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
  const auto query = point_task<double>(2, 10, small_dim, 5, 70).inputs[0];
  learner.correct(query, "adopted");
  LifeFit fit;
  for (Index t = 0; t < 2; ++t) fit.add(small_task<double>(t), 3 * t);
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
  const auto query = point_task<double>(1, 10, small_dim, 5, 70).inputs[2];
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
  LifeFit fit;
  for (Index t = 0; t < 3; ++t) fit.add(small_task<double>(t), 3 * t);
  fit.add(query, {6, 8});
  CHECK(weight_error(learner, fit) < life_tolerance<double>());
}

TEST_CASE("reviews that are corrected at once teach all their queries or none", "[learner]") {
  auto learner = living_learner<double>();
  learner.set_hooks({.reviews = std::make_shared<ReviewQueue<RowVector<double>>>()});
  learner.set_policy({.name = "all", .min_margin = 1000});
  const auto queries = point_task<double>(1, 10, small_dim, 5, 70).inputs;
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
  const auto queries = point_task<double>(1, 10, small_dim, 5, 70).inputs;
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
  const auto queries = point_task<double>(1, 10, small_dim, 5, 70).inputs;
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
  CHECK(after.generation == before.generation + 2);
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

TEMPLATE_TEST_CASE("a merged task scores what both together score", "[learner]", float, double) {
  auto learner = living_learner<TestType>();
  LifeFit fit;
  for (Index t = 0; t < 3; ++t) fit.add(small_task<TestType>(t), 3 * t);
  const Eigen::MatrixXd weights = fit.weights(9);
  learner.merge_tasks("task-0", "task-2", "both");
  const bool committed = GENERATE(false, true);
  if (committed) learner.commit_merge("both");
  CHECK(learner.tasks()[0].waits_for_commit != committed);
  CHECK(learner.tasks()[0].rows == 48);
  CHECK(learner.tasks()[0].labels == 4);
  for (Index t = 0; t < 3; ++t) {
    const auto queries = point_task<TestType>(t, 6, small_dim, 5, 80).inputs;
    const auto predictions = learner.predict(queries);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      const RowVector<double> raw = queries[i].template cast<double>() * weights;
      const double labels = std::max({raw(1), raw(2), raw(7), raw(8)});
      CHECK(std::abs(predictions[i].decision.scores(0) - (raw(0) + raw(6) + labels)) <
            life_tolerance<TestType>());
      CHECK(predictions[i].task == (t == 1 ? "task-1" : "both"));
    }
  }
}

TEST_CASE("labels of the second task follow those of the first", "[learner]") {
  auto learner = living_learner<double>();
  const auto now = learner.snapshot();
  const auto a = now.adapter("task-0");
  const auto b = now.adapter("task-2");
  learner.merge_tasks("task-0", "task-2", "both");
  const auto merged = learner.snapshot().adapter("both");
  for (const auto& [name, head] : merged->heads) {
    const auto& first = a->heads.at(name);
    const auto& second = b->heads.at(name);
    REQUIRE(head.out_dim() == 4);
    const RowVector<double> h = random_normal<double>(1, head.in_dim(), 3);
    const RowVector<double> both = head.logits(h);
    CHECK(relative_error(both.head(2), RowVector<double>(first.logits(h))) < 1e-14);
    CHECK(relative_error(both.tail(2), RowVector<double>(second.logits(h))) < 1e-14);
  }
  const auto outputs = learner.predict_as("both", small_task<double>(2).inputs);
  for (const auto& output : outputs) CHECK(output.size() == 4);
}

TEST_CASE("a merged adapter is the nearest of its rank to the sum of both", "[learner]") {
  auto learner = living_learner<double>();
  const auto now = learner.snapshot();
  const Matrix<double> sum = now.adapter("task-0")->modules.at("lift").delta() +
                             now.adapter("task-1")->modules.at("lift").delta();
  const Index rank = GENERATE(0, 1, 3);  // 0: the larger of both, 2
  const MergeReport report = learner.merge_tasks("task-0", "task-1", "both", {.rank = rank});
  const auto& module = learner.snapshot().adapter("both")->modules.at("lift");
  const Index kept = rank == 0 ? 2 : rank;
  CHECK(module.rank() == kept);
  const Vector<double> values = Eigen::JacobiSVD<Matrix<double>>(sum).singularValues();
  const double lost = values.tail(values.size() - kept).norm() / values.norm();
  CHECK(std::abs(report.relative_error.at("lift") - lost) < 1e-12);
  CHECK(std::abs((sum - module.delta()).norm() / sum.norm() - lost) < 1e-12);
  CHECK(report.bytes_before == now.adapter("task-0")->bytes() + now.adapter("task-1")->bytes());
  CHECK(report.bytes_after == learner.snapshot().adapter("both")->bytes());
}

TEST_CASE("a merge by data is nearest to both on the queries of each task", "[learner]") {
  auto learner = living_learner<double>();
  const auto now = learner.snapshot();
  const auto first = small_task<double>(0).inputs;
  const auto second = point_task<double>(1, 40, small_dim, 5, 70).inputs;
  Matrix<double> gram = Matrix<double>::Zero(small_dim, small_dim);
  Matrix<double> right = Matrix<double>::Zero(small_dim, 10);
  for (const auto& [inputs, task] : {std::pair{&first, "task-0"}, std::pair{&second, "task-1"}}) {
    const Matrix<double> x = learner.backbone().features(*inputs);
    const Matrix<double> moment = x.transpose() * x / static_cast<double>(x.rows());
    gram += moment;
    right += moment * now.adapter(task)->modules.at("lift").delta().transpose();
  }
  gram.diagonal().array() += 0.01 * gram.trace() / small_dim;
  const Matrix<double> expected = gram.partialPivLu().solve(right).transpose();
  learner.merge_tasks("task-0", "task-1", "both",
                      {.rule = MergeRule::data_aware,
                       .rank = 4,  // of both together: nothing is cut
                       .first_inputs = first,
                       .second_inputs = second,
                       .ridge = 0.01});
  const auto merged = learner.snapshot().adapter("both");
  CHECK(relative_error(merged->modules.at("lift").delta(), expected) < life_tolerance<double>());
}

TEST_CASE("a merge by data of wide inputs tells its error on all of them", "[learner]") {
  constexpr Index dim = 1100;
  PointLearner<double> learner(PointBackbone<double>(dim), small_learner_options());
  std::vector<PointTask<double>> tasks;
  for (Index t = 0; t < 2; ++t) {
    tasks.push_back(point_task<double>(t, 150, dim, 5));
    learner.learn_task(tasks.back().name, tasks.back().inputs, tasks.back().labels);
  }
  const auto now = learner.snapshot();
  const MergeReport report = learner.merge_tasks("task-0", "task-1", "both",
                                                 {.rule = MergeRule::data_aware,
                                                  .rank = 1,
                                                  .first_inputs = tasks[0].inputs,
                                                  .second_inputs = tasks[1].inputs});
  const Matrix<double> merged = learner.snapshot().adapter("both")->modules.at("lift").delta();
  double lost = 0;
  double whole = 0;
  for (const PointTask<double>& task : tasks) {
    const Matrix<double> x = learner.backbone().features(task.inputs);
    const Matrix<double> own = now.adapter(task.name)->modules.at("lift").delta();
    lost += (x * (merged - own).transpose()).squaredNorm();
    whole += (x * own.transpose()).squaredNorm();
  }
  const double error = std::sqrt(lost / whole);
  CHECK(error > 0.01);
  CHECK(std::abs(report.relative_error.at("lift") - error) < 1e-6);
  CHECK(report.energy_kept.at("lift") > 1 - 1e-9);
}

TEST_CASE("heads of classes stand side by side whatever the router knows of labels", "[learner]") {
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  SECTION("without label columns") {
    options.router.label_columns = false;
    auto learner = small_learner<double>(options);
    learn_small_tasks<double>(learner, 0, 2);
    learner.merge_tasks("task-0", "task-1", "both");
    CHECK(learner.snapshot().adapter("both")->heads.begin()->second.out_dim() == 4);
    learner.commit_merge("both");
    CHECK(learner.inspector()->state().learned.at("both").labels ==
          std::map<Index, Index>{{0, 12}, {1, 12}, {2, 12}, {3, 12}});
  }
  SECTION("of adopted tasks") {
    auto learner = living_learner<double>();
    const auto a = *learner.snapshot().adapter("task-0");
    const auto b = *learner.snapshot().adapter("task-1");
    learner.adopt_task("a", a, small_task<double>(3).inputs);
    learner.adopt_task("b", b, small_task<double>(4).inputs);
    learner.merge_tasks("a", "b", "both");
    CHECK(learner.snapshot().adapter("both")->heads.begin()->second.out_dim() == 4);
  }
}

TEST_CASE("a head of other classes than the router's labels comes second", "[learner][error]") {
  auto learner = living_learner<double>();
  Adapter<double> wide = *learner.snapshot().adapter("task-0");
  for (auto& [name, head] : wide.heads) {
    head.weights.conservativeResize(Eigen::NoChange, 3);
    head.weights.col(2).setZero();
    head.bias.conservativeResize(3);
    head.bias(2) = -5;
  }
  learner.replace_adapter("task-0", wide);
  CHECK(refusal_of<ArgumentError>(learner,
                                  [&] { learner.merge_tasks("task-0", "task-1", "both"); }) ==
        "task 'task-0' has a head of 3 classes and 2 labels in the router, expected as many: "
        "extend it by rows of each class, or merge it as the second");
  learner.merge_tasks("task-1", "task-0", "both");
  learner.commit_merge("both");
  const auto more = small_task<double>(0);
  const std::vector<Index> third(more.inputs.size(), 4);  // that class of the head
  learner.extend_task("both", more.inputs, third);
  CHECK(learner.tasks()[0].labels == 5);
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
  const auto more = point_task<double>(0, 9, small_dim, 5, 70);
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

TEST_CASE("tasks that cannot become one are refused", "[learner][error]") {
  auto learner = living_learner<double>();
  const Adapter<double> adapter = *learner.snapshot().adapter("task-0");
  learner.adopt_task("adopted", adapter, small_task<double>(3).inputs);
  const auto refused = [&](const char* first, const char* second, const char* name,
                           const MergeOptions<RowVector<double>>& options = {}) {
    return refusal_of<Error>(learner, [&] { learner.merge_tasks(first, second, name, options); });
  };
  CHECK(contains(refused("nobody", "task-1", "x"), "task 'nobody' is unknown"));
  CHECK(refused("task-1", "task-1", "x") == "task 'task-1' is to join itself");
  CHECK(contains(refused("task-0", "task-1", "task-2"), "task 'task-2' is known already"));
  CHECK(contains(refused("task-0", "task-1", ""), "new task name is empty"));
  CHECK(contains(refused("task-0", "adopted", "x"),
                 "task 'task-0' was learned with labels, expected the same of 'adopted'"));
  CHECK(refused("task-0", "task-1", "x", {.rank = -1}) ==
        "rank is -1, expected 0 (the larger of both) or more");
  CHECK(refused("task-0", "task-1", "x", {.rule = MergeRule::data_aware}) ==
        "inputs to merge by are 0 and 0, expected queries of both tasks");
  learner.archive_task("task-1");
  CHECK(contains(refused("task-0", "task-1", "x"), "expected both alike"));
  learner.set_policy({.fallback = FallbackKind::default_task, .default_task = "task-2"});
  CHECK(contains(refused("task-2", "task-0", "x"), "is the default task of the policy"));
}

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

TEST_CASE("a sink hears of every change once and in order", "[learner]") {
  auto learner = small_learner<double>();
  struct Heard {
    std::string event, task, source;
    std::optional<Index> rows;
    std::uint64_t generation, digest, expected_digest;
  };
  std::vector<Heard> heard;
  learner.set_hooks({.audit = [&](const AuditEvent& event) {
    const auto& change = std::get<ChangeEvent>(event);
    const auto& weights = learner.router().table()->weights();
    heard.push_back({std::string(change.event), std::string(change.task),
                     change.second_source.empty()
                         ? std::string(change.source)
                         : std::string(change.source) + " " + std::string(change.second_source),
                     change.rows, change.generation, change.router_digest,
                     hash_bytes({reinterpret_cast<const char*>(weights.data()),
                                 static_cast<std::size_t>(weights.size()) * sizeof(double)},
                                0)});
  }});
  const auto rows = small_task<double>(0);
  learn_small_tasks<double>(learner, 0, 3);
  learner.extend_task("task-0", std::span(rows.inputs).first(5), std::span(rows.labels).first(5));
  learner.replace_adapter("task-0", *learner.snapshot().adapter("task-1"));
  learner.rename_task("task-2", "c");
  learner.correct(rows.inputs[0], "c", Index{1}, std::pair{std::string("task-0"), rows.labels[0]});
  learner.merge_tasks("task-0", "task-1", "both");
  learner.commit_merge("both");
  learner.remove_task("c");
  CHECK(message_of<TaskError>([&] { learner.remove_task("c"); }) != "nothing was thrown");
  const std::vector<std::array<std::string, 3>> expected{{"learn", "task-0", ""},
                                                         {"learn", "task-1", ""},
                                                         {"learn", "task-2", ""},
                                                         {"extend", "task-0", ""},
                                                         {"replace", "task-0", ""},
                                                         {"rename", "c", "task-2"},
                                                         {"correct", "c", "task-0"},
                                                         {"merge_tasks", "both", "task-0 task-1"},
                                                         {"commit", "both", "task-0 task-1"},
                                                         {"remove", "c", ""}};
  REQUIRE(heard.size() == expected.size());
  const std::uint64_t first = heard.front().generation;
  for (std::size_t k = 0; k < heard.size(); ++k) {
    CAPTURE(k);
    CHECK(heard[k].event == expected[k][0]);
    CHECK(heard[k].task == expected[k][1]);
    CHECK(heard[k].source == expected[k][2]);
    CHECK(heard[k].generation == first + k);
    CHECK(heard[k].digest == heard[k].expected_digest);
  }
  CHECK(heard[0].rows == std::optional<Index>(24));
  CHECK(heard[3].rows == std::optional<Index>(5));
  CHECK(heard[6].rows == std::optional<Index>(1));
  CHECK(heard[9].rows == std::optional<Index>(25));
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

TEST_CASE("a task starts without use whatever an old snapshot counted", "[learner]") {
  auto learner = living_learner<double>();
  const auto old = learner.snapshot();
  learner.remove_task("task-0");
  (void)old.predict(small_task<double>(0).inputs);
  learn_small_tasks(learner, 0, 1);
  CHECK(learner.usage().count("task-0") == 0);
}
