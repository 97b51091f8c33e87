// SPDX-License-Identifier: MIT
#include "support/toy_language_model.hpp"

#include "anyssr/io/peft_adapter.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "anyssr/lora/adapter_algebra.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

static_assert(AdaptableBackbone<ToyLanguageModel<float>> && !HasLabels<ToyLanguageModel<float>>);
static_assert(std::is_same_v<ContinualLearner<ToyLanguageModel<double>>::Adaptable,
                             ToyLanguageModel<double>>);

namespace {

struct Prompts {
  std::vector<std::vector<int>> inputs;
  std::vector<std::array<int, 2>> targets;
};

/// Prompts of 2 to 6 tokens from a range of the vocabulary; the answer depends on the first token.
Prompts make_prompts(int low, int high, int answer, std::uint64_t seed) {
  RandomStream random(seed);
  Prompts prompts;
  for (int i = 0; i < 40; ++i) {
    std::vector<int> tokens;
    const auto length = 2 + random.below(5);
    const int key = low + i % 2;
    for (std::uint32_t j = 0; j < length; ++j) {
      tokens.push_back(j % 2 == 0 ? key
                                  : low + 2 +
                                        static_cast<int>(random.below(
                                            static_cast<std::uint32_t>(high - low - 2))));
    }
    prompts.inputs.push_back(tokens);
    prompts.targets.push_back({answer + i % 2, answer + 2});
  }
  return prompts;
}

}  // namespace

TEMPLATE_TEST_CASE("a language model passes through the learner unchanged", "[learner]", float,
                   double) {
  using S = TestType;
  LearnerOptions options;
  options.adapter.lora = {.rank = 6, .alpha = 6};
  options.train = {.epochs = 60, .batch = 8, .rate = 3e-2};
  options.subspace_fit.rank = 12;
  ContinualLearner<ToyLanguageModel<S>> learner(ToyLanguageModel<S>(30, 16, 3), options);
  const Prompts first = make_prompts(0, 8, 20, 1);
  const Prompts second = make_prompts(9, 17, 24, 2);
  learner.learn_task("first", first.inputs, first.targets);
  const std::uint64_t digest = learner.snapshot().handles().front()->get()->digest();
  learner.learn_task("second", second.inputs, second.targets);
  CHECK(learner.snapshot().handles().front()->get()->digest() == digest);

  std::vector<std::vector<int>> mixed;  // two adapters in one batch, rows of unequal length
  for (std::size_t i = 0; i < 20; ++i) {
    mixed.push_back(first.inputs[i]);
    mixed.push_back(second.inputs[i]);
  }
  const auto predictions = learner.predict(mixed);
  int right = 0;
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    const bool is_first = i % 2 == 0;
    const auto& target = is_first ? first.targets[i / 2] : second.targets[i / 2];
    CHECK(predictions[i].task == (is_first ? "first" : "second"));
    right += learner.backbone().is_correct(predictions[i].output, target) ? 1 : 0;
    const auto alone = learner.predict_as(predictions[i].task, std::span(&mixed[i], 1)).front();
    CHECK(alone == predictions[i].output);
  }
  CHECK(right >= 36);
  CHECK(learner.predict(mixed, {.length = 3}).front().output.size() == 3);
  const std::vector<std::vector<int>> empty{{}};
  CHECK(contains(message_of<ArgumentError>([&] { (void)learner.predict(empty); }),
                 "prompt 0 is empty"));
  CHECK(learner.tasks().front().labels == 0);
}

TEST_CASE("gradients of the toy language model agree with finite differences",
          "[learner][property]") {
  const ToyLanguageModel<double> model(30, 8, 3);
  const Prompts prompts = make_prompts(0, 8, 20, 1);
  const auto trunk = model.trunk(prompts.inputs);
  auto adapter = model.make_adapter(prompts.targets, {.lora = {.rank = 2, .alpha = 2}}, 4);
  auto& module = adapter.modules.at("mix");
  module.mutable_b() = 0.2 * random_normal<double>(8, 2, 5);
  auto gradient = zero_like(adapter);
  auto ignored = gradient;
  (void)model.loss_and_gradient(trunk, prompts.targets, adapter, gradient);
  for (Index i = 0; i < 2; ++i) {
    for (Index j = 0; j < 8; ++j) {
      const double step = 1e-6;
      const double kept = module.a()(i, j);
      module.mutable_a()(i, j) = kept + step;
      const double up = model.loss_and_gradient(trunk, prompts.targets, adapter, ignored);
      module.mutable_a()(i, j) = kept - step;
      const double down = model.loss_and_gradient(trunk, prompts.targets, adapter, ignored);
      module.mutable_a()(i, j) = kept;
      CHECK(std::abs((up - down) / (2 * step) - gradient.modules.at("mix").a(i, j)) < 1e-7);
    }
  }
}

TEST_CASE("adapters from PEFT folders are adopted and answer as where they were trained",
          "[learner]") {
  using Learner = ContinualLearner<ToyLanguageModel<float>>;
  const TemporaryFolder folder;
  LearnerOptions options;
  options.adapter.lora = {.rank = 6, .alpha = 9, .rank_stabilised = true};
  options.train = {.epochs = 60, .batch = 8, .rate = 3e-2};
  const std::vector<std::pair<std::string, Prompts>> tasks{{"first", make_prompts(0, 8, 20, 1)},
                                                           {"second", make_prompts(9, 17, 24, 2)}};
  Learner trained(ToyLanguageModel<float>(30, 16, 3), options);
  for (const auto& [name, prompts] : tasks) {
    trained.learn_task(name, prompts.inputs, prompts.targets);
    write_peft_adapter(folder.file(name), *trained.snapshot().adapter(name));
  }
  Learner adopted(ToyLanguageModel<float>(30, 16, 3));
  for (const auto& [name, prompts] : tasks) {
    const PeftAdapter<float> read =
        read_peft_adapter<float>(folder.file(name), {.sites = adopted.backbone().sites()});
    CHECK(read.report.warnings.empty());
    CHECK(merge_adapters(AdapterMix<float>(read.adapter)) == read.adapter);
    adopted.adopt_task(name, read.adapter, std::span(prompts.inputs).first(6));
  }
  for (const auto& [name, prompts] : tasks) {
    const auto expected = trained.predict(prompts.inputs);
    const auto found = adopted.predict(prompts.inputs);
    for (std::size_t i = 0; i < found.size(); ++i) {
      CHECK(found[i].task == name);
      CHECK(found[i].output == expected[i].output);
    }
  }
  Adapter<float> elsewhere;
  elsewhere.modules.emplace("mixer", LoraModule<float>(16, 16));
  write_peft_adapter(folder.file("elsewhere"), elsewhere);
  CHECK(contains(message_of<FormatError>([&] {
                   (void)read_peft_adapter<float>(folder.file("elsewhere"),
                                                  {.sites = adopted.backbone().sites()});
                 }),
                 "mix"));
}
