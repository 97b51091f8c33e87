// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/llama_model.hpp"

#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_backbone.hpp"
#include "anyssr/io/peft_adapter.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/tiny_llama.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Models that differ from the tiny one in one way, by name.
std::vector<std::pair<std::string, LlamaConfig>> llama_variants() {
  std::vector<std::pair<std::string, LlamaConfig>> variants{{"plain", tiny_llama_config()}};
  const auto add = [&](const std::string& name) -> LlamaConfig& {
    return variants.emplace_back(name, tiny_llama_config()).second;
  };
  LlamaConfig& qwen2 = add("biases of q k and v");
  qwen2.model_type = "qwen2";
  qwen2.qkv_bias = true;
  LlamaConfig& biased = add("all biases");
  biased.qkv_bias = biased.output_bias = biased.mlp_bias = true;
  add("tied output").tied_output = true;
  LlamaConfig& derived = add("heads of hidden_size");
  derived.hidden_size = 16;
  derived.head_dim = 4;
  add("a key head a query head").kv_heads = 4;
  add("one key head").kv_heads = 1;
  LlamaConfig& linear = add("linear rope");
  linear.rope.type = RopeType::linear;
  linear.rope.factor = 2.5;
  LlamaConfig& llama3 = add("llama3 rope");  // a pair before, in and behind the middle band
  llama3.rope = {RopeType::llama3, 100, 8, 1, 4, 64};
  LlamaConfig& mistral = add("one window");
  mistral.model_type = "mistral";
  mistral.windows = {5, 5, 5};
  add("windows of some layers").windows = {0, 3, 1};
  add("a large eps").rms_norm_eps = 0.5;
  add("norms of heads").form.head_norms = true;
  add("norms of branches").form.branch_norms = true;
  add("gelu").form.activation = GateActivation::gelu_tanh;
  add("factor of embeddings").form.embedding_factor = 3.5;
  add("factor of scores").form.query_scalar = 2;
  add("layers that do not turn").rotations = {LayerRope::none, LayerRope::main, LayerRope::none};
  LlamaConfig& local = add("two rotary bases");
  local.rotations = {LayerRope::main, LayerRope::local, LayerRope::main};
  local.local_rope.theta = 10;
  variants.emplace_back("qwen3", tiny_qwen3_config());
  variants.emplace_back("smollm3", tiny_smollm3_config());
  variants.emplace_back("gemma3", tiny_gemma3_config());
  variants.emplace_back("every part", every_part_config());
  return variants;
}

std::vector<Tokens> some_sequences(const LlamaConfig& config) {
  return {random_tokens(config, 20, 1), random_tokens(config, 1, 2), random_tokens(config, 13, 3),
          random_tokens(config, 48, 4)};
}

/// |batched - plain| of the rows of all sequences, relative.
template <class S>
double model_error(const LlamaModel<S>& model, const std::vector<Tokens>& sequences,
                   const std::vector<AdapterMix<S>>& mixes = {}) {
  const RowMajorMatrix<S> found = batched_logits(model, sequences, mixes);
  double worst = 0;
  Index row = 0;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const PlainLlama plain(model, mixes.empty() ? AdapterMix<S>() : mixes[i]);
    const Eigen::MatrixXd expected = plain.run(sequences[i]).logits;
    worst = std::max(worst, relative_error(found.middleRows(row, expected.rows()), expected));
    row += expected.rows();
  }
  return worst;
}

template <class S>
constexpr double model_tolerance = std::is_same_v<S, float> ? 1e-5 : 1e-13;

/// Every matrix in another type of number, as `number` makes it.
template <class F>
LlamaWeights<double> with_matrices(LlamaWeights<double> weights, const LlamaConfig& config,
                                   const F& number) {
  weights.embedding = number(weights.embedding);
  weights.output = number(weights.output);
  for (auto& layer : weights.layers) {
    for (const auto& linear : detail::llama_linears<double>(config)) {
      layer.*linear.weight = number(layer.*linear.weight);
    }
  }
  return weights;
}

}  // namespace

TEMPLATE_TEST_CASE("a batch of sequences has the logits of the plain decoder",
                   "[backbone][property]", float, double) {
  for (const auto& [name, config] : llama_variants()) {
    CAPTURE(name);
    const auto model = tiny_llama_model<TestType>(config, 5);
    CHECK(model_error(model, some_sequences(config)) < model_tolerance<TestType>);
  }
}

TEMPLATE_TEST_CASE("a batch of different mixes has the logits of the plain decoders",
                   "[backbone][property]", float, double) {
  using S = TestType;
  const LlamaConfig config = GENERATE(rich_llama_config(), every_part_config());
  const auto model = tiny_llama_model<S>(config, 6);
  const auto everywhere = random_llama_adapter<S>(config, 0, all_projections, 1);
  const auto deep = random_llama_adapter<S>(config, 2, {"q_proj", "down_proj"}, 2);
  const auto confined = random_llama_adapter<S>(config, 1, all_projections, 3, 4);
  AdapterMix<S> mix(everywhere, 0.5);
  mix.add(&deep, -0.25);
  mix.add(&confined, 2);
  const std::vector<AdapterMix<S>> mixes{AdapterMix<S>(confined), AdapterMix<S>(),
                                         AdapterMix<S>(deep), mix};
  CHECK(model_error(model, some_sequences(config), mixes) < model_tolerance<S>);
}

TEST_CASE("weights of 16 bits give what the same numbers give in double", "[backbone][property]") {
  const Dtype dtype = GENERATE(Dtype::F16, Dtype::BF16);
  LlamaConfig config = rich_llama_config();
  const auto narrow = tiny_llama_weights<double>(config, 7, dtype);
  CHECK(narrow.layers[1].gate.bytes() == 2 * 20 * 12);
  const auto wide = with_matrices(narrow, config, [](const WeightMatrix& matrix) {
    return WeightMatrix::of<double>(matrix.dense<double>(), Dtype::F64);
  });
  const LlamaModel<double> expected(config, wide, 1);
  for (const std::vector<Tokens>& sequences :
       {some_sequences(config), {random_tokens(config, 2, 8)}}) {
    const RowMajorMatrix<double> logits = batched_logits(expected, sequences);
    CHECK(relative_error(batched_logits(LlamaModel<double>(config, narrow, 1), sequences), logits) <
          1e-14);
    const LlamaModel<float> in_float(config, tiny_llama_weights<float>(config, 7, dtype), 1);
    CHECK(relative_error(batched_logits(in_float, sequences), logits) < 1e-5);
  }
}

TEST_CASE("a model gives the same bits for any number of threads", "[backbone][property]") {
  LlamaConfig config = tiny_llama_config();  // as large as it takes to use several
  config.hidden_size = 256;
  config.intermediate_size = 1024;
  config.layers = 1;
  config.heads = 8;
  config.kv_heads = 4;
  config.head_dim = 32;
  config.max_positions = 300;
  config.windows = {0};
  const auto weights = random_llama_weights<float>(config, 8);
  const std::vector<Tokens> sequences{random_tokens(config, 230, 1), random_tokens(config, 90, 2)};
  const auto expected = batched_logits(LlamaModel<float>(config, weights, 1), sequences);
  CHECK(batched_logits(LlamaModel<float>(config, weights, 2), sequences) == expected);
  CHECK(batched_logits(LlamaModel<float>(config, weights, 3), sequences) == expected);
}

TEST_CASE("weights of another shape are refused by name", "[backbone][error]") {
  const LlamaConfig config = rich_llama_config();
  const auto refusal = [&](const auto& damage) {
    auto weights = tiny_llama_weights<float>(config, 9);
    damage(weights);
    return message_of<ShapeError>([&] { LlamaModel<float>(config, weights); });
  };
  CHECK(refusal([](auto& w) { w.layers.pop_back(); }) == "weights have 2 layers, expected 3");
  CHECK(refusal([](auto& w) { w.output = w.layers[0].q; }) ==
        "output is 24 x 12, expected 50 x 12");
  CHECK(refusal([](auto& w) { w.layers[1].down = w.layers[1].up; }) ==
        "model.layers.1.mlp.down_proj is 20 x 12, expected 12 x 20");
  CHECK(refusal([](auto& w) { w.layers[2].k_bias.resize(0); }) ==
        "model.layers.2.self_attn.k_proj.bias has 0 numbers, expected 12");
  CHECK(refusal([](auto& w) { w.norm.resize(3); }) == "norm has 3 numbers, expected 12");
  LlamaConfig odd = config;
  odd.head_dim = 5;
  CHECK(message_of<ArgumentError>([&] {
          LlamaModel<float>(odd, tiny_llama_weights<float>(config, 9));
        }) == "head_dim is 5, expected an even number");
}

TEMPLATE_TEST_CASE("tiny-llama has the hidden states and logits and answers of its goldens",
                   "[backbone][golden]", float, double) {
  using S = TestType;
  const auto folder = trained_tiny_llama();
  if (!folder) return;
  const LlamaBackbone<S> backbone(*folder);
  const LlamaModel<S>& model = backbone.model();
  std::ifstream file(*folder / "golden.json");
  const Json golden = Json::parse(file);
  const SafetensorsReader tensors((*folder / "golden.safetensors").string());
  const double tolerance = std::is_same_v<S, float> ? 1e-4 : 1e-9;
  const auto error = [&](const RowMajorMatrix<S>& found, const std::string& name) {
    const RowMajorMatrix<double> expected = tensors.template matrix<double>(name);
    return (found.template cast<double>() - expected).cwiseAbs().maxCoeff() /
           expected.cwiseAbs().maxCoeff();
  };
  std::map<std::string, Adapter<S>> adapters{{"base", {}}};
  for (const std::string name : {"agnews", "banking", "domain"}) {
    adapters[name] = read_peft_adapter<S>((*folder / "adapters" / name).string()).adapter;
  }
  std::vector<Tokens> prompts;
  for (const Json& prompt : golden["prompts"]) prompts.push_back(prompt["ids"]);
  const auto trunk = backbone.trunk(prompts);
  const std::vector<Index> offsets = trunk.offsets();

  std::vector<Index> rows;  // every prompt under every variant, in one mixed batch
  std::vector<AdapterMix<S>> mixes;
  std::vector<Tokens> continuations;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto size = static_cast<Index>(prompts[i].size());
    const Json& variants = golden["prompts"][i]["variants"];
    REQUIRE(variants.size() == adapters.size());
    for (const auto& [name, adapter] : adapters) {
      CAPTURE(i, name);
      const Json& expected = variants.at(name);
      rows.push_back(static_cast<Index>(i));
      mixes.emplace_back(adapter);
      continuations.push_back(expected.at("greedy"));
      RowMajorMatrix<S> x = trunk.hidden.middleRows(offsets[i], size);
      CHECK(error(x, expected.at("hidden")) < tolerance);
      detail::LlamaBatch<S> batch;
      batch.add(size);
      batch.plan = detail::AdapterPlan<S>(model.config(), {{mixes.back(), 0, size}});
      detail::LlamaRotary<S> table = model.rotary();
      table.grow(size);
      detail::LlamaActivations<S> activations;
      model.run_layers(4, 8, table, batch, x, activations);
      const std::string logits = expected.at("logits");
      const bool is_last = tensors.tensor(logits).shape.front() == 1;
      CHECK(error(model.logits(is_last ? RowMajorMatrix<S>(x.bottomRows(1)) : x), logits) <
            tolerance);
      if (name != "base") continue;
      const auto pooled = tensors.template vector<double>(std::string(expected.at("pooled")));
      const RowVector<S> feature = trunk.features.row(static_cast<Index>(i));
      CHECK(relative_error(feature.transpose(), pooled) < tolerance);
    }
  }
  const auto outputs =
      backbone.forward(backbone.select(trunk, rows), mixes, {.max_tokens = 32, .ignore_eos = true});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    CAPTURE(i);
    CHECK(outputs[i].tokens == continuations[i]);
  }
}
