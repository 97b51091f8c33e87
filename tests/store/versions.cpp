// SPDX-License-Identifier: MIT
// Checkpoints of other versions: what is read, and what is not written over.
#include <algorithm>
#include <span>
#include <string>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

const std::string golden_checkpoint = ANYSSR_SOURCE_DIR "/tests/golden/checkpoint-1.0";

/// As the version that wrote it saw it.
void check_golden(const std::string& root) {
  LoadReport report;
  const auto learner = load_points<double>(root, {.threads = 1}, &report);
  CHECK(report.created == "2026-11-25T00:39:32Z");
  CHECK(report.library == "0.1.0");
  CHECK(report.generation == 1);
  CHECK(report.damage.empty());
  CHECK(report.warnings.empty());
  CHECK(learner.snapshot().changes() == 2);
  const auto& sums = learner.router().regression();
  const Matrix<double> moment = sums.second_moment();
  CHECK(moment.rows() == 18);
  CHECK(moment(0, 0) == 342.18489909105625);
  CHECK(moment(3, 1) == -52.035029817618053);
  CHECK(moment(1, 3) == -52.035029817618053);
  CHECK(sums.cross_correlation()(0, 0) == -9.625872191041708);
  CHECK(sums.cross_correlation()(17, 5) == 1.3277664400171467);
  CHECK(sums.cross_correlation().cols() == 6);
  CHECK(sums.target_energy() == (Eigen::VectorXd(6) << 24, 12, 12, 24, 12, 12).finished());
  CHECK(sums.rows() == 48);
  CHECK(learner.router().table()->temperature() == 2.339454403653058);
  const auto tasks = learner.tasks();
  REQUIRE(tasks.size() == 2);
  for (std::size_t t = 0; t < 2; ++t) {
    CHECK(tasks[t].name == "task-" + std::to_string(t));
    CHECK(tasks[t].rows == 24);
    CHECK(tasks[t].labels == 2);
    CHECK(tasks[t].adapter_parameters == 136);
    CHECK(tasks[t].adapter_bytes == 1088);
    CHECK(tasks[t].metadata.at("number") == std::to_string(t));
  }
  CHECK(learner.router().tasks()[1].column == 3);
  CHECK(learner.router().tasks()[1].label_columns == std::vector<Index>{4, 5});
  CHECK(learner.subspaces().spans().at("lift")(0, 0) == 0.061199373058790411);
  CHECK(learner.options().seed == 0xFEDCBA9876543210U);
  CHECK(learner.options().subspace == SubspaceChoice::complement);
  CHECK(learner.options().train.batch == 16);
  CHECK(learner.options().router.rls.ridge == 0.3);
  std::string decisions;  // of 20 queries a task: its number and the label
  for (const Index decision : decisions_of(learner, 2)) decisions += std::to_string(decision);
  CHECK(decisions ==
        "00010001000100010001000100010100000100011011101110111011101110111011101110111011");
  const auto outputs = learner.predict_as("task-1", small_task<double>(1).inputs);
  CHECK(outputs[0](0) == Approx(-0.25967037231638246).epsilon(1e-12));  // exp and log of libm
  CHECK(outputs[23](0) == Approx(-2.7586785723912421).epsilon(1e-12));
}

/// Makes a checkpoint of this version what version 1.0 would have written of it.
void make_older(const std::string& root) {
  const EditedCheckpoint checkpoint(root);
  const std::string router = checkpoint.manifest().at("router");
  const SafetensorsReader reader(checkpoint.path(router));
  SafetensorsWriter writer;
  for (const TensorInfo& tensor : reader.tensors()) {
    const auto& added = detail::calibration_tensors;
    const bool is_new = std::find(added.begin(), added.end(), tensor.name) != added.end();
    if (!is_new) {
      writer.add_bytes(tensor.name, tensor.dtype, tensor.shape, reader.bytes(tensor.name));
    }
  }
  std::string bytes;
  writer.stream([&](std::span<const std::byte> part) {
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  checkpoint.replace(router, bytes);
  checkpoint.edit([](Json& manifest) {
    for (const char* key : {"policy", "usage", "removed_rows", "inspector", "audit_head"}) {
      manifest.erase(key);
    }
    manifest["options"].erase("inspector");
    manifest["options"]["router"].erase("novelty");
    manifest["must_understand"] = Json::array();
    manifest["version"] = {1, 0};
  });
}

void set_version(const std::string& root, int major, int minor) {
  EditedCheckpoint(root).edit([&](Json& manifest) {
    manifest["version"] = {major, minor};
    manifest["library"] = "9.9.9";
    manifest["more"] = {{"than", "we know"}};
  });
}

}  // namespace

TEST_CASE("a checkpoint of version 1.0 loads with the numbers that it was saved with",
          "[store][golden]") {
  const auto files = all_files(golden_checkpoint);
  check_golden(golden_checkpoint);
  CHECK(all_files(golden_checkpoint) == files);
  const TemporaryFolder folder;
  const std::string copy = folder.file("copy");
  copy_folder(golden_checkpoint, copy);
  fs::permissions(copy, fs::perms::owner_read | fs::perms::owner_exec);
  check_golden(copy);
  fs::permissions(copy, fs::perms::owner_all);
  CHECK(all_files(copy) == files);
  for (const FileReport& report : verify_checkpoint(copy)) CHECK(report.damage.empty());
}

TEST_CASE("learning and saving go on from a checkpoint of version 1.0", "[store][golden]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  copy_folder(golden_checkpoint, root);
  auto learner = load_points<double>(root, {.threads = 1});
  learn_small_tasks(learner, 2, 3);
  CHECK(save(learner, root).adapters_written == 1);
  CHECK((Learned<double>(load_points<double>(root, {.threads = 1})) == Learned<double>(learner)));
  CHECK(fs::exists(root + "/README.md"));
}

TEST_CASE("a higher minor version loads and is not saved over", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, root);
  set_version(root, 1, 7);
  LoadReport report;
  const auto loaded = load_points<float>(root, {}, &report);
  CHECK((Learned<float>(loaded) == Learned<float>(learner)));
  CHECK(report.library == "9.9.9");
  const auto before = all_files(root);
  CHECK(message_of<ArgumentError>([&] { save(loaded, root); }) ==
        root +
            ": was written by anyssr 9.9.9, which keeps what this version does not know; save "
            "to another folder, or set replace to lose it");
  CHECK_THROWS_AS(save(loaded, root, {.recover = true}), ArgumentError);
  CHECK(all_files(root) == before);
  save(loaded, folder.file("other"));
  CHECK((Learned<float>(load_points<float>(folder.file("other"))) == Learned<float>(learner)));
  CHECK(save(loaded, root, {.replace = true}).adapters_written == 0);
  CHECK(EditedCheckpoint(root).manifest().at("version") == Json({1, 0}));
  CHECK(save(loaded, root).generation == 3);
}

TEST_CASE("a higher major version is neither loaded nor taken for damage", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, root);
  learn_small_tasks(learner, 1, 2);
  save(learner, root);
  set_version(root, 2, 0);
  const std::string refusal = root +
                              "/manifest-000002.json: has version 2.0, written by anyssr "
                              "9.9.9, expected 1.x: this is anyssr " ANYSSR_VERSION_STRING;
  CHECK(message_of<FormatError>([&] { (void)load_points<float>(root); }) ==
        refusal + "; generation 1 is whole: recover = true takes it");
  const auto before = all_files(root);
  for (const bool recover : {false, true}) {
    CHECK(message_of<FormatError>([&] { save(learner, root, {.recover = recover}); }) ==
          refusal + "; set replace to lose that state");
  }
  CHECK(all_files(root) == before);
  CHECK(save(learner, root, {.replace = true}).generation == 3);
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
}

TEST_CASE("no generation is numbered beyond what a manifest can say", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  save(learner, root);
  overwrite(root + "/manifest-9007199254740991.json", "{}");  // 2^53 - 1
  CHECK(message_of<FormatError>([&] { save(learner, root); }) ==
        root +
            "/manifest-9007199254740991.json: leaves no number for the next generation, "
            "expected below 9007199254740991");
  fs::remove(root + "/manifest-9007199254740991.json");
  overwrite(root + "/manifest-1000000.json", "{}");
  CHECK(save(learner, root).generation == 1000001);
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
}

TEST_CASE("a checkpoint without what came after version 1.0 loads with the defaults of that",
          "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  PointLearner<double> learner = small_learner<double>(busy_learner_options());
  learn_small_tasks(learner, 0, 3);
  learner.set_policy(busy_policy("task-2"));
  (void)learner.predict(small_task<double>(0).inputs);
  save(learner, root, {.audit_head = "sha256:" + std::string(64, '0')});
  make_older(root);
  LoadReport report;
  PointLearner<double> loaded = load_points<double>(root, {.threads = 1}, &report);
  const Learned<double> found(loaded);
  const Learned<double> saved(learner);
  CHECK(report.audit_head.empty());
  CHECK(found.same_sums(saved));
  CHECK(found.adapters == saved.adapters);
  CHECK(found.temperature == saved.temperature);  // though no task says what it is made of
  CHECK(found.suggested == saved.suggested);
  CHECK(loaded.policy().name == "default");
  CHECK(loaded.usage().empty());
  CHECK_FALSE(loaded.inspector().has_value());
  CHECK(loaded.options().router.novelty.mode == NoveltyOptions().mode);
  for (const RoutedTask& task : loaded.router().tasks()) {
    CHECK(task.active);
    CHECK_FALSE(task.frozen);
    CHECK(task.calibration.rows == 0);
  }
  learn_small_tasks(loaded, 3, 4);
  save(loaded, root);
  CHECK((Learned<double>(load_points<double>(root, {.threads = 1})) == Learned<double>(loaded)));
}
