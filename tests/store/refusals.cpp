// SPDX-License-Identifier: MIT
// What does not belong together: backbones, scalars, learners and folders.
#include <limits>
#include <string>

#include "anyssr/store.hpp"
#include "support/catch.hpp"
#include "support/checkpoint_folder.hpp"

using namespace anyssr;
using namespace anyssr::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* lose_advice = "; save to another folder, or set replace to lose it";

/// A saved learner of two tasks.
template <class S>
PointLearner<S> saved_learner(const std::string& root,
                              const LearnerOptions& options = small_learner_options()) {
  PointLearner<S> learner = small_learner<S>(options);
  learn_small_tasks(learner, 0, 2);
  save(learner, root);
  return learner;
}

/// Every number of a learner in double: what float numbers are must be the same there.
std::vector<double> numbers_of(const auto& learner) {
  std::vector<double> numbers;
  const auto add = [&](const auto& block) {
    for (Index j = 0; j < block.cols(); ++j) {
      for (Index i = 0; i < block.rows(); ++i) numbers.push_back(double(block(i, j)));
    }
  };
  const auto snapshot = learner.snapshot();
  for (const auto& handle : snapshot.handles()) {
    const auto adapter = handle->get();
    for (const auto& [site, module] : adapter->modules) {
      add(module.a());
      add(module.b());
    }
    for (const auto& [name, head] : adapter->heads) {
      add(head.weights);
      add(head.bias);
    }
  }
  add(learner.router().regression().second_moment());
  add(learner.router().regression().cross_correlation());
  return numbers;
}

}  // namespace

TEST_CASE("a backbone that is not the saved one is refused with both named", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const auto learner = saved_learner<float>(root);
  const std::string lift = "|lift-1:10:relu:3:0";
  CHECK(message_of<ArgumentError>([&] {
          (void)load<PointLearner<float>>(root, PointBackbone<float>(small_dim, "other points"));
        }) == root + ": was saved on the backbone 'points" + lift + "', expected 'other points" +
                  lift + "', which is at hand");
  CHECK(message_of<ShapeError>([&] {
          (void)load<PointLearner<float>>(root, PointBackbone<float>(small_dim + 1));
        }) == root + ": was saved on 18 features, expected 19 as of the backbone at hand");
}

TEST_CASE("an expansion of another seed is refused", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const auto options = options_of(SubspaceChoice::own, false, ExpansionKind::hadamard);
  const auto learner = saved_learner<float>(root, options);
  const auto adjust = [](LearnerOptions& changed) { changed.router.expansion.seed = 4; };
  const std::string message =
      message_of<FormatError>([&] { (void)load_points<float>(root, {.adjust = adjust}); });
  CHECK(message.starts_with(root + ": the expansion of the options has digest 0x"));
  CHECK(contains(message,
                 ", expected " + detail::word_text(learner.router().expansion().fingerprint())));
  EditedCheckpoint(root).edit([](Json& manifest) {
    manifest["expansion"]["probe"][3] = manifest["expansion"]["probe"][3].get<double>() + 0.01;
  });
  CHECK(contains(message_of<FormatError>([&] { (void)load_points<float>(root); }),
                 ": the expansion computes other numbers on this machine: they are off by "));
}

TEST_CASE("options of what is to come can be changed at load", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const auto learner = saved_learner<float>(root);
  auto loaded = load_points<float>(root, {.adjust = [](LearnerOptions& options) {
                                     options.adapter.lora.rank = 1;
                                     options.train.epochs = 1;
                                   }});
  learn_small_tasks(loaded, 2, 3);
  const auto adapter = loaded.snapshot().adapter("task-2");
  CHECK(adapter->modules.at("lift").rank() == 1);
  save(loaded, root);
  CHECK(load_points<float>(root).options().train.epochs == 1);
}

TEST_CASE("a state in double is rounded to float only where it is asked for", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const auto wide = saved_learner<double>(root);
  CHECK(message_of<ArgumentError>([&] { (void)load_points<float>(root); }) ==
        root +
            ": holds an f64 state, expected f32 for a learner in float: load it in double, or "
            "set narrow to round every number");
  LoadReport report;
  const auto narrow = load_points<float>(root, {.narrow = true}, &report);
  CHECK(report.warnings ==
        std::vector<std::string>{"the numbers of an f64 state were rounded to float, by at most "
                                 "6e-8 of each"});
  std::vector<double> rounded = numbers_of(wide);
  for (double& number : rounded) number = static_cast<float>(number);
  CHECK(numbers_of(narrow) == rounded);
  CHECK(narrow.tasks()[0].adapter_bytes * 2 == wide.tasks()[0].adapter_bytes);
  // saved as float it is float, also the adapters that were there in double
  CHECK(save(narrow, root).adapters_written == 2);
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(narrow)));
  CHECK(numbers_of(load_points<double>(root)) == rounded);
}

TEST_CASE("a state in float is the same numbers in double", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const auto narrow = saved_learner<float>(root);
  LoadReport report;
  const auto wide = load_points<double>(root, {}, &report);
  CHECK(report.warnings.empty());
  CHECK(numbers_of(wide) == numbers_of(narrow));
  CHECK(wide.tasks()[0].adapter_bytes == 2 * narrow.tasks()[0].adapter_bytes);
  save(wide, root);
  CHECK(numbers_of(load_points<double>(root)) == numbers_of(narrow));
}

TEST_CASE("a poisoned router is not saved and the saved state stays", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  LearnerOptions options = small_learner_options();
  options.router.rls.ridge = 1e-30;
  auto learner = saved_learner<float>(root, options);
  const auto before = all_files(root);
  PointTask<float> huge = small_task<float>(2, 4);
  for (auto& input : huge.inputs) input *= 1e9F;
  const Adapter<float> adapter = *learner.snapshot().handles().front()->get();
  REQUIRE_THROWS_AS(learner.adopt_task("huge", adapter, huge.inputs), NumericalError);
  REQUIRE(learner.is_poisoned());
  for (const bool replace : {false, true}) {
    CHECK(message_of<NumericalError>([&] { save(learner, root, {.replace = replace}); }) ==
          "the router is poisoned by an earlier failed factorisation: its state cannot be saved; "
          "the last saved one is whole");
  }
  CHECK(all_files(root) == before);
  CHECK(load_points<float>(root).tasks().size() == 2);
}

TEST_CASE("a save does not lose a later state or another learner's unless it is told to",
          "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  auto learner = saved_learner<float>(root);
  const auto earlier = learner;
  learn_small_tasks(learner, 2, 3);
  save(learner, root);
  const auto before = all_files(root);
  const auto refusal = [&](const PointLearner<float>& other) {
    const std::string message = message_of<ArgumentError>([&] { save(other, root); });
    CHECK(all_files(root) == before);
    return message;
  };
  CHECK(refusal(earlier) ==
        root + ": holds a later state (change 3) than the one to save (change 2)" + lose_advice);

  auto other_tasks = small_learner<float>();
  for (Index t = 5; t < 8; ++t) learn_small_tasks(other_tasks, t, t + 1);
  CHECK(refusal(other_tasks) ==
        root + ": holds task 'task-0', which the learner to save does not know" + lose_advice);

  auto other_expansion =
      small_learner<float>(options_of(SubspaceChoice::own, false, ExpansionKind::hadamard));
  learn_small_tasks(other_expansion, 0, 3);
  CHECK(
      contains(refusal(other_expansion),
               ": holds a learner on the backbone 'points|lift-1:10:relu:3:0' with expansion 0x"));

  LearnerOptions lift = small_learner_options();
  lift.lift.dim = 11;
  auto other_backbone = small_learner<float>(lift);
  learn_small_tasks(other_backbone, 0, 3);
  CHECK(contains(refusal(other_backbone), ", expected 'points|lift-1:11:relu:3:0' with 0x"));

  CHECK(save(learner, root).generation == 3);  // the same state again
  CHECK(save(other_backbone, root, {.replace = true}).generation == 4);
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(other_backbone)));
  CHECK(save(earlier, root, {.replace = true}).adapters_written == 2);
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(earlier)));
}

TEST_CASE("a save does not lose a learner of the same tasks unless it is told to",
          "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  auto learner = saved_learner<float>(root);
  const auto refusal = [&](const PointLearner<float>& other) {
    const auto before = all_files(root);
    const std::string message = message_of<ArgumentError>([&] { save(other, root); });
    CHECK(all_files(root) == before);
    return message;
  };
  LearnerOptions seed = small_learner_options();
  seed.seed = 1;
  auto other_adapters = small_learner<float>(seed);
  learn_small_tasks(other_adapters, 0, 3);
  CHECK(refusal(other_adapters) ==
        root +
            ": holds another learner's state: the one to save has 2 other adapters and 1 more "
            "tasks, which 1 changes cannot have led to" +
            lose_advice);

  auto other_order = small_learner<float>();
  for (const Index t : {1, 0}) learn_small_tasks(other_order, t, t + 1);
  CHECK(refusal(other_order) ==
        root + ": holds task 'task-0' in column 0, expected 3 as in the learner to save" +
            lose_advice);

  auto other_rows = small_learner<float>();
  learn_small_tasks(other_rows, 0, 1);
  other_rows.adopt_task("task-1", *learner.snapshot().adapter("task-1"),
                        point_task<float>(1, 24, small_dim, 5, 9).inputs);
  CHECK(refusal(other_rows) ==
        root +
            ": holds another learner's state: after 2 changes its sums are not those of the one "
            "to save" +
            lose_advice);
  CHECK(save(other_rows, root, {.replace = true}).generation == 2);
}

TEST_CASE("what no load would take is not saved", "[store][error]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const auto learner = saved_learner<float>(root);
  const auto before = all_files(root);
  auto changed = learner;
  Adapter<float> adapter = *learner.snapshot().adapter("task-0");
  adapter.heads.begin()->second.temperature = -1;
  changed.adopt_task("cold", adapter, small_task<float>(2).inputs);
  const std::string message = message_of<ArgumentError>([&] { save(changed, root); });
  CHECK(message.starts_with(
      "the adapter of task \"cold\" cannot be saved, since no load would take it: "));
  CHECK(message.ends_with(": temperature is -1.0, expected a number above 0"));
  CHECK(all_files(root) == before);

  // options that no manifest can hold are refused where they come in
  const std::string endless = message_of<Error>([&] {
    (void)load_points<float>(root, {.adjust = [](LearnerOptions& options) {
                               options.train.rate = std::numeric_limits<double>::infinity();
                             }});
  });
  CHECK(endless == root + ": generation 1: rate is inf, expected a finite number above 0");
  CHECK(all_files(root) == before);
}

TEST_CASE("a path is taken as the system takes it", "[store]") {
  const TemporaryFolder folder;
  fs::create_directories(folder.file("a/b"));
  fs::create_directory_symlink(folder.file("a/b"), folder.file("link"));
  PointLearner<float> learner = small_learner<float>();
  learn_small_tasks(learner, 0, 1);
  const std::string root = folder.file("link/../state/");  // in a, not beside link
  CHECK(CheckpointWriter(root).save(learner).generation == 1);
  CHECK(fs::exists(folder.file("a/state/CURRENT")));
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
  CHECK(save(learner, folder.file("a/state")).generation == 2);
}

TEST_CASE("adapters that are equal share a folder and a replaced one goes", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  auto learner = saved_learner<float>(root);
  const Adapter<float> first = *learner.snapshot().adapter("task-0");
  learner.replace_adapter("task-1", first);
  CHECK(save(learner, root).adapters_written == 0);
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
  CHECK(fs::exists(root + "/adapters/000002-task-1"));  // of the generation before
  CHECK(save(learner, root).adapters_written == 0);
  CHECK_FALSE(fs::exists(root + "/adapters/000002-task-1"));
  CHECK((Learned<float>(load_points<float>(root)) == Learned<float>(learner)));
}

TEST_CASE("a learner without tasks can be saved", "[store]") {
  const TemporaryFolder folder;
  const std::string root = folder.file("state");
  const PointLearner<float> empty = small_learner<float>();
  save(empty, root);
  auto loaded = load_points<float>(root);
  CHECK(loaded.tasks().empty());
  learn_small_tasks(loaded, 0, 1);
  CHECK(save(loaded, root).generation == 2);
}
