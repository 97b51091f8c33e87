// SPDX-License-Identifier: MIT
// Adapters that are loaded when they are needed, and go when others need the room.
#include "anyssr/store/adapter_store.hpp"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"
#include "support/sanitized.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

/// An adapter of width * width floats that all hold one number.
Adapter<float> marked_adapter(float mark, Index width) {
  Adapter<float> adapter;
  adapter.heads["head"] = {.weights = Matrix<float>::Constant(width, width, mark)};
  return adapter;
}

float mark_of(const Adapter<float>& adapter) { return adapter.heads.at("head").weights(0, 0); }

constexpr std::size_t marked_bytes = 4 * 4 * sizeof(float);

/// A store whose keys are numbers, which its adapters are marked with; it keeps what was loaded.
struct CountingStore {
  explicit CountingStore(std::size_t adapters)
      : store(adapters * marked_bytes, [this](const std::string& key) {
          loads.push_back(key);
          return marked_adapter(std::stof(key), 4);
        }) {}
  float get(const std::string& key) { return mark_of(*store.get(key, marked_bytes)); }

  std::vector<std::string> loads;
  AdapterStore<float> store;
};

/// Pages of this process in memory, in bytes.
std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("an adapter is loaded once and the longest unused goes first", "[store]") {
  CountingStore counting(3);
  for (const char* key : {"1", "2", "3", "1", "2"}) CHECK(counting.get(key) == std::stof(key));
  CHECK(counting.loads == std::vector<std::string>{"1", "2", "3"});
  CHECK(counting.store.counts().hits == 2);
  CHECK(counting.store.counts().misses == 3);
  CHECK(counting.store.counts().evictions == 0);
  CHECK(counting.store.counts().adapters == 3);
  CHECK(counting.store.counts().bytes == 3 * marked_bytes);
  CHECK(counting.store.budget() == 3 * marked_bytes);
  counting.get("4");  // 3 goes: 1 and 2 were used after it
  CHECK(counting.store.counts().evictions == 1);
  for (const char* key : {"1", "2", "4"}) counting.get(key);
  CHECK(counting.loads == std::vector<std::string>{"1", "2", "3", "4"});
  counting.get("3");  // 1 goes
  counting.get("2");
  counting.get("1");
  CHECK(counting.loads == std::vector<std::string>{"1", "2", "3", "4", "3", "1"});
  CHECK(counting.store.counts().adapters == 3);
  CHECK(counting.store.counts().evictions == 3);
}

TEST_CASE("a held adapter stays the same and goes when it is let go of", "[store]") {
  CountingStore counting(1);
  auto held = counting.store.get("1", marked_bytes);
  for (const char* key : {"2", "3", "4"}) counting.get(key);
  CHECK(counting.store.get("1", marked_bytes) == held);
  CHECK(counting.loads == std::vector<std::string>{"1", "2", "3", "4"});
  std::vector<AdapterStore<float>::Pointer> many{held};
  for (int i = 5; i < 15; ++i) many.push_back(counting.store.get(std::to_string(i), marked_bytes));
  CHECK(counting.store.counts().bytes == 11 * marked_bytes);  // more than the budget while in use
  many.clear();
  held.reset();
  counting.get("14");  // a hit lets go of the others
  CHECK(counting.store.counts().adapters == 1);
  CHECK(counting.store.counts().bytes == marked_bytes);
  CHECK(counting.get("1") == 1);
  CHECK(counting.loads.size() == 15);
}

TEST_CASE("an adapter larger than the budget is there while somebody holds it", "[store]") {
  CountingStore counting(0);
  const auto held = counting.store.get("7", marked_bytes);
  CHECK(mark_of(*held) == 7);
  CHECK(counting.store.get("7", marked_bytes) == held);
  counting.get("8");
  CHECK(counting.loads == std::vector<std::string>{"7", "8"});
}

TEST_CASE("a size that was told wrong is put right by the load", "[store]") {
  CountingStore counting(2);
  counting.get("1");
  (void)counting.store.get("2", std::size_t{1} << 40);
  CHECK(counting.store.counts().bytes == marked_bytes);
  CHECK(counting.store.counts().evictions == 1);  // room was made for what was told
  (void)counting.store.get("3", 0);
  CHECK(counting.store.counts().bytes == 2 * marked_bytes);
}

TEST_CASE("threads that need the same adapter load it once", "[store]") {
  constexpr std::uint64_t readers = 4;
  std::atomic<int> loads{0};
  AdapterStore<float>* itself = nullptr;
  AdapterStore<float> store(1000, [&](const std::string&) {
    ++loads;
    while (itself->counts().hits < readers - 1)
      std::this_thread::yield();  // the others wait by now
    return marked_adapter(5, 4);
  });
  itself = &store;
  std::vector<AdapterStore<float>::Pointer> got(readers);
  {
    std::vector<std::jthread> threads;
    for (auto& pointer : got) {
      threads.emplace_back([&store, &pointer] { pointer = store.get("key", marked_bytes); });
    }
  }
  CHECK(loads == 1);
  for (const auto& pointer : got) CHECK(pointer == got.front());
  CHECK(mark_of(*got.front()) == 5);
}

TEST_CASE("an error of a load reaches every waiter and the next call tries again",
          "[store][error]") {
  constexpr std::uint64_t readers = 4;
  std::atomic<int> loads{0};
  AdapterStore<float>* itself = nullptr;
  AdapterStore<float> store(1000, [&](const std::string&) -> Adapter<float> {
    if (++loads > 1) return marked_adapter(6, 4);
    while (itself->counts().hits < readers - 1) std::this_thread::yield();
    throw FormatError("the file is damaged");
  });
  itself = &store;
  std::atomic<int> refused{0};
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t r = 0; r < readers; ++r) {
      threads.emplace_back([&] {
        const std::string message =
            message_of<FormatError>([&] { (void)store.get("key", marked_bytes); });
        refused += message == "the file is damaged" ? 1 : 0;
      });
    }
  }
  CHECK(refused == readers);
  CHECK(loads == 1);
  CHECK(store.counts().adapters == 0);
  CHECK(store.counts().bytes == 0);
  CHECK(mark_of(*store.get("key", marked_bytes)) == 6);
}

TEST_CASE("eight threads get the right adapters while these come and go", "[store]") {
  constexpr int keys = 40;
  constexpr int budget = 10;
  std::atomic<int> wrong{0};
  std::atomic<int> failed{0};
  std::atomic<int> tries{0};
  std::atomic<bool> fails{true};
  AdapterStore<float> store(budget * marked_bytes, [&](const std::string& key) {
    if (++tries % 50 == 0 && fails) throw FileError("not now");
    return marked_adapter(std::stof(key), 4);
  });
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint64_t i = 0; i < 3000; ++i) {
          const std::string key = std::to_string(mix_bits(1000000 * t + i) % keys);
          try {
            const auto adapter = store.get(key, marked_bytes);
            wrong += mark_of(*adapter) == std::stof(key) ? 0 : 1;
          } catch (const FileError&) {
            ++failed;
          }
        }
      });
    }
  }
  CHECK(wrong == 0);
  CHECK(failed > 0);
  const AdapterStoreCounts counts = store.counts();
  CHECK(counts.hits + counts.misses == 8 * 3000);
  CHECK(counts.misses == static_cast<std::uint64_t>(tries));
  CHECK(counts.evictions > 1000);
  fails = false;
  (void)store.get("0", marked_bytes);
  CHECK(store.counts().bytes <= budget * marked_bytes);
  CHECK(store.counts().bytes == store.counts().adapters * marked_bytes);
}

TEST_CASE("a thousand adapters pass through a store in the memory of its budget", "[store]") {
  if (is_sanitized) {
    std::cout << "skipped: a sanitizer keeps what is freed\n";
    return;
  }
  constexpr Index width = 512;  // 1 MiB
  constexpr std::size_t megabyte = std::size_t{1} << 20;
  constexpr std::size_t budget = 64 * megabyte;
  const TemporaryFolder folder(quick_folder());
  Adapter<float> written = marked_adapter(3, width);
  written.heads.at("head").bias = RowVector<float>::Zero(width);
  write_peft_adapter(folder.file("adapter"), written);
  const std::size_t before = resident_bytes();
  AdapterStore<float> store(budget, [&](const std::string&) {
    return read_peft_adapter<float>(folder.file("adapter"), {.heads = {"head"}}).adapter;
  });
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    CHECK(mark_of(*store.get(std::to_string(i), megabyte)) == 3);
    most = std::max(most, resident_bytes() - before);
  }
  CAPTURE(most, before);
  CHECK(most > budget / 2);
  CHECK(most < budget + budget / 2);
  CHECK(store.counts().evictions >= 1000 - 64);
  CHECK(store.counts().bytes <= budget);
}

TEST_CASE("a learner under a budget of adapters predicts as one with all in memory", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>(options_of(SubspaceChoice::complement));
  learn_small_tasks(learner, 0, 5);
  save(learner, root);
  const std::size_t one = learner.snapshot().handles().front()->info().bytes;
  const bool verify = GENERATE(false, true);
  PointLearner<float> lean =
      load_points<float>(root, {.adapter_budget = 2 * one, .verify_adapters = verify});
  CHECK(decisions_of(lean, 5) == decisions_of(learner, 5));
  const auto snapshot = lean.snapshot();
  CHECK_FALSE(snapshot.handles().front()->is_resident());
  const std::weak_ptr<const Adapter<float>> first = snapshot.adapter("task-0");
  CHECK_FALSE(first.expired());
  for (const char* task : {"task-1", "task-2", "task-3"}) (void)snapshot.adapter(task);
  CHECK(first.expired());
  const auto tasks = lean.tasks();
  CHECK(tasks[3].metadata.at("number") == "3");
  CHECK(tasks[3].adapter_bytes == one);
  CHECK(tasks[3].adapter_parameters == learner.tasks()[3].adapter_parameters);
  // it learns on, and a save to the same folder writes what is new alone, to another one all
  learn_small_tasks(lean, 5, 6);
  CHECK(save(lean, root).adapters_written == 1);
  CHECK(save(lean, folder.file("other")).adapters_written == 6);
  CHECK((Learned<float>(load_points<float>(folder.file("other"))) ==
         Learned<float>(load_points<float>(root))));
}

TEST_CASE("a load says what the store of its adapters has done", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 3);
  save(learner, root);
  const std::size_t one = learner.snapshot().handles().front()->info().bytes;
  LoadReport report;
  {
    const PointLearner<float> lean = load_points<float>(root, {.adapter_budget = one}, &report);
    REQUIRE(report.adapter_counts);
    CHECK(report.adapter_counts().misses == 0);
    for (const char* task : {"task-0", "task-0", "task-1"}) (void)lean.snapshot().adapter(task);
    CHECK(report.adapter_counts().hits == 1);
    CHECK(report.adapter_counts().misses == 2);
    CHECK(report.adapter_counts().evictions == 1);
    CHECK(report.adapter_counts().bytes == one);
  }
  CHECK(report.adapter_counts().adapters == 1);
  (void)load_points<float>(root, {}, &report);
  CHECK_FALSE(report.adapter_counts);
}

TEST_CASE("adapters are found when the process has gone to another folder", "[store]") {
  const TemporaryFolder folder;
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, folder.file("state"));
  const fs::path before = fs::current_path();
  fs::current_path(folder.file(""));
  const PointLearner<float> lean = load_points<float>("state", {.adapter_budget = 1});
  fs::current_path(before);
  const auto inputs = small_task<float>(0).inputs;
  CHECK(lean.predict_as("task-0", inputs) == learner.predict_as("task-0", inputs));
}

TEST_CASE("a folder of adapters that cannot be looked at is an error of this library",
          "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, root);
  const PointLearner<float> lean = load_points<float>(root, {.adapter_budget = 1});
  const auto inputs = small_task<float>(0).inputs;
  const auto refusal = [&] {
    return message_of<Error>([&] { (void)lean.predict_as("task-0", inputs); });
  };
  fs::rename(root + "/adapters", root + "/elsewhere");
  CHECK(refusal() == root +
                         "/adapters/000001-task-0: is gone: later saves have replaced it, load "
                         "the checkpoint again");
  fs::create_symlink("adapters", root + "/adapters");  // a link to itself
  CHECK(refusal() == root + "/adapters: is a link, expected a folder that the checkpoint wrote");
}

TEST_CASE("an adapter that was not read through at load is found damaged when it is needed",
          "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 3);
  save(learner, root);
  const std::string path = root + "/adapters/000002-task-1/adapter_model.safetensors";
  const std::string bytes = file_bytes(path);
  std::string damaged = bytes;
  damaged[bytes.size() - 9] = static_cast<char>(damaged[bytes.size() - 9] ^ 4);
  overwrite(path, damaged);
  CHECK_THROWS_AS(load_points<float>(root, {.adapter_budget = 1}), FormatError);
  const PointLearner<float> lean =
      load_points<float>(root, {.adapter_budget = 1, .verify_adapters = false});
  const auto inputs = small_task<float>(1).inputs;
  for (int i = 0; i < 2; ++i) {
    CHECK(message_of<FormatError>([&] {
            (void)lean.predict_as("task-1", inputs);
          }).starts_with(path + ": is damaged: its check is sha256:"));
  }
  CHECK(lean.predict_as("task-0", inputs) == learner.predict_as("task-0", inputs));
  CHECK(lean.predict_as("task-2", inputs) == learner.predict_as("task-2", inputs));
  overwrite(path, bytes);
  CHECK(lean.predict_as("task-1", inputs) == learner.predict_as("task-1", inputs));
  overwrite(path, bytes.substr(1));  // another size is seen without reading
  CHECK_THROWS_AS(load_points<float>(root, {.adapter_budget = 1, .verify_adapters = false}),
                  FormatError);
}
