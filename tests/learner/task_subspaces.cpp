// SPDX-License-Identifier: MIT
#include "anyssr/learner/task_subspaces.hpp"

#include "anyssr/learner/continual_learner.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/points.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

constexpr Index site_dim = 40;

template <class S>
ContinualLearner<PointBackbone<S>> make_learner(SubspaceChoice choice, Index rank) {
  LearnerOptions options;
  options.adapter.lora = {.rank = 4, .alpha = 4};
  options.train.epochs = 3;
  options.subspace = choice;
  options.subspace_fit.rank = rank;
  options.lift.dim = 32;
  return ContinualLearner<PointBackbone<S>>(PointBackbone<S>(site_dim), options);
}

/// Rows inside a subspace of `directions` random directions named by the seed.
template <class S>
PointTask<S> flat_task(const std::string& name, Index directions, std::uint64_t seed) {
  const Matrix<S> rows =
      random_normal<S>(30, directions, seed) * random_normal<S>(directions, site_dim, seed, 1);
  PointTask<S> task{name, {}, {}};
  for (Index i = 0; i < rows.rows(); ++i) {
    task.inputs.push_back(rows.row(i));
    task.labels.push_back(rows(i, 0) > 0 ? 1 : 0);
  }
  return task;
}

template <class S>
Matrix<S> stack(const PointTask<S>& task) {
  return PointBackbone<S>(site_dim).features(task.inputs);
}

}  // namespace

TEMPLATE_TEST_CASE("a complement adapter does not act in the spans of earlier tasks",
                   "[learner][property]", float, double) {
  using S = TestType;
  auto learner = make_learner<S>(SubspaceChoice::complement, 8);
  std::vector<PointTask<S>> tasks;
  for (std::uint64_t t = 0; t < 3; ++t) {
    tasks.push_back(flat_task<S>("t" + std::to_string(t), 8, 20 + t));
    const TaskReport report =
        learner.learn_task(tasks.back().name, tasks.back().inputs, tasks.back().labels);
    CHECK(report.subspaces.at("lift").rank == 8);
    CHECK(report.subspaces.at("lift").capacity_left == site_dim - 8 * (static_cast<Index>(t) + 1));
  }
  const auto snapshot = learner.snapshot();
  for (std::size_t later = 1; later < 3; ++later) {
    const LoraModule<S>& module = snapshot.adapter(tasks[later].name)->modules.at("lift");
    CHECK_FALSE(module.is_confined());
    REQUIRE(module.b().norm() > 0);
    const double norms =
        static_cast<double>(module.a().norm()) * static_cast<double>(module.b().norm());
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      const Matrix<S> x = stack(tasks[earlier]);
      const Matrix<S> change = x * module.a().transpose() * module.b().transpose();
      for (Index i = 0; i < x.rows(); ++i) {
        CHECK(static_cast<double>(change.row(i).norm()) <=
              round_off<S>(50) * norms * static_cast<double>(x.row(i).norm()));
      }
    }
    const Matrix<S> own = stack(tasks[later]) * module.a().transpose();
    CHECK(own.norm() > S(1e-3) * stack(tasks[later]).norm());
  }
}

TEMPLATE_TEST_CASE("what an adapter does to another task's queries is measured, and bounded",
                   "[learner][property]", float, double) {
  using S = TestType;
  auto learner = make_learner<S>(SubspaceChoice::complement, 4);  // less than the tasks' 8
  std::vector<PointTask<S>> tasks;
  std::vector<TaskSubspaces<S>> before;
  for (std::uint64_t t = 0; t < 2; ++t) {
    tasks.push_back(flat_task<S>("t" + std::to_string(t), 8, 40 + t));
    before.push_back(learner.subspaces());
    (void)learner.learn_task(tasks.back().name, tasks.back().inputs, tasks.back().labels);
  }
  const auto snapshot = learner.snapshot();
  const Adapter<S>& adapter = *snapshot.adapter("t1");
  const Matrix<double> delta = adapter.modules.at("lift").delta().template cast<double>();
  for (const PointTask<S>& task : tasks) {
    const Matrix<double> x = stack(task).template cast<double>();
    const auto trunk = learner.backbone().trunk(task.inputs);
    const double measured = adapter_response(learner.backbone(), trunk, adapter);
    const double expected =
        (x * delta.transpose()).norm() / std::sqrt(static_cast<double>(x.rows()));
    CHECK(std::abs(measured - expected) <= round_off<S>(1000) * expected);
    CHECK(measured > 0);

    const Matrix<double> u = before[1].spans().at("lift").template cast<double>();
    const double bound = before[1].response_bound(learner.backbone(), trunk, adapter);
    const double explicit_bound = delta.norm() * (x - x * u * u.transpose()).norm() /
                                  std::sqrt(static_cast<double>(x.rows()));
    CHECK(std::abs(bound - explicit_bound) <= round_off<S>(1000) * explicit_bound);
    CHECK(measured <= bound);
  }
  // nothing learned before: the bound is that of the whole rows
  const auto trunk = learner.backbone().trunk(tasks[0].inputs);
  const Matrix<double> x = stack(tasks[0]).template cast<double>();
  const double all = delta.norm() * x.norm() / std::sqrt(static_cast<double>(x.rows()));
  CHECK(std::abs(before[0].response_bound(learner.backbone(), trunk, adapter) - all) <=
        round_off<S>(1000) * all);
  const std::span<const RowVector<S>> none;
  CHECK_THROWS_AS(adapter_response(learner.backbone(), learner.backbone().trunk(none), adapter),
                  ArgumentError);
}

TEST_CASE("an exhausted complement throws and changes nothing", "[learner][error]") {
  auto learner = make_learner<double>(SubspaceChoice::complement, 0);
  const auto first = flat_task<double>("first", 30, 31);
  learner.learn_task("first", first.inputs, first.labels);
  const auto inside = flat_task<double>("inside", 30, 31);
  const std::string message = message_of<NumericalError>(
      [&] { learner.learn_task("inside", inside.inputs, inside.labels); });
  CHECK(contains(message, "site 'lift'"));
  CHECK(contains(message, "fewer directions"));
  CHECK(learner.tasks().size() == 1);
  const auto outside = flat_task<double>("outside", 5, 32);
  CHECK(learner.learn_task("outside", outside.inputs, outside.labels).subspaces.at("lift").rank ==
        5);
}

TEST_CASE("own subspaces hold the task and a task of few rows gets a smaller rank", "[learner]") {
  auto learner = make_learner<double>(SubspaceChoice::own, 8);
  const auto task = flat_task<double>("task", 6, 41);
  const TaskReport report = learner.learn_task("task", task.inputs, task.labels);
  CHECK(report.subspaces.at("lift").rank == 6);
  CHECK(report.subspaces.at("lift").energy > 1 - 1e-9);
  CHECK(report.subspaces.at("lift").capacity_left == -1);
  CHECK(learner.storage().subspace_bytes == 0);
  PointTask<double> tiny = flat_task<double>("tiny", 20, 42);
  tiny.inputs.resize(2);
  tiny.labels = {0, 1};
  learner.learn_task("tiny", tiny.inputs, tiny.labels);
  const auto snapshot = learner.snapshot();
  const auto& module = snapshot.adapter("tiny")->modules.at("lift");
  CHECK(module.rank() == 2);
  CHECK(module.scale() == 1);  // alpha / r as asked for: 4 / 4
}

TEST_CASE("without a subspace modules read all directions", "[learner]") {
  auto learner = make_learner<float>(SubspaceChoice::none, 8);
  const auto task = flat_task<float>("task", 6, 51);
  CHECK(learner.learn_task("task", task.inputs, task.labels).subspaces.empty());
  const auto snapshot = learner.snapshot();
  CHECK(snapshot.adapter("task")->modules.at("lift").rank() == 4);
}
