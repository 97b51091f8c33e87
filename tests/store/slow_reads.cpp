// SPDX-License-Identifier: MIT
// Readers on a slow disk beside a process that saves as fast as it can.
#include <fcntl.h>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/failing_calls.hpp"
#include "support/saving_process.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

const CallPlan slow_disk{.read_microseconds = 5000};

bool skip_slow_reads() {
  if (!calls_can_fail) std::cout << "skipped: reads cannot be made slow in this build\n";
  return !calls_can_fail;
}

std::vector<std::string> damage_of(const std::vector<FileReport>& reports) {
  std::vector<std::string> damage;
  for (const FileReport& report : reports) {
    if (!report.damage.empty()) damage.push_back(report.damage);
  }
  return damage;
}

/// A learner with four tasks and a checkpoint of it.
struct SlowFolder {
  SlowFolder() : known(small_learner<float>()) {
    learn_small_tasks(known, 0, 4);
    save(known, root);
    known = load_points<float>(root, {.threads = 1});
  }
  TemporaryFolder folder{quick_folder()};
  std::string root = folder.file("state");
  PointLearner<float> known;
};

}  // namespace

TEST_CASE("a slow look at a checkpoint finds it whole while another process saves", "[store]") {
  if (skip_slow_reads()) return;
  SlowFolder state;
  SavingProcess writer(state.known, state.root);
  std::uint64_t before = 0;
  for (int later = 0; later < 6;) {  // looks that found a save since the one before
    std::uint64_t generation = 0;
    std::vector<FileReport> reports;
    {
      const ArmedCalls armed(slow_disk);
      reports = verify_checkpoint(state.root, &generation);
    }
    CAPTURE(later, generation);
    REQUIRE(damage_of(reports) == std::vector<std::string>{});
    REQUIRE(reports.size() > 5);
    REQUIRE(generation >= before);
    later += generation > before ? 1 : 0;
    before = generation;
  }
  CHECK(writer.kill().saved >= 5);
}

TEST_CASE("a slow load gets a whole state while another process saves", "[store]") {
  if (skip_slow_reads()) return;
  SlowFolder state;
  PointLearner<float>& known = state.known;
  SavingProcess writer(known, state.root);
  for (int load = 0; load < 6; ++load) {
    writer.wait_for_report();
    const bool recover = load % 2 == 1;
    LoadReport report;
    const PointLearner<float> loaded = [&] {
      const ArmedCalls armed(slow_disk);
      return load_points<float>(state.root, {.recover = recover, .threads = 1}, &report);
    }();
    const std::uint64_t changes = loaded.snapshot().changes();
    CAPTURE(load, recover, report.generation, changes);
    CHECK(report.damage.empty());
    REQUIRE(changes >= known.snapshot().changes());
    while (known.snapshot().changes() < changes) change_learner(known);
    CHECK((Learned<float>(loaded) == Learned<float>(known)));
  }
  CHECK(writer.kill().saved >= 3);
}

TEST_CASE("what is really damaged is found although another process saves on", "[store][error]") {
  if (skip_slow_reads()) return;
  SlowFolder state;
  const std::string damaged = "adapters/000001-task-0/adapter_model.safetensors";
  std::string bytes = file_bytes(state.root + "/" + damaged);
  REQUIRE_FALSE(bytes.empty());
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  overwrite(state.root + "/" + damaged, bytes);
  SavingProcess writer(state.known, state.root);
  for (int i = 0; i < 4; ++i) writer.wait_for_report();
  const ArmedCalls armed(slow_disk);
  const std::vector<std::string> damage = damage_of(verify_checkpoint(state.root));
  REQUIRE(damage.size() == 1);
  CAPTURE(damage[0]);
  CHECK(contains(damage[0], damaged + ": is damaged: its check is sha256:"));
  CHECK(contains(message_of<FormatError>([&] { (void)load_points<float>(state.root); }),
                 damaged + ": is damaged"));
}

TEST_CASE("a save keeps what it cannot tell from being read", "[store]") {
  SlowFolder state;
  const std::string manifest = state.root + "/manifest-000001.json";
  CHECK_FALSE(detail::GenerationPin(manifest, O_RDWR).is_read_elsewhere());
  const detail::GenerationPin reader(manifest);
  CHECK(detail::GenerationPin(manifest, O_RDWR).is_read_elsewhere());
  // a descriptor that can lock nothing, as one without write access on NFS
  CHECK(detail::GenerationPin(manifest, O_PATH).is_read_elsewhere());
}

TEST_CASE("a generation that is being read outlives the saves after it", "[store]") {
  SlowFolder state;
  PointLearner<float>& learner = state.known;
  const auto next_save = [&] {
    change_learner(learner);
    return save(learner, state.root);
  };
  {
    const detail::GenerationPin pin(state.root + "/manifest-000001.json");
    for (int i = 0; i < 3; ++i) CHECK(next_save().warnings.empty());
    CHECK(fs::exists(state.root + "/router-000001.safetensors"));
    CHECK_FALSE(fs::exists(state.root + "/router-000002.safetensors"));
  }
  CHECK(next_save().warnings.empty());
  CHECK_FALSE(fs::exists(state.root + "/router-000001.safetensors"));
  CHECK_FALSE(fs::exists(state.root + "/manifest-000001.json"));
}

TEST_CASE("looking ends where each generation is damaged in its own file", "[store][error]") {
  SlowFolder state;
  const std::string current = state.root + "/CURRENT";
  int looks = 0;
  const auto look = [&](int faults) {
    looks = 0;
    detail::look_until_final(state.root, [&](const auto& /*is_final*/) -> std::string {
      const std::string number = std::to_string(++looks);
      overwrite(current, "commit " + number);
      return looks <= faults ? "router-" + number + ".safetensors: is damaged" : "";
    });
    return looks;
  };
  CHECK(look(10) == 11);
  CHECK(look(1000) == 32);
}

TEST_CASE("a reader waits for the first commit of a save that is under way", "[store]") {
  const SlowFolder state;
  const std::string current = state.root + "/CURRENT";
  fs::rename(current, current + "-later");
  std::thread saving([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    fs::rename(current + "-later", current);
  });
  CHECK(damage_of(verify_checkpoint(state.root)) == std::vector<std::string>{});
  saving.join();
}
