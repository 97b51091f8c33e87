// SPDX-License-Identifier: MIT
// One writer a checkpoint, and readers that never wait for it.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/saving_process.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

std::string lock_refusal(const std::string& root, pid_t holder) {
  std::array<char, 256> host{};
  REQUIRE(gethostname(host.data(), host.size() - 1) == 0);
  return root + "/LOCK: the checkpoint is being written by process " + std::to_string(holder) +
         " on host " + host.data() + ", expected one writer at a time";
}

/// A process that takes the lock and keeps it until it is killed.
pid_t lock_in_another_process(const std::string& root) {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // no test macros here
    try {
      const CheckpointWriter writer(root);
      const char held = 'h';
      if (write(ends[1], &held, 1) == 1) pause();
    } catch (const std::exception&) {
      _exit(1);
    }
    _exit(2);
  }
  close(ends[1]);
  char held = 0;
  REQUIRE(read(ends[0], &held, 1) == 1);
  close(ends[0]);
  return child;
}

void kill_process(pid_t process) {
  kill(process, SIGKILL);
  int status = 0;
  REQUIRE(waitpid(process, &status, 0) == process);
  REQUIRE(WIFSIGNALED(status));
}

}  // namespace

TEST_CASE("a second writer in the same process is refused by name", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  change_learner(learner);
  {
    CheckpointWriter writer(root);
    writer.save(learner);
    change_learner(learner);
    CHECK(message_of<FileError>([&] { const CheckpointWriter second(root); }) ==
          lock_refusal(root, getpid()));
    CHECK(message_of<FileError>([&] { save(learner, root); }) == lock_refusal(root, getpid()));
    CHECK(load_points<float>(root).tasks().size() == 1);
    CHECK(writer.save(learner).generation == 2);
  }
  CHECK(save(learner, root).generation == 3);
}

TEST_CASE("a writer in another process is named and readers do not need the lock",
          "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  change_learner(learner);
  save(learner, root);
  const auto before = all_files(root);
  const pid_t holder = lock_in_another_process(root);
  CHECK(message_of<FileError>([&] { save(learner, root); }) == lock_refusal(root, holder));
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
  CHECK(verify_checkpoint(root).size() == before.size() - 1);  // every file but the lock
  auto after = all_files(root);
  after["LOCK"] = before.at("LOCK");
  CHECK(after == before);
  kill_process(holder);
  change_learner(learner);
  CHECK(save(learner, root).generation == 2);  // what a dead process held is free at once
}

TEST_CASE("a writer whose lock file was taken away saves no more", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  change_learner(learner);
  CheckpointWriter writer(root);
  writer.save(learner);
  const std::string advice = " since this writer took it, expected it to stay: make a new writer";
  fs::remove(root + "/LOCK");
  CHECK(message_of<FileError>([&] { writer.save(learner); }) ==
        root + "/LOCK: was deleted" + advice);
  CHECK(save(learner, root).generation == 2);  // another writer's, with a lock of its own
  CHECK(message_of<FileError>([&] { writer.save(learner); }) ==
        root + "/LOCK: was replaced" + advice);
  CHECK(current_generation(root) == 2);
}

TEST_CASE("a lock that cannot be taken is an error and not a wait", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  fs::create_directory(root);
  fs::create_symlink(folder.write("elsewhere", "text"), root + "/LOCK");
  CHECK(message_of<FileError>([&] { const CheckpointWriter writer(root); }) ==
        root + "/LOCK: cannot be opened: Too many levels of symbolic links");
  CHECK(file_bytes(folder.file("elsewhere")) == "text");
  CHECK(message_of<FileError>([&] { const CheckpointWriter writer(folder.file("elsewhere")); }) ==
        folder.file("elsewhere") + ": cannot be made: File exists");
  CHECK(message_of<FileError>([&] { const CheckpointWriter writer(folder.file("no/such")); }) ==
        folder.file("no/such") + ": cannot be made: No such file or directory");
  CHECK(message_of<ArgumentError>([&] { const CheckpointWriter writer(fs::path{}); }) ==
        "the path of the checkpoint is empty, expected a folder");
}

TEST_CASE("readers see whole states in their order while another process saves", "[store]") {
  constexpr int loads = 200;
  const TemporaryFolder folder(quick_folder());
  const std::string root = folder.file("state");
  PointLearner<float> known = small_learner<float>();
  change_learner(known);
  save(known, root);
  known = load_points<float>(root, {.threads = 1});
  SavingProcess writer(known, root);
  std::uint64_t generation = 1;
  int moves = 0;
  for (int i = 0; i < loads; ++i) {
    writer.wait_for_report();
    LoadReport report;
    const PointLearner<float> loaded = load_points<float>(root, {.threads = 1}, &report);
    const std::uint64_t changes = loaded.snapshot().changes();
    CAPTURE(i, report.generation, changes);
    REQUIRE(report.generation >= generation);
    moves += report.generation > generation ? 1 : 0;
    generation = report.generation;
    REQUIRE(changes >= known.snapshot().changes());
    while (known.snapshot().changes() < changes) change_learner(known);
    REQUIRE((Learned<float>(loaded) == Learned<float>(known)));
    CHECK(report.damage.empty());
  }
  CHECK(moves > 20);
  CHECK(writer.kill().was_killed);
}
