// SPDX-License-Identifier: MIT
// What a learner does with its router as a whole: another one is absorbed, the ridge is set.
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "anyssr/learner/continual_learner.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

template <class S>
double router_difference(const PointLearner<S>& left, const PointLearner<S>& right) {
  return relative_error(left.router().table()->weights(), right.router().table()->weights());
}

/// eps times the condition of the Gram, about 1e5 here.
template <class S>
double router_tolerance() {
  return round_off<S>(1e5);
}

/// Has the sink write down "event task rows" of each change.
template <class S>
void write_down(PointLearner<S>& learner, std::vector<std::string>& told) {
  learner.set_hooks({.audit = [&told](const AuditEvent& event) {
    const auto* const change = std::get_if<ChangeEvent>(&event);
    if (change == nullptr) return;
    told.push_back(std::string(change->event) + " " + std::string(change->task) + " " +
                   std::to_string(change->rows.value_or(0)));
  }});
}

}  // namespace

TEMPLATE_TEST_CASE("a learner that absorbs a router equals one that learned its rows", "[learner]",
                   float, double) {
  using S = TestType;
  const auto more = point_task<S>(1, 10, small_dim, 5, 70);
  auto learner = small_learner<S>();
  learn_small_tasks<S>(learner, 0, 2);
  auto elsewhere = small_learner<S>();
  elsewhere.learn_task("task-1", more.inputs, more.labels);
  learn_small_tasks<S>(elsewhere, 2, 3);
  auto joint = small_learner<S>();
  learn_small_tasks<S>(joint, 0, 2);
  joint.extend_task("task-1", more.inputs, more.labels);
  learn_small_tasks<S>(joint, 2, 3);

  std::vector<std::string> told;
  write_down(learner, told);
  const auto old = learner.snapshot();
  learner.absorb_router(elsewhere.router(), {{"task-2", *elsewhere.snapshot().adapter("task-2")}});
  CHECK(router_difference(learner, joint) < router_tolerance<S>());
  CHECK(learner.tasks()[1].rows == 34);
  CHECK(learner.tasks()[2].name == "task-2");
  CHECK(old.tasks().size() == 2);
  CHECK(learner.snapshot().changes() == old.changes() + 2);
  CHECK(told == std::vector<std::string>{"absorb task-1 10", "absorb task-2 24"});
  const auto task = small_task<S>(2);
  CHECK(learner.predict_as("task-2", task.inputs) == joint.predict_as("task-2", task.inputs));
  CHECK(learner.predict(task.inputs).front().task == "task-2");
  CHECK(learner.usage().at("task-2").count > 0);
}

TEST_CASE("a router that cannot be absorbed leaves the learner as it was", "[learner][error]") {
  auto learner = small_learner<double>();
  learn_small_tasks<double>(learner, 0, 2);
  auto elsewhere = small_learner<double>();
  learn_small_tasks<double>(elsewhere, 1, 3);
  const Adapter<double> adapter = *elsewhere.snapshot().adapter("task-2");
  const auto refusal = [&]<class E>(std::type_identity<E> /*kind*/,
                                    std::map<std::string, Adapter<double>> adapters) {
    const Learned<double> before(learner);
    const std::string message =
        message_of<E>([&] { learner.absorb_router(elsewhere.router(), std::move(adapters)); });
    CHECK((Learned<double>(learner) == before));
    return message;
  };
  CHECK(refusal(std::type_identity<ArgumentError>(), {}) ==
        "task 'task-2' of the router to absorb is new here and has no adapter, expected one");
  CHECK(refusal(std::type_identity<ArgumentError>(), {{"task-2", adapter}, {"task-1", adapter}}) ==
        "there is an adapter for 'task-1', which is no new task of the router to absorb");
  Adapter<double> foreign = adapter;
  foreign.modules.emplace("nowhere", LoraModule<double>(3, 3, {.rank = 1}, 1));
  CHECK(contains(refusal(std::type_identity<ArgumentError>(), {{"task-2", foreign}}),
                 "the adapter has a module for site 'nowhere'"));
  learner.freeze_task("task-1");
  CHECK(contains(refusal(std::type_identity<TaskError>(), {{"task-2", adapter}}),
                 "task 'task-1' is frozen or waits for a merge: no rows can join it"));
}

TEMPLATE_TEST_CASE("another ridge is as if it had been used from the start", "[learner]", float,
                   double) {
  using S = TestType;
  auto learner = small_learner<S>();
  learn_small_tasks<S>(learner, 0, 2);
  LearnerOptions options = small_learner_options();
  options.router.rls.ridge = 2;
  auto from_start = small_learner<S>(options);
  learn_small_tasks<S>(from_start, 0, 2);
  std::vector<std::string> told;
  write_down(learner, told);
  const auto old = learner.snapshot();
  learner.set_ridge(2);
  CHECK(router_difference(learner, from_start) < router_tolerance<S>());
  CHECK(learner.snapshot().changes() == old.changes() + 1);
  CHECK(told == std::vector<std::string>{"set_ridge  0"});
  learn_small_tasks<S>(learner, 2, 3);
  learn_small_tasks<S>(from_start, 2, 3);
  CHECK(router_difference(learner, from_start) < router_tolerance<S>());
}

TEST_CASE("a bad ridge is refused", "[learner][error]") {
  auto learner = small_learner<double>();
  learn_small_tasks<double>(learner, 0, 2);
  const Learned<double> before(learner);
  CHECK(contains(message_of<ArgumentError>([&] { learner.set_ridge(0); }), "ridge is 0"));
  CHECK((Learned<double>(learner) == before));
}

TEST_CASE("a learner selects the ridge that its router selects", "[learner]") {
  auto learner = small_learner<double>();
  learn_small_tasks<double>(learner, 0, 3);
  const std::vector<double> ridges{0.01, 1, 100};
  CHECK(learner.select_ridge(ridges).ridge == learner.router().select_ridge(ridges).ridge);
  CHECK(learner.select_ridge().ridge == learner.router().select_ridge().ridge);
}

TEMPLATE_TEST_CASE("a learner restored from a state is the same bits", "[learner]", float, double) {
  using S = TestType;
  LearnerOptions options = small_learner_options();
  options.inspector = InspectorOptions{};
  auto learner = small_learner<S>(options);
  learn_small_tasks<S>(learner, 0, 4);
  learner.merge_tasks("task-1", "task-2", "both");
  learner.archive_task("task-3");
  (void)learner.predict(small_task<S>(0).inputs);
  const auto view = learner.state();
  CHECK(&view.router == &learner.router());
  CHECK(&view.subspaces == &learner.subspaces());
  auto restored = PointLearner<S>::restore(learner.backbone().base(), options, copy_state(view));
  CHECK((Learned<S>(restored) == Learned<S>(learner)));
  restored.undo_merge("both");
  learner.undo_merge("both");
  CHECK((Learned<S>(restored) == Learned<S>(learner)));
}
