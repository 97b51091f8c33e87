// SPDX-License-Identifier: MIT
// What a folder is asked for before anything is loaded from it.
#include "anyssr/store/generations.hpp"

#include <optional>
#include <string>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

/// Saves a learner of one task, and then of two.
void save_two_generations(const std::string& root) {
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, root);
  learn_small_tasks(learner, 1, 2);
  save(learner, root);
}

}  // namespace

TEST_CASE("a folder has a checkpoint once something was saved there and also when it is damaged",
          "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  CHECK_FALSE(has_checkpoint(root));
  fs::create_directory(root);
  overwrite(root + "/notes.txt", "mine");
  CHECK_FALSE(has_checkpoint(root));
  save_two_generations(root);
  CHECK(has_checkpoint(root));
  overwrite(root + "/CURRENT", "");
  CHECK(has_checkpoint(root));
  fs::remove(root + "/CURRENT");
  CHECK(has_checkpoint(root));
  CHECK(message_of<FileError>([&] { (void)has_checkpoint(root + "/notes.txt"); }) ==
        root + "/notes.txt: cannot be read: Not a directory");
}

TEST_CASE("the newest whole generation is the one that a load with recover takes", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  CHECK(newest_whole_generation(root) == std::nullopt);
  save_two_generations(root);
  CHECK(newest_whole_generation(root) == 2);
  const auto expect_agreement = [&](std::uint64_t generation) {
    LoadReport report;
    (void)load_points<float>(root, {.recover = true}, &report);
    CHECK(report.generation == generation);
    CHECK(newest_whole_generation(root) == generation);
  };
  // whole, and never committed: a crash came before CURRENT was replaced
  const std::string line = file_bytes(root + "/CURRENT");
  const std::string first = root + "/manifest-000001.json";
  const detail::CurrentLine older{.manifest = "manifest-000001.json",
                                  .check = sha256_hex(file_bytes(first))};
  overwrite(root + "/CURRENT", detail::current_text(older));
  expect_agreement(1);
  overwrite(root + "/CURRENT", line);
  expect_agreement(2);
  overwrite(root + "/router-000002.safetensors", "cut");
  expect_agreement(1);
  overwrite(first, "{}");
  CHECK(newest_whole_generation(root) == std::nullopt);
}

TEST_CASE("the current generation is read from CURRENT alone", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  CHECK(message_of<FileError>([&] { (void)current_generation(root); }) ==
        root + "/CURRENT: cannot be read: No such file or directory");
  save_two_generations(root);
  fs::remove(root + "/router-000002.safetensors");
  CHECK(current_generation(root) == 2);
  overwrite(root + "/CURRENT", "manifest-2.json\n");
  CHECK(message_of<FormatError>([&] {
          (void)current_generation(root);
        }).starts_with(root + "/CURRENT: is damaged: it says \"manifest-2.json\\n\""));
}
