// SPDX-License-Identifier: MIT

/// @file
/// What adapters cost a language model of 110 million parameters: routing a prompt, answering 16
/// prompts under no adapter, under one and under 16, and a step of training against the forward
/// pass over the layers that it goes through.

#include <numeric>
#include <string>
#include <vector>

#include "anyssr/backbone/llama/llama_backbone.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "anyssr/train/adamw.hpp"
#include "llama_bench/model.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using namespace bench;

constexpr std::size_t batch_size = 16;
constexpr Index batch_prompt = 64;

const LlamaBackbone<float>& backbone() {
  static const LlamaBackbone<float> made(model(Dtype::F32));  // 4 layers below the adapters
  return made;
}

std::vector<std::vector<TokenId>> prompts(Index size) {
  std::vector<std::vector<TokenId>> made;
  for (std::size_t i = 0; i < batch_size; ++i) made.push_back(tokens(size, 10 + i));
  return made;
}

/// Rank 8 on q and v of the deep layers, with both factors random.
Adapter<float> adapter(std::uint64_t seed) {
  const std::vector<std::vector<TokenId>> answers{{1}};
  Adapter<float> made = backbone().make_adapter(answers, {.lora = {.rank = 8, .alpha = 16}}, seed);
  for (auto& [site, module] : made.modules) {
    RandomStream random(seed, 1);
    for (Index i = 0; i < module.mutable_b().size(); ++i) {
      module.mutable_b().data()[i] = 0.01F * random.normal();
    }
  }
  return made;
}

const std::vector<Adapter<float>>& adapters() {
  static const std::vector<Adapter<float>> made = [] {
    std::vector<Adapter<float>> all;
    for (std::size_t i = 0; i < batch_size; ++i) all.push_back(adapter(i));
    return all;
  }();
  return made;
}

/// Features of a prompt from its hidden states, and the decision among 16 tasks.
void route(benchmark::State& state) {
  static const AnalyticRouter<float> router = [] {
    AnalyticRouter<float> made(shape().hidden_size);
    for (std::size_t task = 0; task < batch_size; ++task) {
      RowMajorMatrix<float> rows =
          normal_rows<float, Eigen::RowMajor>(32, shape().hidden_size, task);
      rows.col(static_cast<Index>(task)).array() += 4;
      made.learn("task " + std::to_string(task), rows);
    }
    return made;
  }();
  const auto& hidden = normal_rows<float, Eigen::RowMajor>(prompt_size, shape().hidden_size);
  RoutingWorkspace<float> workspace;
  RoutingDecision decision;
  RowMajorMatrix<float> features(1, shape().hidden_size);
  for (auto _ : state) {
    features = hidden.colwise().mean();
    router.decide(features.row(0), workspace, decision);
    benchmark::DoNotOptimize(decision.task);
  }
}

/// One token each for 16 prompts: the whole forward pass, the shallow layers too.
/// @param count  adapters among the prompts
void answer(benchmark::State& state, std::size_t count) {
  const auto queries = prompts(batch_prompt);
  std::vector<AdapterMix<float>> mixes(batch_size);
  for (std::size_t i = 0; i < batch_size && count > 0; ++i) {
    mixes[i] = AdapterMix<float>(adapters()[i % count]);
  }
  const LlamaBackbone<float>& made = backbone();
  for (auto _ : state) {
    const auto outputs = made.forward(made.trunk(queries), mixes, {.max_tokens = 1});
    benchmark::DoNotOptimize(outputs.data());
  }
  set_rows(state, static_cast<Index>(batch_size) * batch_prompt);
}

/// Prompts of 56 tokens and answers of 8.
struct Lesson {
  std::vector<std::vector<TokenId>> queries = prompts(batch_prompt - 8);
  std::vector<std::vector<TokenId>> answers = prompts(8);
  LlamaTrunk<float> trunk = backbone().training_trunk(queries, answers);
};

void train_step(benchmark::State& state) {
  const Lesson lesson;
  Adapter<float> trained = adapter(1);
  AdapterGradient<float> gradient = zero_like(trained);
  AdamW<float> optimiser;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        backbone().loss_and_gradient(lesson.trunk, lesson.answers, trained, gradient));
    optimiser.step(trained, gradient, 1e-4);
  }
  set_rows(state, lesson.trunk.tokens());
}

/// The same layers under the same adapter, and the logits of the answers.
void forward_deep(benchmark::State& state) {
  const Lesson lesson;
  const LlamaModel<float>& m = backbone().model();
  const Adapter<float> used = adapter(1);
  detail::LlamaBatch<float> batch;
  std::vector<Index> asked;
  for (const LlamaSequence& sequence : lesson.trunk.sequences) {
    for (Index i = sequence.query - 1; i < sequence.size(); ++i) asked.push_back(batch.rows() + i);
    batch.add(sequence.size());
  }
  batch.plan = detail::AdapterPlan<float>(shape(), {{AdapterMix<float>(used), 0, batch.rows()}});
  detail::LlamaRotary<float> table = m.rotary();
  table.grow(batch.positions());
  detail::LlamaActivations<float> activations;
  RowMajorMatrix<float> x;
  for (auto _ : state) {
    x = lesson.trunk.hidden;
    m.run_layers(backbone().options().shallow_layers, shape().layers, table, batch, x, activations);
    const auto logits = m.logits(select_rows(x, asked));
    benchmark::DoNotOptimize(logits.data());
  }
  set_rows(state, lesson.trunk.tokens());
}

BENCHMARK(route)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK_CAPTURE(answer, no_adapter, 0)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(answer, one_adapter, 1)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(answer, every_adapter, batch_size)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(train_step)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(forward_deep)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
