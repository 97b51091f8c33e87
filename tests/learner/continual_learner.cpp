// SPDX-License-Identifier: MIT
#include "anyssr/learner/continual_learner.hpp"

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/points.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index point_dim = 16;

LearnerOptions small_options() {
  LearnerOptions options;
  options.router.rls = {.ridge = 0.01, .threads = 1};
  options.adapter.lora = {.rank = 4, .alpha = 4};
  options.train.epochs = 10;
  options.train.batch = 16;
  options.subspace_fit.rank = 8;
  options.lift.dim = 48;
  return options;
}

template <class S>
using Learner = ContinualLearner<PointBackbone<S>>;

template <class S>
Learner<S> make_learner(LearnerOptions options = small_options()) {
  return Learner<S>(PointBackbone<S>(point_dim), options);
}

template <class S>
PointTask<S> task(Index number, Index rows = 60) {
  return point_task<S>(number, rows, point_dim, 5);
}

template <class S>
TaskReport learn(Learner<S>& learner, const PointTask<S>& task) {
  return learner.learn_task(task.name, task.inputs, task.labels);
}

/// All that a failed call must leave as it was.
template <class S>
struct State {
  explicit State(const Learner<S>& learner)
      : sums(learner.router().regression().second_moment()),
        cross(learner.router().regression().cross_correlation()),
        rows(learner.router().regression().rows()),
        changes(learner.snapshot().changes()) {
    const auto snapshot = learner.snapshot();
    for (const auto& handle : snapshot.handles()) digests.push_back(handle->get()->digest());
  }
  bool operator==(const State& other) const {
    return sums == other.sums && cross.cols() == other.cross.cols() && cross == other.cross &&
           rows == other.rows && changes == other.changes && digests == other.digests;
  }
  Matrix<S> sums;
  Matrix<S> cross;
  Index rows;
  std::uint64_t changes;
  std::vector<std::uint64_t> digests;
};

/// Share of fresh queries of a task that are routed and answered right.
template <class S>
double accuracy(const Learner<S>& learner, Index number) {
  const PointTask<S> fresh = point_task<S>(number, 60, point_dim, 5, 50);
  const auto predictions = learner.predict(fresh.inputs);
  int right = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const bool is_right = predictions[i].task == fresh.name &&
                          learner.backbone().is_correct(predictions[i].output, fresh.labels[i]);
    right += is_right ? 1 : 0;
  }
  return right / 60.0;
}

}  // namespace

static_assert(Backbone<PointBackbone<float>> && !AdaptableBackbone<PointBackbone<float>>);
static_assert(!Backbone<std::string>);
static_assert(AdaptableBackbone<LiftedBackbone<PointBackbone<float>>>);
static_assert(std::is_same_v<Learner<double>::Adaptable, LiftedBackbone<PointBackbone<double>>>);

TEMPLATE_TEST_CASE("tasks learned in turn are all routed and answered", "[learner]", float,
                   double) {
  auto learner = make_learner<TestType>();
  for (Index t = 0; t < 4; ++t) {
    const TaskReport report = learn(learner, task<TestType>(t));
    CHECK(report.rows == 60);
    CHECK(report.training.epochs_run == 10);
    CHECK(report.adapter_parameters > 0);
    CHECK(report.subspaces.at("lift").rank == 8);
    for (Index j = 0; j <= t; ++j) CHECK(accuracy(learner, j) > 0.9);
  }
  const auto summaries = learner.tasks();
  REQUIRE(summaries.size() == 4);
  CHECK(summaries[2].name == "task-2");
  CHECK(summaries[2].rows == 60);
  CHECK(summaries[2].labels == 2);
  const StorageReport storage = learner.storage();
  REQUIRE(storage.adapter_bytes.size() == 4);
  CHECK(storage.adapter_bytes[1] == summaries[1].adapter_bytes);
  CHECK(storage.total() > storage.router_bytes + 4 * storage.adapter_bytes[0] - 1);
}

TEMPLATE_TEST_CASE("learning a task changes no bit of the backbone and of earlier adapters",
                   "[learner]", float, double) {
  auto learner = make_learner<TestType>();
  learn(learner, task<TestType>(0));
  learn(learner, task<TestType>(1));
  const auto before = learner.snapshot();
  const std::vector<std::uint64_t> digests{before.adapter("task-0")->digest(),
                                           before.adapter("task-1")->digest()};
  const auto probe = task<TestType>(7).inputs;
  const auto trunk = learner.backbone().trunk(probe);
  const auto outputs = learner.predict_as("task-0", probe);
  learn(learner, task<TestType>(2));
  const auto after = learner.snapshot();
  CHECK(after.adapter("task-0")->digest() == digests[0]);
  CHECK(after.adapter("task-1")->digest() == digests[1]);
  CHECK(after.adapter("task-0") == before.adapter("task-0"));
  CHECK((learner.backbone().trunk(probe).projected == trunk.projected));
  CHECK((learner.backbone().trunk(probe).features == trunk.features));
  const auto again = learner.predict_as("task-0", probe);
  for (std::size_t i = 0; i < outputs.size(); ++i) CHECK((outputs[i] == again[i]));
}

TEST_CASE("the order of tasks changes neither adapters nor decisions", "[learner][property]") {
  const std::vector<std::vector<Index>> orders{{0, 1, 2, 3}, {3, 1, 0, 2}, {2, 3, 1, 0}};
  std::vector<Learner<double>> learners;
  for (const auto& order : orders) {
    learners.push_back(make_learner<double>());
    for (const Index t : order) learn(learners.back(), task<double>(t));
  }
  std::vector<RowVector<double>> queries;
  for (Index t = 0; t < 4; ++t) {
    const auto fresh = point_task<double>(t, 40, point_dim, 5, 60);
    queries.insert(queries.end(), fresh.inputs.begin(), fresh.inputs.end());
  }
  const auto expected = learners[0].predict(queries);
  for (std::size_t k = 1; k < learners.size(); ++k) {
    const auto first = learners[0].snapshot();
    const auto other = learners[k].snapshot();
    for (Index t = 0; t < 4; ++t) {
      const std::string name = "task-" + std::to_string(t);
      CHECK(first.adapter(name)->digest() == other.adapter(name)->digest());
    }
    const auto predictions = learners[k].predict(queries);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      CHECK(predictions[i].task == expected[i].task);
      CHECK((predictions[i].output == expected[i].output));
    }
  }
}

TEST_CASE("predict answers as the chosen task does", "[learner]") {
  auto learner = make_learner<float>();
  for (Index t = 0; t < 3; ++t) learn(learner, task<float>(t));
  std::vector<RowVector<float>> queries;
  for (Index t = 0; t < 3; ++t) queries.push_back(task<float>(t).inputs[3]);
  const auto predictions = learner.predict(queries);  // three adapters in one batch
  for (std::size_t i = 0; i < 3; ++i) {
    const auto alone = learner.predict_as(predictions[i].task, std::span(&queries[i], 1)).front();
    CHECK(relative_error(predictions[i].output, alone) < 1e-5);
  }
  CHECK(learner.predict({}).empty());
  CHECK(learner.snapshot().decide(queries)[1].task == predictions[1].decision.task);
}

TEST_CASE("extending a task equals having learned its rows at once", "[learner]") {
  const auto whole = task<double>(0);
  auto at_once = make_learner<double>();
  auto in_parts = make_learner<double>();
  learn(at_once, whole);
  const std::span inputs(whole.inputs);
  const std::span<const Index> labels(whole.labels);
  in_parts.learn_task("task-0", inputs.first(40), labels.first(40));
  const std::uint64_t digest = in_parts.snapshot().handles().front()->get()->digest();
  in_parts.extend_task("task-0", inputs.subspan(40), labels.subspan(40));
  CHECK(in_parts.tasks().front().rows == 60);
  CHECK(in_parts.snapshot().handles().front()->get()->digest() == digest);
  CHECK(relative_error(in_parts.router().table()->weights(), at_once.router().table()->weights()) <
        1e-9);
}

TEST_CASE("an adapter from elsewhere is adopted by a few inputs", "[learner]") {
  auto teacher = make_learner<float>();
  for (Index t = 0; t < 3; ++t) learn(teacher, task<float>(t));
  auto learner = make_learner<float>();
  learn(learner, task<float>(0));
  const auto known = teacher.snapshot();
  for (Index t = 1; t < 3; ++t) {
    const auto few = point_task<float>(t, 12, point_dim, 5, 70);
    learner.adopt_task(few.name, *known.adapter(few.name), few.inputs,
                       {.metadata = {{"from", "elsewhere"}}});
  }
  for (Index t = 0; t < 3; ++t) CHECK(accuracy(learner, t) > 0.85);
  CHECK(learner.tasks()[1].metadata.at("from") == "elsewhere");
  CHECK(learner.tasks()[1].labels == 0);
  learner.extend_task("task-1", task<float>(1).inputs, task<float>(1).labels);
  CHECK(learner.tasks()[1].rows == 72);
}

TEST_CASE("replacing an adapter changes answers and not the router", "[learner]") {
  auto learner = make_learner<float>();
  learn(learner, task<float>(0));
  learn(learner, task<float>(1));
  const auto table = learner.router().table();
  Adapter<float> other =
      learner.backbone().make_adapter(task<float>(0).labels, {.lora = {.rank = 0}}, 1);
  other.heads.begin()->second.bias << 5.0F, 0.0F;  // always class 0
  learner.replace_adapter("task-0", other);
  CHECK(learner.router().table() == table);
  const auto outputs = learner.predict_as("task-0", task<float>(0).inputs);
  for (const auto& output : outputs) CHECK(output(0) > output(1));
}

TEST_CASE("a snapshot serves as it was while the learner learns", "[learner]") {
  auto learner = make_learner<float>();
  learn(learner, task<float>(0));
  const auto old = learner.snapshot();
  const auto queries = task<float>(0).inputs;
  const auto before = old.predict(queries);
  learn(learner, task<float>(1));
  const auto after = old.predict(queries);
  CHECK(old.tasks().size() == 1);
  for (std::size_t i = 0; i < queries.size(); ++i) CHECK((before[i].output == after[i].output));
  CHECK(learner.snapshot().changes() == old.changes() + 1);
}

TEST_CASE("a copy of a learner goes its own way", "[learner]") {
  auto learner = make_learner<float>();
  learn(learner, task<float>(0));
  auto copy = learner;
  learn(copy, task<float>(1));
  CHECK(learner.tasks().size() == 1);
  CHECK(copy.tasks().size() == 2);
  const State<float> before(learner);
  Learner<float> moved = std::move(copy);
  CHECK(moved.tasks().size() == 2);
  CHECK((State<float>(learner) == before));
}

TEMPLATE_TEST_CASE("bad input is refused with advice and the learner stays as it was",
                   "[learner][error]", float, double) {
  using S = TestType;
  auto learner = make_learner<S>();
  CHECK(contains(message_of<TaskError>([&] { (void)learner.predict(task<S>(0).inputs); }),
                 "no task is learned yet"));
  const auto first = task<S>(0);
  const auto second = task<S>(1);
  learn(learner, first);
  const State<S> before(learner);
  const auto refused = [&](auto&& action) {
    const std::string message = message_of<Error>(action);
    CHECK((State<S>(learner) == before));
    return message;
  };
  const std::string twice = refused([&] { learn(learner, first); });
  CHECK(contains(twice, "extend_task"));
  CHECK(contains(twice, "replace_adapter"));
  CHECK(contains(refused([&] { learner.learn_task("", second.inputs, second.labels); }),
                 "name is empty"));
  const std::span inputs(second.inputs);
  const std::span<const Index> labels(second.labels);
  CHECK(contains(refused([&] { learner.learn_task("b", {}, {}); }),
                 "inputs of task 'b' are empty, expected at least 1"));
  CHECK(contains(refused([&] { learner.learn_task("b", inputs.first(9), labels.first(8)); }),
                 "targets have 8 entries, expected 9"));
  const std::vector<Index> unknown_label(60, 3);
  const std::vector<Index> negative(60, -2);
  CHECK(contains(refused([&] { learner.learn_task("b", inputs, negative); }), "class -2"));
  auto bad = second.inputs;
  bad[4](2) = std::numeric_limits<S>::quiet_NaN();
  CHECK(contains(refused([&] { learner.learn_task("b", bad, labels); }),
                 "NaN or infinity at row 4, column 2"));
  CHECK(
      contains(refused([&] { (void)learner.predict(bad); }), "NaN or infinity at row 4, column 2"));
  const std::string unknown = refused([&] { (void)learner.predict_as("nobody", inputs); });
  CHECK(contains(unknown, "task 'nobody' is unknown, expected one of: task-0"));
  CHECK(contains(refused([&] { learner.extend_task("nobody", inputs, labels); }),
                 "'nobody' is unknown"));
  CHECK(contains(refused([&] { learner.extend_task("task-0", inputs, unknown_label); }),
                 "class 3, expected one of the 2"));
  CHECK(contains(refused([&] { learner.extend_task("task-0", {}, {}); }), "inputs are empty"));
  Adapter<S> adapter = *learner.snapshot().handles().front()->get();
  CHECK(contains(refused([&] { learner.adopt_task("task-0", adapter, inputs); }),
                 "is learned already"));
  adapter.heads.begin()->second.weights(0, 0) = std::numeric_limits<S>::infinity();
  CHECK(contains(refused([&] { learner.adopt_task("b", adapter, inputs); }),
                 "adapter holds NaN or infinity"));
  Adapter<S> elsewhere;
  elsewhere.modules.emplace("layers.7", LoraModule<S>(point_dim, 48));
  CHECK(contains(refused([&] { learner.adopt_task("b", elsewhere, inputs); }), "site 'layers.7'"));
  Adapter<S> headless = *learner.snapshot().handles().front()->get();
  headless.heads.clear();
  CHECK(
      contains(refused([&] { learner.adopt_task("b", headless, inputs); }), "adapter has no head"));
  headless.heads["lm_head"] = {Matrix<S>::Zero(48, 2), RowVector<S>::Zero(2)};
  CHECK(contains(refused([&] { learner.adopt_task("b", headless, inputs); }),
                 "has a head 'lm_head'"));
  headless.heads.clear();
  headless.heads["trained"] = {Matrix<S>::Zero(47, 2), RowVector<S>::Zero(2)};
  CHECK(contains(refused([&] { learner.replace_adapter("task-0", headless); }),
                 "head 'trained' is 47 x 2 with 2 biases, expected 48 x 2 with 2"));
  Adapter<S> misshaped;
  misshaped.modules.emplace("lift", LoraModule<S>(point_dim, 47));
  CHECK(contains(refused([&] { learner.replace_adapter("task-0", misshaped); }),
                 "maps 16 to 47, expected 16 to 48"));
}

TEST_CASE("a task cancelled at any step leaves the learner as it was", "[learner][error]") {
  auto learner = make_learner<float>();
  learn(learner, task<float>(0));
  const State<float> before(learner);
  const auto next = task<float>(1);
  int calls = 0;
  learner.learn_task("counted", next.inputs, next.labels,
                     {.progress = [&](const Progress&) { return ++calls > 0; }});
  REQUIRE(calls > 20);
  auto fresh = make_learner<float>();
  learn(fresh, task<float>(0));
  for (int stop = 1; stop <= calls; stop += 7) {
    int seen = 0;
    const auto progress = [&](const Progress&) { return ++seen < stop; };
    CHECK(contains(message_of<Cancelled>([&] {
                     fresh.learn_task("next", next.inputs, next.labels, {.progress = progress});
                   }),
                   "nothing was changed"));
    CHECK((State<float>(fresh) == before));
  }
}

TEST_CASE("features of another width are refused", "[learner][error]") {
  struct Wrong : PointBackbone<float> {
    using PointBackbone<float>::PointBackbone;
    [[nodiscard]] Matrix<float> features(std::span<const Input> inputs) const {
      return Matrix<float>::Zero(static_cast<Index>(inputs.size()), 3);
    }
  };
  ContinualLearner<Wrong> learner(Wrong(point_dim), small_options());
  const auto rows = task<float>(0);
  CHECK(message_of<ShapeError>([&] { learner.learn_task("a", rows.inputs, rows.labels); }) ==
        "features of the backbone are 60 x 3, expected 60 x 16");
  CHECK(learner.tasks().empty());
}

TEST_CASE("a poisoned router refuses to learn and the last snapshot goes on serving",
          "[learner][error]") {
  const bool rollback = GENERATE(false, true);
  LearnerOptions options = small_options();
  options.router.rls = {.ridge = 1e-30, .ridge_scale = RidgeScale::absolute, .threads = 1};
  options.router.rollback_copy = rollback;
  auto learner = make_learner<float>(options);
  learn(learner, task<float>(0));
  auto huge = task<float>(1);
  huge.inputs.resize(4);
  huge.labels.resize(4);
  for (auto& input : huge.inputs) input *= 1e9F;
  Adapter<float> adapter = *learner.snapshot().handles().front()->get();
  const auto before = learner.snapshot();
  CHECK(contains(
      message_of<NumericalError>([&] { learner.adopt_task("huge", adapter, huge.inputs); }),
      "raise the ridge"));
  CHECK(learner.is_poisoned() == !rollback);
  CHECK(learner.tasks().size() == 1);
  CHECK(learner.snapshot().changes() == before.changes());
  CHECK(learner.predict(task<float>(0).inputs).size() == 60);
  if (rollback) {
    learn(learner, task<float>(1));
    CHECK(learner.tasks().size() == 2);
  } else {
    CHECK(
        contains(message_of<NumericalError>([&] { learn(learner, task<float>(1)); }), "poisoned"));
  }
}
