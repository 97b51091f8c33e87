// SPDX-License-Identifier: MIT
#include <string>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_backbone.hpp"
#include "anyssr/learner/continual_learner.hpp"
#include "support/catch.hpp"
#include "support/tiny_llama.hpp"

using namespace anyssr;
using namespace anyssr::test;

static_assert(
    std::is_same_v<ContinualLearner<LlamaBackbone<float>>::Adaptable, LlamaBackbone<float>>);

namespace {

using TinyLearner = ContinualLearner<TinyBackbone>;

/// Queries of tokens from `low` on, all with one answer.
struct TinyTask {
  TinyTask(std::string task, TokenId low, Tokens answer, std::size_t count = 24)
      : name(std::move(task)), answers(count, answer) {
    RandomStream random(static_cast<std::uint64_t>(low));
    for (std::size_t i = 0; i < count; ++i) {
      Tokens ids{1};
      const std::size_t length = 2 + random.below(9);
      while (ids.size() < length) ids.push_back(low + static_cast<TokenId>(random.below(10)));
      queries.push_back(ids);
    }
  }
  [[nodiscard]] std::uint64_t tokens() const {
    std::uint64_t sum = 0;
    for (const Tokens& query : queries) sum += query.size();
    return sum;
  }
  std::string name;
  std::vector<Tokens> queries;
  std::vector<Tokens> answers;
};

const TinyTask tiny_first{"first", 10, {40, 41}};
const TinyTask tiny_second{"second", 25, {42, 43, 44}};

/// A model that tells the tokens of the two tasks apart: the router's part here is not to be lucky.
TinyBackbone task_backbone(const LlamaConfig& config = tiny_llama_config()) {
  auto weights = tiny_llama_weights<float>(config, 51);
  RowMajorMatrix<double> embedding = weights.embedding.dense<double>();
  embedding.middleRows(10, 10).array() -= 1.5;
  embedding.middleRows(25, 10).array() += 1.5;
  weights.embedding = WeightMatrix::of<double>(embedding, Dtype::F32);
  if (config.tied_output) weights.output = weights.embedding;
  // so that branches with a norm count beside large embeddings, as those of trained models do
  for (auto& layer : weights.layers) layer.mlp_branch_norm *= 8.F;
  return TinyBackbone(LlamaModel<float>(config, std::move(weights), 1),
                      {.shallow_layers = 1, .threads = 1});
}

TinyLearner empty_learner(const LlamaConfig& config = tiny_llama_config()) {
  LearnerOptions options;
  options.adapter = {.lora = {.rank = 4, .alpha = 8}, .sites = {"q_proj", "v_proj", "down_proj"}};
  options.train = {.epochs = 25, .batch = 8, .rate = 0.1};
  return TinyLearner(task_backbone(config), options);
}

const TinyLearner& taught_learner() {
  static const TinyLearner learner = [] {
    TinyLearner made = empty_learner();
    made.learn_task(tiny_first.name, tiny_first.queries, tiny_first.answers);
    made.learn_task(tiny_second.name, tiny_second.queries, tiny_second.answers);
    return made;
  }();
  return learner;
}

}  // namespace

TEST_CASE("modules below the trunk's end cost a pass and leave the features",
          "[learner][property]") {
  const LlamaConfig config = rich_llama_config();
  const TinyBackbone backbone = tiny_backbone(config, 2);
  const auto shallow = random_llama_adapter<float>(config, 0, {"q_proj", "o_proj"}, 11);
  TinyLearner learner(backbone);
  const std::vector<Tokens> queries = some_queries(config, 5);
  learner.adopt_task("elsewhere", shallow, queries);
  const RowMajorMatrix<float> features = learner.backbone().features(queries);
  const std::uint64_t before = learner.backbone().trunk_tokens();
  const auto predictions = learner.predict(queries, {.max_tokens = 5});
  std::uint64_t tokens = 0;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    tokens += queries[i].size();
    CHECK(predictions[i].output ==
          PlainLlama(backbone.model(), AdapterMix<float>(shallow)).greedy(queries[i], 5));
  }
  CHECK(learner.backbone().trunk_tokens() - before == 2 * tokens);
  CHECK(learner.backbone().features(queries) == features);
  CHECK(features == backbone.features(queries));
}

TEST_CASE("a learner over a language model learns tasks and routes and answers",
          "[learner][property]") {
  const TinyLearner& learner = taught_learner();
  int right = 0;
  for (const TinyTask* task : {&tiny_first, &tiny_second}) {
    const std::uint64_t before = learner.backbone().trunk_tokens();
    const auto predictions = learner.predict(task->queries, {.max_tokens = 8});
    CHECK(learner.backbone().trunk_tokens() - before == task->tokens());  // each token once
    const auto alone = learner.predict_as(task->name, task->queries, {.max_tokens = 8});
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      CHECK(predictions[i].task == task->name);
      CHECK(predictions[i].output == alone[i]);
      const bool is_right = learner.backbone().is_correct(predictions[i].output, task->answers[i]);
      right += is_right ? 1 : 0;
    }
  }
  CHECK(right >= 46);
}

TEST_CASE("a learner over a model of any family learns tasks and routes and answers",
          "[learner][property]") {
  for (const LlamaConfig& config :
       {tiny_qwen3_config(), tiny_smollm3_config(), tiny_gemma3_config()}) {
    CAPTURE(config.model_type);
    TinyLearner learner = empty_learner(config);
    learner.learn_task(tiny_first.name, tiny_first.queries, tiny_first.answers);
    learner.learn_task(tiny_second.name, tiny_second.queries, tiny_second.answers);
    int right = 0;
    for (const TinyTask* task : {&tiny_first, &tiny_second}) {
      const auto predictions = learner.predict(task->queries, {.max_tokens = 8});
      for (std::size_t i = 0; i < predictions.size(); ++i) {
        const bool is_right =
            predictions[i].task == task->name &&
            learner.backbone().is_correct(predictions[i].output, task->answers[i]);
        right += is_right ? 1 : 0;
      }
    }
    CHECK(right >= 46);
  }
}

TEST_CASE("learning computes the trunk once and later tasks change nothing of earlier ones",
          "[learner][property]") {
  TinyLearner learner = empty_learner();
  const auto report = learner.learn_task(tiny_first.name, tiny_first.queries, tiny_first.answers);
  CHECK(learner.backbone().trunk_tokens() == tiny_first.tokens() + 24 * 2);
  CHECK(report.training.losses.back() < 0.5 * report.training.losses.front());
  CHECK(report.training.per_second > 0);
  CHECK(report.subspaces.size() == 6);
  const auto digest = learner.snapshot().adapter("first")->digest();
  const auto outputs = learner.predict_as("first", tiny_first.queries);
  const void* const weights =
      learner.backbone().model().weight(1, LlamaProjection::q).data().data();
  learner.learn_task(tiny_second.name, tiny_second.queries, tiny_second.answers);
  CHECK(learner.snapshot().adapter("first")->digest() == digest);
  CHECK(learner.predict_as("first", tiny_first.queries) == outputs);
  (void)learner.predict(tiny_second.queries);  // switching adapters copies no weights
  CHECK(learner.backbone().model().weight(1, LlamaProjection::q).data().data() == weights);
  const TinyBackbone copy = learner.backbone();
  CHECK(&copy.model() == &learner.backbone().model());
  CHECK(copy.trunk_tokens() == 0);
}

TEST_CASE("adopted adapters answer as where they were trained", "[learner][property]") {
  const TinyLearner& trained = taught_learner();
  TinyLearner adopted = empty_learner();
  for (const TinyTask* task : {&tiny_first, &tiny_second}) {
    adopted.adopt_task(task->name, *trained.snapshot().adapter(task->name), task->queries);
  }
  for (const TinyTask* task : {&tiny_first, &tiny_second}) {
    const auto predictions = adopted.predict(task->queries, {.max_tokens = 8});
    const auto expected = trained.predict_as(task->name, task->queries, {.max_tokens = 8});
    for (std::size_t i = 0; i < predictions.size(); ++i) {
      CHECK(predictions[i].task == task->name);
      CHECK(predictions[i].output == expected[i]);
    }
  }
}

TEST_CASE("training stops where validation brings nothing better", "[learner][property]") {
  const TinyBackbone backbone = task_backbone();
  const auto trunk = backbone.training_trunk(tiny_first.queries, tiny_first.answers);
  auto adapter = backbone.make_adapter(tiny_first.answers, empty_learner().options().adapter, 1);
  const TrainReport report = train_adapter(
      backbone, trunk, std::span<const Tokens>(tiny_first.answers), adapter,
      {.epochs = 90, .batch = 6, .rate = 0.1, .validation_share = 0.25, .patience = 9});
  REQUIRE(report.best_score);
  CHECK(*report.best_score == 1);
  CHECK(report.epochs_run == report.best_epoch + 10);
  CHECK(report.epochs_run < 90);
  CHECK(report.per_second > 0);
}

TEST_CASE("a cancelled lesson leaves the learner as it was", "[learner][error]") {
  TinyLearner learner = taught_learner();
  const auto before = learner.predict(tiny_first.queries, {.max_tokens = 4});
  const TinyTask third{"third", 4, {45}};
  int calls = 0;
  TaskOptions options;
  options.progress = [&](const Progress& progress) {
    return progress.stage != "train" || ++calls < 5;
  };
  CHECK_THROWS_AS(learner.learn_task(third.name, third.queries, third.answers, options), Cancelled);
  CHECK(calls == 5);
  CHECK(learner.tasks().size() == 2);
  const auto after = learner.predict(tiny_first.queries, {.max_tokens = 4});
  for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i].output == before[i].output);
}

TEST_CASE("queries and answers that a model cannot read are refused by number",
          "[learner][error]") {
  TinyLearner learner = taught_learner();
  const LlamaConfig config = tiny_llama_config();
  const std::uint64_t before = learner.backbone().trunk_tokens();
  const auto refusal = [&](const Tokens& query) {
    return message_of<ArgumentError>([&] {
      (void)learner.predict(std::vector<Tokens>{{1, 5}, query});
    });
  };
  CHECK(refusal({}) == "query 1 is empty, expected at least one token");
  CHECK(refusal(random_tokens(config, 49, 1)) ==
        "query 1 has 49 tokens, expected at most max_positions, 48");
  CHECK(refusal({1, 50}) == "query 1 has id 50 at place 1, expected 0..49");
  CHECK(refusal({1, 2, -1}) == "query 1 has id -1 at place 2, expected 0..49");
  const auto lesson = [&](const Tokens& query, const Tokens& answer) {
    return message_of<ArgumentError>([&] {
      learner.learn_task("third", std::vector<Tokens>{{1, 5}, query},
                         std::vector<Tokens>{{6}, answer});
    });
  };
  CHECK(lesson({1}, {}) == "answer 1 is empty, expected at least one token");
  CHECK(lesson({1}, {7, 99}) == "answer 1 has id 99 at place 1, expected 0..49");
  CHECK(lesson(random_tokens(config, 45, 1), {5, 6, 7, 8}) ==
        "query and answer 1 have 49 tokens, expected at most max_positions, 48");
  CHECK(lesson({}, {5}) == "query 1 is empty, expected at least one token");
  CHECK(learner.backbone().trunk_tokens() == before);
  CHECK(learner.tasks().size() == 2);
  const TinyBackbone& backbone = learner.backbone();
  CHECK(message_of<ShapeError>([&] {
          (void)backbone.forward(backbone.trunk(std::vector<Tokens>{{1}}), TinyMixes(2));
        }) == "mixes have 2 entries, expected 1, one a row");
}

TEST_CASE("an adapter of another model is refused and the learner stays", "[learner][error]") {
  TinyLearner learner = taught_learner();
  const auto refusal = [&]<class E>(const std::string& site, Index in, Index out, const E*) {
    Adapter<float> adapter;
    adapter.modules.emplace(site, LoraModule<float>(in, out));
    return message_of<E>([&] { learner.adopt_task("third", adapter, tiny_first.queries); });
  };
  const std::string q = "model.layers.1.self_attn.q_proj";
  CHECK(refusal(q, 12, 12, static_cast<ShapeError*>(nullptr)) ==
        "the module of site '" + q + "' maps 12 to 12, expected 12 to 24");
  CHECK(refusal("model.layers.3.self_attn.q_proj", 12, 24, static_cast<ArgumentError*>(nullptr)) ==
        "the adapter has a module for site 'model.layers.3.self_attn.q_proj', which the backbone "
        "does not have");
  CHECK(learner.tasks().size() == 2);
  CHECK(learner.predict(tiny_second.queries).front().task == "second");
}
