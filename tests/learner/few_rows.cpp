// SPDX-License-Identifier: MIT
// Tasks of one label, of one row, of two: learned like any other, and all that happens to a task
// later happens to them.
#include <cmath>
#include <string>
#include <vector>

#include "anyssr/backbone/text_hashing.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/store/storage_forecast.hpp"
#include "anyssr/store/storage_shape.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// A task of the usual rows that all have one label.
template <class S>
PointTask<S> one_label_task(Index number, Index label, Index rows = 24) {
  PointTask<S> task = small_task<S>(number, rows);
  task.labels.assign(task.labels.size(), label);
  return task;
}

template <class S>
void learn_points(PointLearner<S>& learner, const PointTask<S>& task) {
  learner.learn_task(task.name, task.inputs, task.labels);
}

/// Whether every query of a task is answered by the class.
template <class S>
bool always_answers(const PointLearner<S>& learner, const std::string& task, Index label) {
  for (Index other = 0; other < 4; ++other) {
    for (const auto& output : learner.predict_as(task, small_task<S>(other).inputs)) {
      if (!learner.backbone().is_correct(output, label) || !output.allFinite()) return false;
    }
  }
  return true;
}

template <class S>
double routed_right(const PointLearner<S>& learner, const PointTask<S>& task) {
  double right = 0;
  for (const auto& prediction : learner.predict(task.inputs)) {
    right += prediction.task == task.name ? 1 : 0;
    CHECK(prediction.decision.confidence > 0);
    CHECK(prediction.decision.confidence <= 1);
  }
  return right / static_cast<double>(task.inputs.size());
}

}  // namespace

TEMPLATE_TEST_CASE("a task of one label is learned and always answers it", "[learner]", float,
                   double) {
  using S = TestType;
  LearnerOptions options = small_learner_options();
  options.subspace =
      GENERATE(SubspaceChoice::none, SubspaceChoice::own, SubspaceChoice::complement);
  options.train.validation_share = GENERATE(0.0, 0.3);
  options.router.novelty.mode = NoveltyMode::leverage;
  options.inspector = InspectorOptions{};
  PointLearner<S> learner = small_learner<S>(options);
  learn_small_tasks(learner, 0, 1);
  const Index label = GENERATE(0, 3);  // 3: classes 0 to 2 exist and have no row
  CAPTURE(label);
  const auto task = one_label_task<S>(1, label);
  learn_points(learner, task);
  learn_small_tasks(learner, 2, 4);
  CHECK(always_answers(learner, task.name, label));
  CHECK(learner.snapshot().adapter(task.name)->modules.empty());
  for (Index t = 0; t < 4; ++t) CHECK(routed_right(learner, small_task<S>(t)) > 0.9);
  CHECK(learner.inspector()->state().learned.at(task.name).features.rows == 24);
  const StorageForecast forecast = forecast_storage(storage_shape(learner), 100);
  CHECK(std::isfinite(forecast.total().disk));
}

TEMPLATE_TEST_CASE("tasks of one and of two rows are learned", "[learner]", float, double) {
  using S = TestType;
  LearnerOptions options = small_learner_options();
  options.subspace =
      GENERATE(SubspaceChoice::none, SubspaceChoice::own, SubspaceChoice::complement);
  options.train.validation_share = GENERATE(0.0, 0.3);
  options.router.label_columns = GENERATE(false, true);
  PointLearner<S> learner = small_learner<S>(options);
  const auto one = small_task<S>(0, 1);
  const auto two = small_task<S>(1, 2);  // one row for each of two labels
  const auto same = one_label_task<S>(2, 0, 2);
  for (const auto* task : {&one, &two, &same}) learn_points(learner, *task);
  learn_small_tasks(learner, 3, 4);
  for (const auto* task : {&one, &two, &same}) {
    CAPTURE(task->name);
    CHECK(routed_right(learner, *task) == 1);
    const auto outputs = learner.predict_as(task->name, task->inputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      CHECK(learner.backbone().is_correct(outputs[i], task->labels[i]));
    }
  }
  CHECK(always_answers(learner, one.name, 0));
  // more rows of the same label
  const auto more = one_label_task<S>(0, 0, 20);
  learner.extend_task(one.name, more.inputs, more.labels);
  CHECK(routed_right(learner, more) > 0.9);
}

TEMPLATE_TEST_CASE("a task without any row is refused", "[learner][error]", float, double) {
  PointLearner<TestType> learner = small_learner<TestType>();
  CHECK(message_of<ShapeError>([&] { learner.learn_task("none", {}, {}); }) ==
        "inputs of task 'none' are empty, expected at least 1");
  CHECK(learner.tasks().empty());
}

TEST_CASE("labels far beyond the number of rows are refused", "[learner][error]") {
  PointLearner<float> learner = small_learner<float>();
  auto task = one_label_task<float>(0, 0, 1);
  const auto refusal = [&](Index label) {
    task.labels.front() = label;
    return message_of<ArgumentError>([&] { learn_points(learner, task); });
  };
  CHECK(refusal(999999) ==
        "targets hold class 999999 in 1 rows, expected below 2000: number the classes from 0");
  CHECK(contains(refusal(2000), "targets hold class 2000 in 1 rows"));
  CHECK(learner.tasks().empty());
  task.labels.front() = 3;  // a class of those that other tasks have too
  learn_points(learner, task);
  CHECK(always_answers(learner, task.name, 3));
}

TEMPLATE_TEST_CASE("a second label comes with an adapter that knows it", "[learner]", float,
                   double) {
  using S = TestType;
  PointLearner<S> learner = small_learner<S>();
  learn_small_tasks(learner, 0, 1);
  const auto task = one_label_task<S>(1, 0);
  learn_points(learner, task);
  const auto more = small_task<S>(1);  // both labels
  const std::string message =
      message_of<ArgumentError>([&] { learner.extend_task(more.name, more.inputs, more.labels); });
  CHECK(message ==
        "targets hold class 1, expected one of the 1 classes of the adapter: replace_adapter "
        "brings one that knows more");
  CHECK(learner.tasks()[1].rows == 24);
  CHECK(learner.tasks()[1].labels == 1);
  PointLearner<S> elsewhere = small_learner<S>();
  learn_points(elsewhere, more);
  learner.replace_adapter(more.name, *elsewhere.snapshot().adapter(more.name));
  learner.extend_task(more.name, more.inputs, more.labels);
  CHECK(learner.tasks()[1].labels == 2);
  CHECK(learner.tasks()[1].rows == 48);
  CHECK_FALSE(always_answers(learner, more.name, 0));
  CHECK(routed_right(learner, more) > 0.9);
}

TEMPLATE_TEST_CASE("a task of one label is corrected and merged and compressed", "[learner]", float,
                   double) {
  using S = TestType;
  PointLearner<S> learner = small_learner<S>();
  learn_small_tasks(learner, 0, 2);
  const auto third = one_label_task<S>(2, 0);
  const auto fourth = one_label_task<S>(3, 1, 1);
  learn_points(learner, third);
  learn_points(learner, fourth);
  learner.correct(small_task<S>(3).inputs[5], third.name, Index{0});
  CHECK(learner.tasks()[2].rows == 25);
  const auto before = learner.snapshot();
  // with a task like others, and with one of its kind
  for (const std::string& other : {std::string("task-0"), fourth.name}) {
    CAPTURE(other);
    MergeOptions<RowVector<S>> options;
    options.rule = GENERATE(MergeRule::sum, MergeRule::data_aware);
    const auto first_rows = small_task<S>(2).inputs;
    const auto second_rows = small_task<S>(0).inputs;
    options.first_inputs = first_rows;
    options.second_inputs = second_rows;
    const MergeReport report = learner.merge_tasks(third.name, other, "both", options);
    for (const auto& [site, error] : report.relative_error) CHECK(std::isfinite(error));
    for (const auto& output : learner.predict_as("both", first_rows)) CHECK(output.allFinite());
    learner.undo_merge("both");
    CHECK(always_answers(learner, third.name, 0));
  }
  const ConsolidationPlan plan = learner.consolidate(learner.storage().adapter_bytes[0]);
  CHECK(plan.adapters.size() == 4);
  for (const AdapterBudget& adapter : plan.adapters) CHECK(std::isfinite(adapter.error));
  CHECK(always_answers(learner, third.name, 0));
  CHECK(always_answers(learner, fourth.name, 1));
}

TEMPLATE_TEST_CASE("a learner may know tasks of one label alone", "[learner]", float, double) {
  using S = TestType;
  PointLearner<S> learner = small_learner<S>();
  for (Index t = 0; t < 3; ++t) learn_points(learner, one_label_task<S>(t, t));
  CHECK(learner.consolidate(0).bytes_after == 0);
  for (Index t = 0; t < 3; ++t) {
    CHECK(always_answers(learner, small_task<S>(t).name, t));
    CHECK(routed_right(learner, small_task<S>(t)) > 0.9);
  }
}

TEST_CASE("texts of one label are learned even where they hold no letter", "[learner]") {
  using Learner = ContinualLearner<TextHashingBackbone<float>>;
  LearnerOptions options;
  options.router.rls = {.ridge = 0.3, .ridge_scale = RidgeScale::absolute, .threads = 1};
  options.lift.dim = 32;
  options.train.epochs = 2;
  options.subspace =
      GENERATE(SubspaceChoice::none, SubspaceChoice::own, SubspaceChoice::complement);
  Learner learner(TextHashingBackbone<float>({.dim = 256}), options);
  const std::vector<std::string> words{"where is my parcel", "the parcel is late", "parcel lost"};
  const std::vector<std::string> signs{"???", "!"};
  learner.learn_task("post", words, std::vector<Index>(3, 0));
  learner.learn_task("signs", signs, std::vector<Index>(2, 0));
  learner.learn_task("mixed", signs, std::vector<Index>{0, 1});
  for (const auto& prediction : learner.predict(words)) {
    CHECK(prediction.task == "post");
    CHECK(prediction.output.size() == 1);
    CHECK(prediction.output(0) == 0);  // log 1
  }
  CHECK(std::isfinite(learner.predict(signs).front().decision.confidence));
}

TEST_CASE("options that no task could be trained with are refused at once", "[learner][error]") {
  const auto refused = [](const auto& change) {
    LearnerOptions options = small_learner_options();
    change(options);
    const std::string message =
        message_of<ArgumentError>([&] { (void)small_learner<float>(options); });
    const auto restore = [&] {
      const auto no_state = [](const auto&) { return LearnerState<float>(); };
      (void)PointLearner<float>::restore(small_learner<float>().backbone().base(), options,
                                         no_state);
    };
    CHECK(message_of<ArgumentError>(restore) == message);
    return message;
  };
  CHECK(contains(refused([](LearnerOptions& options) { options.train.rate = 0; }), "rate is 0"));
  CHECK(contains(refused([](LearnerOptions& options) { options.train.batch = 0; }), "batch is 0"));
  CHECK(contains(refused([](LearnerOptions& options) { options.subspace_fit.rank = -1; }), "rank"));
  CHECK(contains(refused([](LearnerOptions& options) { options.adapter.lora.rank = -1; }),
                 "adapter.lora.rank is -1, expected 0 or more"));
  CHECK(contains(refused([](LearnerOptions& options) { options.adapter.lora.alpha = 0; }),
                 "adapter.lora.alpha is 0, expected"));
}
