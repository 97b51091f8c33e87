// SPDX-License-Identifier: MIT
// Links, pipes and names that would lead a load or a save out of its folder.
#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "anyssr/store.hpp"
#include "store/hostile_ground.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

TEST_CASE("links and pipes and folders in the place of files are refused and nothing waits",
          "[store][error]") {
  const HostileGround ground;
  std::vector<std::string> paths{"CURRENT", "manifest-000001.json"};
  const Json manifest = ground.checkpoint().manifest();
  for (const Json& file : manifest.at("files")) {
    paths.push_back(file.at("path").get<std::string>());
  }
  REQUIRE(paths.size() == 10);
  for (const std::string& path : paths) {
    const std::string full = ground.root + "/" + path;
    const std::string end = path == "CURRENT" ? "; generation 1 is whole: recover = true takes it"
                                              : "; no generation is whole";
    const std::string expected = ", expected a regular file that the checkpoint wrote" + end;
    CAPTURE(path);
    ground.reset();
    fs::rename(full, ground.root + "/real");
    fs::create_symlink(ground.root + "/real", full);
    CHECK(ground.refusal() ==
          (path == "manifest-000001.json" ? "M" : "R/" + path) + ": is a link" + expected);
    for (const char* kind : {"pipe", "folder"}) {
      fs::remove(full);
      if (std::string(kind) == "pipe") {
        REQUIRE(mkfifo(full.c_str(), 0600) == 0);
      } else {
        fs::create_directory(full);
      }
      CHECK(ground.refusal() == (path == "manifest-000001.json" ? "M" : "R/" + path) +
                                    ": is of another kind" + expected);
    }
  }
  for (const char* path : {"adapters", "adapters/000002-task-1"}) {
    const std::string full = ground.root + "/" + path;
    CAPTURE(path);
    ground.reset();
    fs::rename(full, ground.root + "/real");
    fs::create_directory_symlink(ground.root + "/real", full);
    CHECK(ground.refusal() ==
          "R/" + std::string(path) +
              ": is a link, expected a folder that the checkpoint wrote; no generation is whole");
  }
}

TEST_CASE("a save does not follow a link out of its folder", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  fs::create_directory(root);
  fs::create_directory(folder.file("outside"));
  overwrite(folder.file("outside/000001-mine"), "mine");
  fs::create_directory_symlink(folder.file("outside"), root + "/adapters");
  CHECK(message_of<FileError>([&] { save(learner, root); }) ==
        root + "/adapters: is a link, expected a folder: a load would refuse it");
  CHECK(all_files(folder.file("outside")) ==
        std::map<std::string, std::string>{{"000001-mine", "mine"}});
  fs::remove(root + "/adapters");
  fs::create_directory_symlink(root, folder.file("link"));  // the root may be one
  save(learner, folder.file("link"));
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
  CHECK((Learned<float>(load_points<float>(folder.file("link/"))) == Learned<float>(learner)));
}

TEST_CASE("a lifted layer that no task bears out is refused above a limit", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  save(small_learner<float>(), root);
  constexpr std::size_t bytes = std::size_t{10} * small_dim * sizeof(float);
  CHECK(load_points<float>(root, {.unproven_lift_bytes = bytes}).tasks().empty());
  CHECK(message_of<FormatError>([&] {
          (void)load_points<float>(root, {.unproven_lift_bytes = bytes - 1});
        }) == root +
                  ": lift: dim is 10 on 18 features, and no task bears that out, expected at most "
                  "719 bytes: see unproven_lift_bytes");
  EditedCheckpoint(root).edit([](Json& m) { m["options"]["lift"]["dim"] = 16777216; });
  CHECK(message_of<FormatError>([&] { (void)load_points<float>(root); }) ==
        root +
            ": lift: dim is 16777216 on 18 features, and no task bears that out, expected at most "
            "268435456 bytes: see unproven_lift_bytes");
}

TEST_CASE("any name of a task comes back and stays within the folder", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const std::vector<std::string> names{"../../etc/passwd",
                                       "/",
                                       "CON",
                                       ".",
                                       "..",
                                       "\xF0\x9F\xA6\x8A \xE4\xBB\xBB\xE5\x8A\xA1",
                                       std::string(4000, 'x'),
                                       "two\nlines\r\t",
                                       std::string("nul\0inside", 10),
                                       "A B",
                                       "a-b",
                                       "\"quotes\" and \\",
                                       " ",
                                       "\x7F\x01"};
  PointLearner<float> learner = small_learner<float>();
  for (std::size_t t = 0; t < names.size(); ++t) {
    const PointTask<float> task = small_task<float>(static_cast<Index>(t));
    learner.learn_task(names[t], task.inputs, task.labels, {.metadata = {{names[t], names[t]}}});
  }
  save(learner, root);
  const PointLearner<float> loaded = load_points<float>(root);
  CHECK((Learned<float>(loaded) == Learned<float>(learner)));
  const auto tasks = loaded.tasks();
  REQUIRE(tasks.size() == names.size());
  for (std::size_t t = 0; t < names.size(); ++t) {
    CHECK(tasks[t].name == names[t]);
    CHECK(tasks[t].metadata.at(names[t]) == names[t]);
  }
  std::set<std::string> folders;
  for (const auto& entry : fs::directory_iterator(root + "/adapters")) {
    const std::string name = entry.path().filename().string();
    CHECK(detail::is_stored_path(name));
    CHECK(name.size() <= 47);
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos);
    folders.insert(name);
  }
  CHECK(folders.size() == names.size());
  CHECK(folders.contains("000001-etc-passwd"));
  CHECK(folders.contains("000003-con"));
  CHECK(folders.contains("000006-task"));
  CHECK(folders.contains("000010-a-b"));
  CHECK(folders.contains("000011-a-b"));
  CHECK(std::distance(fs::directory_iterator(folder.file("")), fs::directory_iterator()) == 1);
}

TEST_CASE("texts that are no UTF-8 are refused before anything is written", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, root);
  const auto before = all_files(root);
  const PointTask<float> task = small_task<float>(1);
  const std::string bad = "caf\xE9";
  const auto check = [&](const std::string& name, const TaskOptions& options,
                         const std::string& message) {
    PointLearner<float> changed = learner;
    changed.learn_task("good", task.inputs, task.labels);
    const PointTask<float> last = small_task<float>(2);
    changed.learn_task(name, last.inputs, last.labels, options);
    CHECK(message_of<ArgumentError>([&] { save(changed, root); }) == message);
    CHECK(all_files(root) == before);
    CHECK(changed.tasks().size() == 3);
  };
  check(bad, {}, "the task name \"caf\xEF\xBF\xBD\" has byte 0xE9 at 3, expected UTF-8");
  check("third", {.metadata = {{"place", bad}}},
        "metadata of task \"third\" \"caf\xEF\xBF\xBD\" has byte 0xE9 at 3, expected UTF-8");
  check("third", {.metadata = {{bad, "x"}}},
        "a metadata key of task \"third\" \"caf\xEF\xBF\xBD\" has byte 0xE9 at 3, expected UTF-8");
}
