// SPDX-License-Identifier: MIT
// Damage of any file of a checkpoint is found, named, and recovered from where that can be.
#include <algorithm>
#include <functional>
#include <optional>
#include <random>
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

/// Two generations: the second has a task more. Its own are CURRENT, manifest, router, span file,
/// inspector and the third adapter; both share the rest.
struct TwoGenerations {
  TwoGenerations() : learner(small_learner<float>(busy_learner_options())) {
    learn_small_tasks(learner, 0, 2);
    save(learner, root);
    older.emplace(learner);
    learn_small_tasks(learner, 2, 3);
    save(learner, root);
    newer.emplace(learner);
    files = all_files(root);
    files.erase("LOCK");
    files.erase("manifest-000001.json");
    files.erase("router-000001.safetensors");
    files.erase("inspector-000001.json");
  }

  TemporaryFolder folder{quick_folder()};
  std::string root = folder.file("state");
  PointLearner<float> learner;
  std::optional<Learned<float>> older;
  std::optional<Learned<float>> newer;
  std::map<std::string, std::string> files;  ///< of the second generation, with their bytes
};

bool is_of_newer_alone(const std::string& file) {
  return (contains(file, "-000002.") || contains(file, "/000003-"));
}

/// The state that a load with recover gives where that file is damaged; null: none.
const Learned<float>* recovered_state(const TwoGenerations& saved, const std::string& file) {
  if (file == "CURRENT") return &*saved.newer;
  return is_of_newer_alone(file) ? &*saved.older : nullptr;
}

void check_damage(const TwoGenerations& saved, const std::string& file) {
  const std::string path = saved.root + "/" + file;
  const std::string message = message_of<Error>([&] { (void)load_points<float>(saved.root); });
  CHECK(message.starts_with(path + ": "));
  std::vector<std::string> damaged;
  for (const FileReport& report : verify_checkpoint(saved.root)) {
    if (report.damage.empty()) continue;
    damaged.push_back(report.path);
    CHECK(contains(report.damage, path));
  }
  CHECK(damaged == std::vector<std::string>{file});
  const Learned<float>* const state = recovered_state(saved, file);
  LoadReport report;
  if (state == nullptr) {
    CHECK(message.ends_with("; no generation is whole"));
    CHECK_THROWS_AS(load_points<float>(saved.root, {.recover = true}), Error);
    return;
  }
  const std::string number = file == "CURRENT" ? "2" : "1";
  const std::string advice = "; generation " + number + " is whole: recover = true takes it";
  CHECK(message.ends_with(advice));
  const auto loaded = load_points<float>(saved.root, {.recover = true, .threads = 1}, &report);
  CHECK((Learned<float>(loaded) == *state));
  CHECK(report.damage + advice == message);
  CHECK(std::to_string(report.generation) == number);
}

std::string with_flipped_bit(std::string bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ 1U << bit % 8);
  return bytes;
}

}  // namespace

TEST_CASE("each of a thousand flipped bits is found and named and recovered from where that can be",
          "[store][error]") {
  const TwoGenerations saved;
  std::vector<std::string> names;
  for (const auto& [name, bytes] : saved.files) names.push_back(name);
  REQUIRE(names.size() == 15);
  std::mt19937_64 random(7);
  int recovered = 0;
  constexpr int flips = is_sanitized ? 200 : 1000;
  for (int flip = 0; flip < flips; ++flip) {
    // half of them in files chosen without regard to size, so that CURRENT gets its share
    std::string file = names[random() % names.size()];
    if (flip % 2 == 0) {
      std::size_t at = 0;
      for (const std::string& name : names) at += saved.files.at(name).size();
      at = random() % at;
      for (const std::string& name : names) {
        file = name;
        if (at < saved.files.at(name).size()) break;
        at -= saved.files.at(name).size();
      }
    }
    const std::string& bytes = saved.files.at(file);
    const std::size_t bit = random() % (bytes.size() * 8);
    CAPTURE(flip, file, bit);
    overwrite(saved.root + "/" + file, with_flipped_bit(bytes, bit));
    check_damage(saved, file);
    recovered += recovered_state(saved, file) != nullptr ? 1 : 0;
    overwrite(saved.root + "/" + file, bytes);
  }
  CHECK(recovered > 3 * flips / 10);
  CHECK(recovered < 8 * flips / 10);
  CHECK((Learned<float>(load_points<float>(saved.root)) == *saved.newer));
}

TEST_CASE("every flipped bit of CURRENT is found", "[store][error]") {
  const TwoGenerations saved;
  const std::string& bytes = saved.files.at("CURRENT");
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += is_sanitized ? 5 : 1) {
    CAPTURE(bit);
    overwrite(saved.root + "/CURRENT", with_flipped_bit(bytes, bit));
    check_damage(saved, "CURRENT");
  }
}

TEST_CASE("a file that is missing or cut or too long or empty is named", "[store][error]") {
  const TwoGenerations saved;
  for (const auto& [file, bytes] : saved.files) {
    const std::string path = saved.root + "/" + file;
    CAPTURE(file);
    for (const std::string& damaged :
         {bytes.substr(0, bytes.size() - 1), bytes.substr(0, bytes.size() / 2), std::string(),
          bytes + "x", bytes + std::string(5000, '\0')}) {
      CAPTURE(damaged.size());
      overwrite(path, damaged);
      check_damage(saved, file);
    }
    fs::remove(path);
    check_damage(saved, file);
    fs::create_directory(path);
    check_damage(saved, file);
    fs::remove(path);
    overwrite(path, bytes);
  }
}

TEST_CASE("a checkpoint of one generation survives damage of CURRENT", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, root);
  std::string line = file_bytes(root + "/CURRENT");
  char& digit = line[line.size() - 5];
  digit = digit == '0' ? '1' : '0';
  overwrite(root + "/CURRENT", line);
  LoadReport report;
  const auto loaded = load_points<float>(root, {.recover = true}, &report);
  CHECK((Learned<float>(loaded) == Learned<float>(learner)));
  CHECK(report.damage.starts_with(root + "/CURRENT: is damaged: it says SHA-256 "));
}

TEST_CASE("a save goes on from damage only where it is told to", "[store][error]") {
  TwoGenerations saved;
  learn_small_tasks(saved.learner, 3, 4);
  const Learned<float> next(saved.learner);
  const std::string file = GENERATE(std::string("CURRENT"), std::string("manifest-000002.json"));
  const std::string path = saved.root + "/" + file;
  const std::string& bytes = saved.files.at(file);
  const std::string damaged = GENERATE_COPY(with_flipped_bit(bytes, bytes.size() * 4), bytes + "x",
                                            std::string(), std::string("missing"));
  if (damaged == "missing" && file == "CURRENT") return;  // as after a crash: see crash.cpp
  overwrite(path, damaged);
  if (damaged == "missing") fs::remove(path);
  const auto before = all_files(saved.root);
  const std::string base = file == "CURRENT" ? "2" : "1";
  const std::string message = message_of<Error>([&] { save(saved.learner, saved.root); });
  CHECK(message.starts_with(path + ": "));
  CHECK(message.ends_with("; nothing was saved: recover = true goes on from generation " + base));
  CHECK(all_files(saved.root) == before);
  const SaveReport report = save(saved.learner, saved.root, {.recover = true});
  CHECK(report.adapters_written == (file == "CURRENT" ? 1 : 2));
  CHECK((Learned<float>(load_points<float>(saved.root)) == next));
  for (const FileReport& found : verify_checkpoint(saved.root)) CHECK(found.damage.empty());
}

TEST_CASE("a save over a checkpoint of which nothing is whole needs recover", "[store][error]") {
  TwoGenerations saved;
  for (const char* manifest : {"/manifest-000001.json", "/manifest-000002.json"}) {
    overwrite(saved.root + manifest, "{}");
  }
  CHECK(message_of<FormatError>([&] { save(saved.learner, saved.root); })
            .ends_with("; nothing was saved: recover = true goes on from nothing, since no "
                       "generation is whole"));
  CHECK(save(saved.learner, saved.root, {.recover = true}).generation == 3);
  CHECK((Learned<float>(load_points<float>(saved.root)) == *saved.newer));
  fs::remove(saved.root + "/manifest-000003.json");  // CURRENT alone is left
  CHECK(message_of<FileError>([&] {
          save(saved.learner, saved.root);
        }).starts_with(saved.root + "/manifest-000003.json: cannot be read: No such file"));
}

TEST_CASE("stored adapters that are cut or missing are written anew by the next save", "[store]") {
  TwoGenerations saved;
  const std::string file = "adapters/000001-task-0/adapter_model.safetensors";
  const std::string damage = GENERATE("cut", "missing", "a link", "flipped");
  CAPTURE(damage);
  const std::string path = saved.root + "/" + file;
  if (damage == "cut") {
    overwrite(path, "x");
  } else if (damage == "missing") {
    fs::remove_all(saved.root + "/adapters/000001-task-0");
  } else if (damage == "a link") {
    fs::rename(path, saved.root + "/real");
    fs::create_symlink(saved.root + "/real", path);
  } else {
    overwrite(path, with_flipped_bit(saved.files.at(file), saved.files.at(file).size() * 4));
  }
  CHECK(message_of<Error>([&] {
          (void)load_points<float>(saved.root);
        }).starts_with(damage == "missing" ? saved.root + "/adapters/000001-task-0: " : path));
  // only recover reads the stored adapters through
  const SaveReport report = save(saved.learner, saved.root, {.recover = damage == "flipped"});
  CHECK(report.adapters_written == 1);
  CHECK((Learned<float>(load_points<float>(saved.root)) == *saved.newer));
}

TEST_CASE("stored spans that are cut or missing are written anew by the next save", "[store]") {
  TwoGenerations saved;
  const std::string file = GENERATE("spans-000001.safetensors", "spans-000002.safetensors");
  const std::string damage = GENERATE("cut", "missing", "flipped");
  CAPTURE(file, damage);
  const std::string path = saved.root + "/" + file;
  const std::string& bytes = saved.files.at(file);
  if (damage == "missing") {
    fs::remove(path);
  } else {
    overwrite(path, damage == "cut" ? "x" : with_flipped_bit(bytes, bytes.size() * 4));
  }
  CHECK_THROWS_AS(load_points<float>(saved.root), Error);
  learn_small_tasks(saved.learner, 3, 4);
  const SaveReport report = save(saved.learner, saved.root, {.recover = damage == "flipped"});
  CHECK(report.generation == 3);
  CHECK((Learned<float>(load_points<float>(saved.root)) == Learned<float>(saved.learner)));
}

TEST_CASE("what was recovered learns on and is saved where it is told to", "[store]") {
  TwoGenerations saved;
  const std::string file =
      GENERATE("router-000002.safetensors", "spans-000002.safetensors",
               "adapters/000003-task-2/adapter_model.safetensors", "manifest-000002.json");
  CAPTURE(file);
  const std::string& bytes = saved.files.at(file);
  overwrite(saved.root + "/" + file, with_flipped_bit(bytes, bytes.size() * 4));
  auto recovered = load_points<float>(saved.root, {.recover = true, .threads = 1});
  REQUIRE(recovered.tasks().size() == 2);
  learn_small_tasks(recovered, 3, 4);  // not the one that was lost
  const auto before = all_files(saved.root);
  CHECK_THROWS_AS(save(recovered, saved.root), Error);
  CHECK(all_files(saved.root) == before);
  CHECK(save(recovered, saved.root, {.recover = true}).generation == 3);
  CHECK((Learned<float>(load_points<float>(saved.root)) == Learned<float>(recovered)));
  // the generation before it is the one that it goes on from
  fs::remove(saved.root + "/router-000003.safetensors");
  CHECK((Learned<float>(load_points<float>(saved.root, {.recover = true, .threads = 1})) ==
         *saved.older));
}

TEST_CASE("recover does not lose a whole later state", "[store][error]") {
  const TwoGenerations saved;
  auto earlier = small_learner<float>(options_of(SubspaceChoice::complement));
  learn_small_tasks(earlier, 0, 2);
  CHECK(contains(message_of<ArgumentError>([&] { save(earlier, saved.root, {.recover = true}); }),
                 ": holds a later state (change 3) than the one to save (change 2); "));
}

TEST_CASE("a folder without a checkpoint says so", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const std::string expected = root + ": holds no checkpoint: it has no file CURRENT";
  const auto messages = [&] {
    return std::vector<std::string>{
        message_of<FileError>([&] { (void)load_points<float>(root); }),
        message_of<FileError>([&] { (void)load_points<float>(root, {.recover = true}); }),
        message_of<FileError>([&] { (void)verify_checkpoint(root); })};
  };
  CHECK(messages() == std::vector<std::string>(3, expected));
  fs::create_directory(root);
  CHECK(messages() == std::vector<std::string>(3, expected));
  overwrite(root + "/notes.txt", "mine");
  CHECK(messages() == std::vector<std::string>(3, expected));
}

TEST_CASE("a save deletes old generations and no file of another name", "[store]") {
  TwoGenerations saved;
  const std::vector<std::string> mine{
      "notes.txt",         "manifest-000001.json.bak", "router-000001.safetensors.old",
      ".tmp-mine",         "spans-1.safetensors",      "inspector-000001.json.bak",
      "inspector.json",    "adapters/readme",          "adapters/1-short",
      "audit/000001.jsonl"};
  fs::create_directory(saved.root + "/audit");
  for (const std::string& name : mine) overwrite(saved.root + "/" + name, "mine");
  const std::vector<std::string> leftovers{
      ".tmp-0123456789abcdef", "router-000077.safetensors", "spans-000078.safetensors",
      "inspector-000080.json", "adapters/000079-task-9",    "adapters/.tmp-0123456789abcdef"};
  for (const std::string& name : leftovers) overwrite(saved.root + "/" + name, "left");
  learn_small_tasks(saved.learner, 3, 4);
  CHECK(save(saved.learner, saved.root).warnings.empty());
  for (const std::string& name : mine) {
    CAPTURE(name);
    CHECK(file_bytes(saved.root + "/" + name) == "mine");
  }
  for (const std::string& name : leftovers) CHECK_FALSE(fs::exists(saved.root + "/" + name));
  CHECK_FALSE(fs::exists(saved.root + "/manifest-000001.json"));
  CHECK(fs::exists(saved.root + "/manifest-000002.json"));
}
