// SPDX-License-Identifier: MIT
// What a process leaves that is killed while it saves.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/saving_process.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

int kills_wanted() {
  const char* const wanted = std::getenv("ANYSSR_KILLS");
  return wanted == nullptr ? 300 : std::atoi(wanted);
}

/// How many changes after `start` lead to the state that was loaded, if it is one of first..last.
/// @param stored  what was there before them; none where there was nothing
std::optional<int> changes_to(const Learned<float>& loaded,
                              const std::optional<Learned<float>>& stored,
                              PointLearner<float> start, int first, int last) {
  if (first == 0 && stored && *stored == loaded) return 0;
  for (int changes = 0; changes <= last; ++changes) {
    if (changes > 0) change_learner(start);
    if (changes >= first && Learned<float>(start) == loaded) return changes;
  }
  return std::nullopt;
}

/// A learner that has nothing yet, and watches its data.
PointLearner<float> learner_to_crash() {
  LearnerOptions options = options_of(SubspaceChoice::complement);
  options.inspector = InspectorOptions{.sketch = 4};
  return small_learner<float>(options);
}

/// Time of one change and its save.
std::chrono::microseconds time_of_a_save() {
  const TemporaryFolder folder(quick_folder());
  PointLearner<float> learner = learner_to_crash();
  const auto begin = std::chrono::steady_clock::now();
  for (int k = 0; k < 4; ++k) {
    change_learner(learner);
    save(learner, folder.file("state"));
  }
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                               begin) /
         4;
}

}  // namespace

TEST_CASE("a process killed at any moment of its saves loses nothing that was saved", "[store]") {
  const int wanted = kills_wanted();
  constexpr int kills_a_folder = 25;
  const std::int64_t longest = 4 * time_of_a_save().count();
  std::mt19937_64 random(20260131);
  int torn = 0;         // kills within a save
  int uncommitted = 0;  // kills before there was anything
  std::optional<TemporaryFolder> folder;
  std::optional<PointLearner<float>> learner;
  std::optional<Learned<float>> stored;  // as the last load found it
  bool has_state = false;
  std::uint64_t most_changes = 0;
  std::int64_t window = 0;  // microseconds after the first save began, in which the kill comes
  for (int kill = 0; kill < wanted; ++kill) {
    if (kill % kills_a_folder == 0) {
      folder.emplace(quick_folder());
      learner = learner_to_crash();
      stored.reset();
      has_state = false;
      window = 1;
    }
    const std::string root = folder->file("state");
    SavingProcess process(*learner, root);
    process.wait_for_report();
    const auto delay = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(window));
    std::this_thread::sleep_for(std::chrono::microseconds(delay));
    const SavingProcess::Outcome outcome = process.kill();
    CAPTURE(kill, delay, outcome.begun, outcome.saved, has_state);
    REQUIRE(outcome.was_killed);
    torn += outcome.begun > outcome.saved ? 1 : 0;
    if (!has_state && outcome.saved == 0 && !fs::exists(root + "/CURRENT")) {
      ++uncommitted;
      window *= 2;  // a forked process is slower than its parent, nobody knows by how much
      CHECK_THROWS_AS(load_points<float>(root), FileError);
      continue;  // the next process saves to what this one has left
    }
    const PointLearner<float> loaded = load_points<float>(root, {.threads = 1});
    const Learned<float> found(loaded);
    const auto changes = changes_to(found, stored, *learner, outcome.saved, outcome.begun);
    REQUIRE(changes.has_value());
    learner = loaded;
    stored.emplace(found);
    most_changes = std::max(most_changes, learner->snapshot().changes());
    if (!learner->tasks().empty()) (void)learner->predict(small_task<float>(0, 2).inputs);  // usage
    has_state = true;
    window = std::max(window, longest);
    // nothing was saved in this time: the machine is slower than when it was measured
    if (outcome.saved == 0) window = std::min(2 * window, std::int64_t{1} << 20);
    if ((kill + 1) % kills_a_folder != 0) continue;
    change_learner(*learner);
    const SaveReport report = save(*learner, root);
    CHECK(report.warnings.empty());
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      CHECK_FALSE(contains(entry.path().filename().string(), ".tmp-"));
    }
  }
  CAPTURE(torn, uncommitted, most_changes);
  CHECK(torn > wanted / 10);
  CHECK(uncommitted > 0);
  // the circle of states, once through where there is time for it
  CHECK(most_changes > static_cast<std::uint64_t>(std::min(16, wanted / 10)));
}

TEST_CASE("a first save that was killed before its commit is in nobody's way", "[store]") {
  const TemporaryFolder folder(quick_folder());
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  change_learner(learner);
  save(learner, root);
  fs::remove(root + "/CURRENT");  // as if the kill had come before it
  CHECK(message_of<FileError>([&] { (void)load_points<float>(root); }) ==
        root +
            "/CURRENT: cannot be read: No such file or directory; generation 1 is whole: recover = "
            "true takes it");
  LoadReport found;
  const PointLearner<float> recovered = load_points<float>(root, {.recover = true}, &found);
  CHECK((Learned<float>(recovered) == Learned<float>(learner)));
  CHECK(found.damage == root + "/CURRENT: cannot be read: No such file or directory");
  CHECK(save(learner, root).generation == 2);
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
}
