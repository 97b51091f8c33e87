// SPDX-License-Identifier: MIT
// Which states go on from what a folder holds, and which would destroy it.
#include "anyssr/store/succession.hpp"

#include <functional>
#include <string>
#include <vector>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

using Changes = std::function<void(PointLearner<float>&)>;

/// Learns a task under another name than the one of its rows.
void learn_as(PointLearner<float>& learner, const std::string& name, Index rows_of) {
  const PointTask<float> task = small_task<float>(rows_of);
  learner.learn_task(name, task.inputs, task.labels);
}

/// Removes a task with all its rows.
void unlearn_task(PointLearner<float>& learner, Index number) {
  const PointTask<float> task = small_task<float>(number);
  learner.remove_task(task.name, task.inputs, task.labels);
}

std::size_t lora_bytes(const PointLearner<float>& learner) {
  std::size_t bytes = 0;
  const auto snapshot = learner.snapshot();
  for (const auto& handle : snapshot.handles()) {
    for (const auto& [site, module] : handle->get()->modules) bytes += module.bytes();
  }
  return bytes;
}

/// What a save says of a learner of task-0 .. task-2 after changes, over its state before them.
std::string refusal_after(
    const Changes& change, const Changes& before = [](auto&) {}) {
  const TemporaryFolder folder(quick_folder());
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 3);
  before(learner);
  save(learner, root);
  change(learner);
  const std::string message = message_of<ArgumentError>([&] { save(learner, root); });
  if (message != "nothing was thrown") return message;
  CHECK((Learned<float>(load_points<float>(root, {.threads = 1})) == Learned<float>(learner)));
  return "accepted";
}

}  // namespace

TEST_CASE("whatever the changes of a learner lead to is accepted as what comes next", "[store]") {
  using L = PointLearner<float>;
  const std::vector<std::pair<std::string, Changes>> cases{
      {"removed", [](L& l) { l.remove_task("task-1"); }},
      {"removed and unlearned", [](L& l) { unlearn_task(l, 0); }},
      {"all removed",
       [](L& l) {
         for (const char* task : {"task-0", "task-1", "task-2"}) l.remove_task(task);
       }},
      {"all unlearned",
       [](L& l) {
         for (Index t = 0; t < 3; ++t) unlearn_task(l, t);
       }},
      {"all removed for others",
       [](L& l) {
         for (const char* task : {"task-0", "task-1", "task-2"}) l.remove_task(task);
         learn_small_tasks(l, 5, 7);
       }},
      {"removed and learned again",
       [](L& l) {
         l.remove_task("task-0");
         learn_small_tasks(l, 0, 1);
       }},
      {"unlearned and learned again",
       [](L& l) {
         unlearn_task(l, 0);
         learn_small_tasks(l, 0, 1);
       }},
      {"renamed", [](L& l) { l.rename_task("task-0", "first"); }},
      {"all renamed",
       [](L& l) {
         for (const char* task : {"task-0", "task-1", "task-2"}) {
           l.rename_task(task, std::string("new ") + task);
         }
       }},
      {"names exchanged",
       [](L& l) {
         l.rename_task("task-0", "t");
         l.rename_task("task-1", "task-0");
         l.rename_task("t", "task-1");
       }},
      {"renamed and its name learned",
       [](L& l) {
         l.rename_task("task-0", "first");
         learn_as(l, "task-0", 4);
       }},
      {"merged", [](L& l) { l.merge_tasks("task-0", "task-1", "both"); }},
      {"merged under the first name", [](L& l) { l.merge_tasks("task-0", "task-1", "task-0"); }},
      {"merged under the second name", [](L& l) { l.merge_tasks("task-0", "task-1", "task-1"); }},
      {"merged and committed",
       [](L& l) {
         l.merge_tasks("task-0", "task-2", "both");
         l.commit_merge("both");
       }},
      {"all merged and committed and renamed",
       [](L& l) {
         l.merge_tasks("task-0", "task-2", "both");
         l.commit_merge("both");
         l.merge_tasks("both", "task-1", "all");
         l.commit_merge("all");
         l.rename_task("all", "one");
       }},
      {"merged and undone",
       [](L& l) {
         l.merge_tasks("task-0", "task-1", "both");
         l.undo_merge("both");
       }},
      {"consolidated", [](L& l) { l.consolidate(lora_bytes(l) / 2); }},
      {"learned and consolidated",
       [](L& l) {
         learn_small_tasks(l, 3, 4);
         l.consolidate(lora_bytes(l) / 2);
       }},
      {"archived", [](L& l) { l.archive_task("task-0"); }},
      {"frozen and a task learned",
       [](L& l) {
         l.freeze_task("task-0");
         learn_small_tasks(l, 3, 4);
       }},
      {"another policy", [](L& l) { l.set_policy({.min_confidence = 0.5}); }},
      {"used", [](L& l) { (void)l.predict(small_task<float>(0).inputs); }}};
  for (const auto& [what, change] : cases) {
    CAPTURE(what);
    CHECK(refusal_after(change) == "accepted");
  }
}

TEST_CASE("whatever becomes of a merge that waits is accepted as what comes next", "[store]") {
  using L = PointLearner<float>;
  const std::string name = GENERATE("both", "task-0", "task-1");
  CAPTURE(name);
  const auto merge = [&](L& l) { l.merge_tasks("task-0", "task-1", name); };
  const std::vector<Changes> cases{[&](L& l) { l.undo_merge(name); },
                                   [&](L& l) { l.commit_merge(name); },
                                   [&](L& l) { l.rename_task(name, "pair"); },
                                   [&](L& l) {
                                     l.commit_merge(name);
                                     l.merge_tasks(name, "task-2", "all");
                                   },
                                   [&](L& l) {
                                     l.undo_merge(name);
                                     l.remove_task("task-2");
                                   }};
  for (std::size_t k = 0; k < cases.size(); ++k) {
    CAPTURE(k);
    CHECK(refusal_after(cases[k], merge) == "accepted");
  }
}

TEST_CASE("more changes of tasks than a learner has made are another learner's", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const std::string other = root + ": holds another learner's state: the one to save has ";
  const std::string advice =
      " cannot have led to; save to another folder, or set replace to lose it";
  PointLearner<float> stored = small_learner<float>();
  learn_small_tasks(stored, 0, 4);
  save(stored, root);
  const auto before = all_files(root);
  const auto refusal = [&](const Changes& make) {
    PointLearner<float> learner = small_learner<float>();
    make(learner);
    const std::string message = message_of<ArgumentError>([&] { save(learner, root); });
    CHECK(all_files(root) == before);
    return message;
  };
  using L = PointLearner<float>;
  CHECK(refusal([](L& l) {
          learn_small_tasks(l, 0, 3);
          l.remove_task("task-2");
        }) == other + "2 tasks less, 0 other adapters and 0 more tasks, which 0 changes" + advice);
  CHECK(refusal([](L& l) {
          learn_small_tasks(l, 0, 1);
          for (Index t = 5; t < 9; ++t) learn_small_tasks(l, t, t + 1);
        }) == other + "3 tasks less, 0 other adapters and 4 more tasks, which 1 changes" + advice);
  CHECK(refusal([](L& l) {
          for (Index t = 0; t < 4; ++t) learn_as(l, "other-" + std::to_string(t), t + 5);
          l.extend_task("other-0", small_task<float>(5).inputs, small_task<float>(5).labels);
        }) == root +
                  ": holds task 'task-0', which the learner to save does not know; save to "
                  "another folder, or set replace to lose it");
}

TEST_CASE("rows of removed tasks do not become fewer", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> stored = small_learner<float>();
  learn_small_tasks(stored, 0, 3);
  stored.remove_task("task-2");
  save(stored, root);
  PointLearner<float> other = small_learner<float>();
  learn_small_tasks(other, 0, 2);
  for (int k = 0; k < 3; ++k) other.archive_task("task-0");
  const auto before = all_files(root);
  CHECK(message_of<ArgumentError>([&] { save(other, root); }) ==
        root +
            ": holds another learner's state: its sums keep 24 rows of removed tasks, those of "
            "the one to save 0; save to another folder, or set replace to lose it");
  CHECK(all_files(root) == before);
  save(other, root, {.replace = true});
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(other)));
}
