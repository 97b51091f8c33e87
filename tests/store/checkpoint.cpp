// SPDX-License-Identifier: MIT
// What a saved learner is when it is loaded.
#include <filesystem>
#include <set>
#include <string>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

TEMPLATE_TEST_CASE("a loaded learner is the saved one bit for bit", "[store]", float, double) {
  using S = TestType;
  const auto choice =
      GENERATE(SubspaceChoice::none, SubspaceChoice::own, SubspaceChoice::complement);
  const bool balanced = GENERATE(false, true);
  const auto kind = balanced ? ExpansionKind::hadamard : ExpansionKind::identity;
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<S> learner = small_learner<S>(options_of(choice, balanced, kind));
  learn_small_tasks(learner, 0, 3);
  const SaveReport saved = save(learner, root);
  CHECK(saved.generation == 1);
  CHECK(saved.adapters_written == 3);
  LoadReport report;
  const PointLearner<S> loaded = load_points<S>(root, {}, &report);
  CHECK((Learned<S>(loaded) == Learned<S>(learner)));
  CHECK(decisions_of(loaded, 3) == decisions_of(learner, 3));
  CHECK(report.generation == 1);
  CHECK(report.scalar == (sizeof(S) == 4 ? "f32" : "f64"));
  CHECK(report.damage.empty());
  CHECK(report.warnings.empty());
  const auto tasks = loaded.tasks();
  CHECK(tasks[2].metadata.at("number") == "2");
  CHECK(tasks[2].labels == 2);
}

TEMPLATE_TEST_CASE("tasks of one label and of one row are loaded as they were saved", "[store]",
                   float, double) {
  using S = TestType;
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<S> learner = small_learner<S>();
  learn_small_tasks(learner, 0, 1);
  const PointTask<S> same = small_task<S>(1);
  const std::vector<Index> third_label(same.labels.size(), 2);
  learner.learn_task("one label", same.inputs, third_label);
  const PointTask<S> one = small_task<S>(2, 1);
  learner.learn_task("one row", one.inputs, one.labels);
  save(learner, root);
  PointLearner<S> loaded = load_points<S>(root);
  // a load factors anew what one row updated: equal sums, weights equal to round-off
  CHECK((Learned<S>(loaded).same_sums(Learned<S>(learner))));
  CHECK((Learned<S>(loaded).states == Learned<S>(learner).states));
  CHECK((Learned<S>(loaded).adapters == Learned<S>(learner).adapters));
  CHECK(decisions_of(loaded, 3) == decisions_of(learner, 3));
  for (const auto& output : loaded.predict_as("one label", small_task<S>(0).inputs)) {
    CHECK(loaded.backbone().is_correct(output, 2));
  }
  loaded.extend_task("one row", one.inputs, one.labels);
  CHECK(loaded.tasks()[2].rows == 2);
}

TEMPLATE_TEST_CASE("learning goes on after a load as if it had never stopped", "[store]", float,
                   double) {
  using S = TestType;
  const auto choice = GENERATE(SubspaceChoice::own, SubspaceChoice::complement);
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const LearnerOptions options = options_of(choice, false, ExpansionKind::identity);
  PointLearner<S> in_one_go = small_learner<S>(options);
  learn_small_tasks(in_one_go, 0, 4);
  PointLearner<S> first = small_learner<S>(options);
  learn_small_tasks(first, 0, 2);
  save(first, root);
  PointLearner<S> second = load_points<S>(root, {.threads = 1});
  learn_small_tasks(second, 2, 3);
  save(second, root);
  PointLearner<S> third = load_points<S>(root, {.threads = 1});
  learn_small_tasks(third, 3, 4);
  CHECK((Learned<S>(third).same_sums(Learned<S>(in_one_go))));
  CHECK((Learned<S>(third).states == Learned<S>(in_one_go).states));
  CHECK((Learned<S>(third).adapters == Learned<S>(in_one_go).adapters));
  CHECK((Learned<S>(third).spans == Learned<S>(in_one_go).spans));
  CHECK(decisions_of(third, 4) == decisions_of(in_one_go, 4));
}

TEST_CASE("a save writes the router and what is new", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner =
      small_learner<float>(options_of(SubspaceChoice::complement, false, ExpansionKind::identity));
  learn_small_tasks(learner, 0, 3);
  save(learner, root);
  const auto before = all_files(root);
  learn_small_tasks(learner, 3, 4);
  const SaveReport report = save(learner, root);
  CHECK(report.generation == 2);
  CHECK(report.adapters_written == 1);
  const auto after = all_files(root);
  std::set<std::string> fresh;
  for (const auto& [path, bytes] : after) {
    const auto old = before.find(path);
    if (old == before.end() || old->second != bytes) fresh.insert(path);
  }
  CHECK(fresh == std::set<std::string>{"CURRENT", "manifest-000002.json",
                                       "router-000002.safetensors", "spans-000002.safetensors",
                                       "adapters/000004-task-3/adapter_config.json",
                                       "adapters/000004-task-3/adapter_model.safetensors",
                                       "adapters/000004-task-3/task.json"});
  for (const auto& [path, bytes] : before) CHECK(after.contains(path));
  learn_small_tasks(learner, 4, 5);
  save(learner, root);
  CHECK_FALSE(fs::exists(root + "/router-000001.safetensors"));
  CHECK_FALSE(fs::exists(root + "/manifest-000001.json"));
  CHECK(fs::exists(root + "/router-000002.safetensors"));
  CHECK(fs::exists(root + "/spans-000001.safetensors"));
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
}
