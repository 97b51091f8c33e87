// SPDX-License-Identifier: MIT
// What becomes of tasks after they were learned, and of queries: saved and loaded.
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/sanitized.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

/// Folders below adapters/.
std::set<std::string> adapter_folders(const std::string& root) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(root + "/adapters")) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

/// A learner of task-0 .. task-2 with the first two waiting in "both", saved.
template <class S>
PointLearner<S> saved_merge(const std::string& root) {
  PointLearner<S> learner = small_learner<S>();
  learn_small_tasks(learner, 0, 3);
  save(learner, root);
  learner.merge_tasks("task-0", "task-1", "both");
  save(learner, root);
  return learner;
}

/// Saves to `from` what is loaded from it, and gives what a load finds then.
template <class S>
Learned<S> saved_again(const PointLearner<S>& learner, const std::string& root) {
  save(learner, root);
  return Learned<S>(load_points<S>(root, {.threads = 1}));
}

}  // namespace

TEMPLATE_TEST_CASE("tasks of every state come back bit for bit with all that serves them",
                   "[store]", float, double) {
  using S = TestType;
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const PointLearner<S> learner = busy_learner<S>();
  CHECK(save(learner, root).adapters_written == 6);
  const PointLearner<S> loaded = load_points<S>(root, {.threads = 1});
  CHECK((Learned<S>(loaded) == Learned<S>(learner)));
  CHECK(decisions_of(loaded, 5) == decisions_of(learner, 5));
  const auto tasks = loaded.tasks();
  REQUIRE(tasks.size() == 4);
  CHECK(tasks[0].frozen);
  CHECK_FALSE(tasks[1].active);
  CHECK(tasks[2].waits_for_commit);
  CHECK(tasks[2].labels == 4);
  CHECK(tasks[3].active);
  CHECK(loaded.router().removed_rows() == 24);
  CHECK(loaded.policy().max_novelty == 4.0 / 3);
  CHECK(loaded.usage().at("task-0").count > 0);
  CHECK(loaded.inspector()->state().groups.at("region").at("eu").total == 2);
  CHECK(loaded.options().router.novelty.mode == NoveltyMode::leverage);
  CHECK(loaded.options().router.novelty.leverage_weight == 0.7);
  CHECK(loaded.options().inspector->seed == 0xF0F0F0F0F0F0F0F0U);
  CHECK(loaded.options().inspector->sketch == 4);
}

TEST_CASE("options of the inspector come back field by field", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  LearnerOptions options = small_learner_options();
  InspectorOptions& inspector = options.inspector.emplace();
  inspector = {.sketch = 5, .seed = 6, .window_seconds = 7.5, .max_windows = 8, .now_windows = 9};
  inspector.drift = {
      .alarm_p = 0.25, .smallest_shift = 0.5, .smallest_share_shift = 0.75, .min_rows = 10};
  inspector.balance = {.largest_label_share = 0.125,
                       .fewest_label_rows = 11,
                       .largest_task_share = 0.375,
                       .smallest_task_share = 0.625,
                       .min_rows = 12};
  inspector.min_group_rows = 13;
  options.router.novelty = {.mode = NoveltyMode::score, .leverage_weight = 0};
  save(small_learner<float>(options), root);
  const LearnerOptions loaded = load_points<float>(root).options();
  REQUIRE(loaded.inspector.has_value());
  const InspectorOptions& found = *loaded.inspector;
  CHECK(found.sketch == 5);
  CHECK(found.seed == 6);
  CHECK(found.window_seconds == 7.5);
  CHECK(found.max_windows == 8);
  CHECK(found.now_windows == 9);
  CHECK(found.drift.alarm_p == 0.25);
  CHECK(found.drift.smallest_shift == 0.5);
  CHECK(found.drift.smallest_share_shift == 0.75);
  CHECK(found.drift.min_rows == 10);
  CHECK(found.balance.largest_label_share == 0.125);
  CHECK(found.balance.fewest_label_rows == 11);
  CHECK(found.balance.largest_task_share == 0.375);
  CHECK(found.balance.smallest_task_share == 0.625);
  CHECK(found.balance.min_rows == 12);
  CHECK(found.min_group_rows == 13);
  CHECK(loaded.router.novelty.mode == NoveltyMode::score);
  CHECK(loaded.router.novelty.leverage_weight == 0);
  save(small_learner<float>(), folder.file("blind"));
  CHECK_FALSE(load_points<float>(folder.file("blind")).options().inspector.has_value());
}

TEMPLATE_TEST_CASE("a merge that was saved while it waited is undone without a trace", "[store]",
                   float, double) {
  using S = TestType;
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<S> before = small_learner<S>();
  learn_small_tasks(before, 0, 3);
  const Learned<S> originals(before);
  (void)saved_merge<S>(root);
  PointLearner<S> loaded = load_points<S>(root, {.threads = 1});
  REQUIRE(loaded.tasks().size() == 2);
  loaded.undo_merge("both");
  const Learned<S> undone(loaded);
  CHECK(undone.same_sums(originals));
  CHECK(undone.states == originals.states);
  CHECK(undone.adapters == originals.adapters);
  CHECK(undone.temperature == originals.temperature);
  CHECK(undone.merged.empty());
  CHECK(decisions_of(loaded, 3) == decisions_of(before, 3));
  CHECK((saved_again(loaded, root) == undone));
}

TEST_CASE("a merge that was saved while it waited is committed as if it had never been saved",
          "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<double> learner = saved_merge<double>(root);
  PointLearner<double> loaded = load_points<double>(root, {.threads = 1});
  learner.commit_merge("both");
  loaded.commit_merge("both");
  CHECK((Learned<double>(loaded) == Learned<double>(learner)));
  CHECK((saved_again(loaded, root) == Learned<double>(learner)));
  CHECK(EditedCheckpoint(root).manifest().at("must_understand") == Json::array());
}

TEST_CASE("adapters that a merge waits to replace stay until no manifest names them", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = saved_merge<float>(root);
  CHECK(adapter_folders(root) ==
        std::set<std::string>{"000001-task-0", "000002-task-1", "000003-task-2", "000004-both"});
  for (int k = 0; k < 2; ++k) CHECK(save(learner, root).adapters_written == 0);
  CHECK(adapter_folders(root).size() == 4);
  learner.commit_merge("both");
  save(learner, root);
  CHECK(adapter_folders(root).size() == 4);  // of the generation before
  save(learner, root);
  CHECK(adapter_folders(root) == std::set<std::string>{"000003-task-2", "000004-both"});
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
}

TEST_CASE("an undone merge lets go of the merged adapter alone", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = saved_merge<float>(root);
  learner.undo_merge("both");
  for (int k = 0; k < 2; ++k) CHECK(save(learner, root).adapters_written == 0);
  CHECK(adapter_folders(root) ==
        std::set<std::string>{"000001-task-0", "000002-task-1", "000003-task-2"});
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
}

TEST_CASE("a merge under the name of one of its tasks comes back", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const std::string name = GENERATE("task-0", "task-2");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 3);
  save(learner, root);
  learner.merge_tasks("task-0", "task-2", name);
  CHECK((saved_again(learner, root) == Learned<float>(learner)));
  PointLearner<float> loaded = load_points<float>(root, {.threads = 1});
  loaded.undo_merge(name);
  learner.undo_merge(name);
  CHECK((Learned<float>(loaded) == Learned<float>(learner)));
  CHECK((saved_again(loaded, root) == Learned<float>(learner)));
}

TEST_CASE("under a budget the adapters of waiting and archived tasks are loaded when needed",
          "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const PointLearner<float> learner = busy_learner<float>();
  save(learner, root);
  LoadReport report;
  PointLearner<float> lean = load_points<float>(root, {.adapter_budget = 1, .threads = 1}, &report);
  CHECK(report.adapter_counts().misses == 0);
  for (const auto& handle : lean.snapshot().handles()) CHECK_FALSE(handle->is_resident());
  const auto waiting = lean.merged();
  for (const auto& handle : waiting.at("both")) CHECK_FALSE(handle->is_resident());
  CHECK((Learned<float>(lean) == Learned<float>(learner)));
  lean.undo_merge("both");
  const auto inputs = small_task<float>(3).inputs;
  PointLearner<float> plain = learner;
  plain.undo_merge("both");
  CHECK(lean.predict_as("task-3", inputs) == plain.predict_as("task-3", inputs));
  CHECK(save(lean, folder.file("other")).adapters_written == 5);
  CHECK((Learned<float>(load_points<float>(folder.file("other"))) == Learned<float>(plain)));
}

TEST_CASE("a policy that alone has changed is saved", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 2);
  save(learner, root);
  learner.set_policy({.name = "strict", .min_confidence = 0.99});
  CHECK(save(learner, root).adapters_written == 0);
  const PointLearner<float> loaded = load_points<float>(root, {.threads = 1});
  CHECK(loaded.policy().name == "strict");
  CHECK((Learned<float>(loaded) == Learned<float>(learner)));
  learner.set_policy({});
  CHECK((saved_again(learner, root) == Learned<float>(learner)));
}

TEST_CASE("an absorbed router and another ridge are saved over the state before", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 2);
  save(learner, root);
  PointLearner<float> elsewhere = small_learner<float>();
  learn_small_tasks(elsewhere, 2, 4);
  learner.absorb_router(elsewhere.router(), {{"task-2", *elsewhere.snapshot().adapter("task-2")},
                                             {"task-3", *elsewhere.snapshot().adapter("task-3")}});
  CHECK(save(learner, root).adapters_written == 2);
  CHECK((Learned<float>(load_points<float>(root, {.threads = 1})) == Learned<float>(learner)));
  learner.set_ridge(2);
  CHECK(save(learner, root).adapters_written == 0);
  const PointLearner<float> loaded = load_points<float>(root, {.threads = 1});
  CHECK(loaded.router().options().rls.ridge == 2);
  CHECK((Learned<float>(loaded) == Learned<float>(learner)));
}

TEST_CASE("usage that alone has changed is saved and goes on after a load", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 2);
  save(learner, root);
  const auto inputs = small_task<float>(0).inputs;
  (void)learner.predict(inputs);
  save(learner, root);
  const PointLearner<float> loaded = load_points<float>(root, {.threads = 1});
  CHECK((Learned<float>(loaded) == Learned<float>(learner)));
  (void)loaded.predict(inputs);
  save(loaded, root);
  std::uint64_t count = 0;
  for (const auto& [task, usage] : load_points<float>(root).usage()) count += usage.count;
  CHECK(count == 48);
}

TEST_CASE("an inspector goes on after a load as if it had never stopped", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<double> in_one_go = small_learner<double>(busy_learner_options());
  learn_small_tasks(in_one_go, 0, 4);
  PointLearner<double> first = small_learner<double>(busy_learner_options());
  learn_small_tasks(first, 0, 2);
  save(first, root);
  PointLearner<double> second = load_points<double>(root, {.threads = 1});
  learn_small_tasks(second, 2, 4);
  CHECK((Learned<double>(second) == Learned<double>(in_one_go)));
  const auto off = [](LearnerOptions& options) { options.inspector.reset(); };
  CHECK_FALSE(load_points<double>(root, {.adjust = off}).inspector().has_value());
}

TEST_CASE("the file of an inspector goes with its generation", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>(busy_learner_options());
  learn_small_tasks(learner, 0, 1);
  for (int k = 0; k < 3; ++k) CHECK(save(learner, root).warnings.empty());
  CHECK_FALSE(fs::exists(root + "/inspector-000001.json"));
  CHECK(fs::exists(root + "/inspector-000002.json"));
  CHECK(fs::exists(root + "/inspector-000003.json"));
}

TEST_CASE("the head of an audit log is kept and reported", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  const std::string head = "sha256:" + std::string(64, 'a');
  save(learner, root, {.audit_head = head});
  LoadReport report;
  (void)load_points<float>(root, {}, &report);
  CHECK(report.audit_head == head);
  const auto before = all_files(root);
  for (const std::string& wrong :
       {std::string("head"), "sha256:" + std::string(63, 'a'), std::string("crc32c:00000000")}) {
    CHECK(message_of<ArgumentError>([&] { save(learner, root, {.audit_head = wrong}); }) ==
          "audit_head is \"" + wrong + "\", expected sha256: and 64 digits of 0-9a-f, or nothing");
    CHECK(all_files(root) == before);
  }
  save(learner, root);
  (void)load_points<float>(root, {}, &report);
  CHECK(report.audit_head.empty());
}

TEST_CASE("a manifest says what an older version would misread", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 4);
  int minor = -1;
  const auto saved = [&] {
    save(learner, root);
    const Json manifest = EditedCheckpoint(root).manifest();
    minor = manifest.at("version")[1];
    return manifest.at("must_understand");
  };
  CHECK(saved() == Json::array());
  CHECK(minor == 0);
  learner.freeze_task("task-0");
  CHECK(saved() == Json::array());
  CHECK(minor == 1);  // which 1.0 loads, and does not save over
  learner.freeze_task("task-0", false);
  CHECK(saved() == Json::array());
  CHECK(minor == 0);
  (void)learner.predict(small_task<float>(0).inputs);
  CHECK(saved() == Json::array());
  CHECK(minor == 1);
  learner.archive_task("task-1");
  CHECK(saved() == Json({"disabled"}));
  learner.restore_task("task-1");
  learner.merge_tasks("task-2", "task-3", "both");
  CHECK(saved() == Json({"merge"}));
  learner.undo_merge("both");
  learner.set_policy({.min_confidence = 0.5});
  CHECK(saved() == Json({"policy"}));
  learner.set_policy({});
  learner.remove_task("task-3");
  CHECK(saved() == Json({"removed_rows"}));
}

TEST_CASE("each flipped bit of a busy state is found and named", "[store][error]") {
  const TemporaryFolder folder(quick_folder());
  const std::string root = folder.file("state");
  PointLearner<float> learner = busy_learner<float>();
  save(learner, root);
  auto files = all_files(root);
  files.erase("LOCK");
  CHECK(files.contains("inspector-000001.json"));
  CHECK(files.contains("adapters/000004-task-2/task.json"));
  for (const auto& [file, bytes] : files) {
    const std::size_t step = is_sanitized ? 4 : 16;
    for (std::size_t k = 1; k < step; ++k) {
      const std::size_t at = bytes.size() * k / step;
      CAPTURE(file, at);
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ 1U << (k % 8));
      overwrite(root + "/" + file, damaged);
      CHECK(message_of<Error>([&] {
              (void)load_points<float>(root);
            }).starts_with(root + "/" + file + ": "));
    }
    overwrite(root + "/" + file, bytes);
  }
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
}

TEST_CASE("rows learned before anything was watched are unlearned by the router alone", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<double> learner = small_learner<double>();
  learn_small_tasks(learner, 0, 2);
  save(learner, root);
  auto watched = load_points<double>(
      root, {.adjust = [](LearnerOptions& options) { options.inspector.emplace(); }});
  const auto rows = small_task<double>(0);
  watched.correct(rows.inputs[4], "task-1", Index{1},
                  std::pair{std::string("task-0"), rows.labels[4]});
  CHECK(watched.tasks()[0].rows == 23);
  const auto learned = watched.inspector()->state().learned;
  CHECK(learned.count("task-0") == 0);
  CHECK(learned.at("task-1").features.rows == 1);
  const auto more = point_task<double>(0, 4, small_dim, 5, 70);
  watched.extend_task("task-0", more.inputs, more.labels);  // now a part of it is watched
  watched.correct(rows.inputs[5], "task-1", Index{1},
                  std::pair{std::string("task-0"), rows.labels[5]});
  CHECK(watched.inspector()->state().learned.at("task-0").features.rows == 4);
}
