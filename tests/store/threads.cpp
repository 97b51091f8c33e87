// SPDX-License-Identifier: MIT
// Many threads predict while one learns and one saves. Compiled once more with ThreadSanitizer.
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/program.hpp"
#include "support/small_learner.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Threads that predict until they are told to stop, and count what was not whole.
class SnapshotReaders {
 public:
  SnapshotReaders(const PointLearner<float>& learner, int count) {
    for (int r = 0; r < count; ++r) {
      threads_.emplace_back([this, &learner] {
        while (!stop_) read(learner);
      });
    }
  }
  SnapshotReaders(const SnapshotReaders&) = delete;
  SnapshotReaders& operator=(const SnapshotReaders&) = delete;
  ~SnapshotReaders() { stop_ = true; }

  void await(int rounds) const {
    while (rounds_ < rounds) std::this_thread::yield();
  }
  [[nodiscard]] int torn() const { return torn_; }

 private:
  void read(const PointLearner<float>& learner) {
    static const auto queries = small_task<float>(0, 8).inputs;
    const auto snapshot = learner.snapshot();
    const auto tasks = static_cast<Index>(snapshot.tasks().size());
    bool whole = static_cast<Index>(snapshot.handles().size()) == tasks &&
                 snapshot.changes() == static_cast<std::uint64_t>(tasks);
    for (const auto& prediction : snapshot.predict(queries)) {
      whole = whole && prediction.decision.scores.size() == tasks && prediction.output.size() == 2;
    }
    torn_ += whole ? 0 : 1;
    ++rounds_;
  }

  std::atomic<bool> stop_{false};
  std::atomic<int> torn_{0};
  std::atomic<int> rounds_{0};
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

}  // namespace

TEST_CASE("threads predict from whole snapshots while one learns", "[store][threads]") {
  auto learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  SnapshotReaders readers(learner, 2);
  learn_small_tasks(learner, 1, 5);
  readers.await(4);
  CHECK(readers.torn() == 0);
  CHECK(learner.tasks().size() == 5);
}

TEST_CASE("threads predict while one learns and one saves", "[store][threads]") {
  const TemporaryFolder folder;
  auto learner = small_learner<float>(busy_learner_options());
  learn_small_tasks(learner, 0, 1);
  std::optional<SnapshotReaders> readers(std::in_place, learner, 2);
  std::atomic<bool> done{false};
  std::atomic<int> saves{0};
  {
    const std::jthread saver([&] {
      CheckpointWriter writer(folder.file("state"));
      while (!done || saves < 3) {
        writer.save(learner);
        ++saves;
      }
    });
    for (Index t = 1; t < 6; ++t) {
      learn_small_tasks(learner, t, t + 1);
      learner.set_policy({.name = "policy " + std::to_string(t), .min_margin = 0.01});
    }
    readers->await(4);
    done = true;
  }
  CHECK(readers->torn() == 0);
  CHECK(saves >= 3);
  readers.reset();  // they count as use
  save(learner, folder.file("state"));
  const auto loaded =
      load<PointLearner<float>>(folder.file("state"), PointBackbone<float>(small_dim));
  CHECK((Learned<float>(loaded) == Learned<float>(learner)));
}

TEST_CASE("threads share adapters that are loaded on demand", "[store][threads]") {
  const TemporaryFolder folder;
  auto learner = small_learner<float>();
  learn_small_tasks(learner, 0, 6);
  save(learner, folder.file("state"));
  const std::size_t one = learner.tasks().front().adapter_bytes;
  const auto loaded = load<PointLearner<float>>(
      folder.file("state"), PointBackbone<float>(small_dim), {.adapter_budget = 2 * one});
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> readers;
    for (Index r = 0; r < 3; ++r) {
      readers.emplace_back([&, r] {
        for (Index round = 0; round < 30; ++round) {
          const auto task = small_task<float>((7 * round + r) % 6, 6);
          const auto expected = learner.predict_as(task.name, task.inputs);
          const auto found = loaded.predict_as(task.name, task.inputs);
          for (std::size_t i = 0; i < found.size(); ++i) wrong += found[i] == expected[i] ? 0 : 1;
        }
      });
    }
  }
  CHECK(wrong == 0);
}
