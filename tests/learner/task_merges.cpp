// SPDX-License-Identifier: MIT
// What a merge of two tasks makes of them.
#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "learner/task_life.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

TEMPLATE_TEST_CASE("a merged task scores what both together score", "[learner]", float, double) {
  auto learner = living_learner<TestType>();
  LifeFit fit = fit_of_tasks<TestType>(3);
  const Eigen::MatrixXd weights = fit.weights(9);
  learner.merge_tasks("task-0", "task-2", "both");
  const bool committed = GENERATE(false, true);
  if (committed) learner.commit_merge("both");
  CHECK(learner.tasks()[0].waits_for_commit != committed);
  CHECK(learner.tasks()[0].rows == 48);
  CHECK(learner.tasks()[0].labels == 4);
  for (Index t = 0; t < 3; ++t) {
    const auto queries = small_rows<TestType>({.task = t, .rows = 6, .sample = 80}).inputs;
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
  const Vector<double> values = singular_values_of(sum);
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
  const auto second = small_rows<double>({.task = 1, .rows = 40, .sample = 70}).inputs;
  Matrix<double> gram = Matrix<double>::Zero(small_dim, small_dim);
  Matrix<double> right = Matrix<double>::Zero(small_dim, 10);
  for (const auto& [inputs, task] : {std::pair{&first, "task-0"}, std::pair{&second, "task-1"}}) {
    const Matrix<double> x = learner.backbone().features(*inputs);
    const Matrix<double> moment = x.transpose() * x / static_cast<double>(x.rows());
    gram += moment;
    right += moment * now.adapter(task)->modules.at("lift").delta().transpose();
  }
  gram.diagonal().array() += 0.01 * gram.trace() / small_dim;
  const Matrix<double> expected = solution_of(gram, right).transpose();
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
