// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/llama_families.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "anyssr/backbone/llama/llama_backbone.hpp"
#include "anyssr/io/peft_adapter.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/program.hpp"
#include "support/tiny_llama.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

const std::vector<std::string> family_models{"tiny-qwen3", "tiny-qwen3-tied", "tiny-smollm3",
                                             "tiny-gemma3"};

std::vector<LlamaConfig> family_configs() {
  return {tiny_qwen3_config(), tiny_smollm3_config(), tiny_gemma3_config(), every_part_config()};
}

template <class S>
constexpr double family_tolerance = std::is_same_v<S, float> ? 1e-4 : 1e-9;

Json json_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

/// The model as config.json or config_v5.json describes it.
template <class S>
LlamaModel<S> model_by(const std::filesystem::path& folder, const std::string& config_name,
                       bool has_end = true) {
  LlamaConfig config = parse_llama_config(json_of(folder / config_name), config_name);
  if (!has_end) config.eos.clear();
  return LlamaModel<S>(config, read_llama_weights<S>(folder, config), 1);
}

/// |found - expected|, largest, over the largest expected number.
template <class S>
double largest_error(const RowMajorMatrix<S>& found, const RowMajorMatrix<double>& expected) {
  return (found.template cast<double>() - expected).cwiseAbs().maxCoeff() /
         expected.cwiseAbs().maxCoeff();
}

/// hidden[0], hidden[1], ... of one sequence, one above the other.
template <class S>
RowMajorMatrix<S> hidden_states(const LlamaModel<S>& model, const Tokens& ids) {
  const auto size = static_cast<Index>(ids.size());
  const Index layers = model.config().layers;
  detail::LlamaBatch<S> batch;
  batch.add(size);
  detail::LlamaRotary<S> tables = model.rotary();
  tables.grow(size);
  detail::LlamaActivations<S> activations;
  RowMajorMatrix<S> x;
  model.embed(ids, x);
  RowMajorMatrix<S> all(size * (layers + 1), x.cols());
  all.topRows(size) = x;
  for (Index layer = 0; layer < layers; ++layer) {
    model.run_layer(layer, tables, batch, x, activations);
    all.middleRows(size * (layer + 1), size) = x;
  }
  return all;
}

/// Logits of all positions, one pass per token, from a cache of keys and values.
template <class S>
RowMajorMatrix<S> decoded_logits(const LlamaModel<S>& model, const Tokens& ids) {
  const LlamaConfig& config = model.config();
  const auto size = static_cast<Index>(ids.size());
  KeyValueCache<S> cache(config.layers, size, config.kv_dim());
  detail::LlamaRotary<S> tables = model.rotary();
  tables.grow(size);
  detail::LlamaActivations<S> activations;
  RowMajorMatrix<S> logits(size, config.vocab_size);
  for (Index t = 0; t < size; ++t) {
    detail::LlamaBatch<S> batch;
    batch.add(1, t, &cache);
    RowMajorMatrix<S> x;
    model.embed(std::span(ids).subspan(static_cast<std::size_t>(t), 1), x);
    model.run_layers(0, config.layers, tables, batch, x, activations);
    logits.row(t) = model.logits(x);
  }
  return logits;
}

/// A PEFT folder with the parameters of golden_grads.safetensors.
void write_golden_adapter(const std::filesystem::path& folder, const Json& golden,
                          const SafetensorsReader& tensors) {
  const Json config = {{"peft_type", "LORA"},
                       {"r", golden["r"]},
                       {"lora_alpha", golden["lora_alpha"]},
                       {"target_modules", golden["sites"]}};
  std::ofstream(folder / "adapter_config.json") << config.dump();
  SafetensorsWriter writer;
  for (const std::string site : golden["sites"]) {
    for (const char* factor : {".lora_A.weight", ".lora_B.weight"}) {
      const std::string name = "base_model.model." + site + factor;
      writer.add(name, tensors.matrix<float>("param." + name));
    }
  }
  writer.write(folder / "adapter_model.safetensors");
}

struct MarkedExamples {
  explicit MarkedExamples(const Json& golden) {
    for (const Json& example : golden["examples"]) {
      const Tokens ids = example["ids"];
      const std::vector<int> mask = example["mask"];
      const auto first = std::ranges::find(mask, 1) - mask.begin();
      queries.emplace_back(ids.begin(), ids.begin() + first);
      answers.emplace_back(ids.begin() + first, ids.end());
    }
  }
  std::vector<Tokens> queries;
  std::vector<Tokens> answers;
};

}  // namespace

TEMPLATE_TEST_CASE("models of each family have the hidden states and logits of their goldens",
                   "[backbone][golden]", float, double) {
  using S = TestType;
  const std::string name = GENERATE(from_range(family_models));
  const std::string config_name = GENERATE("config.json", "config_v5.json");
  CAPTURE(name, config_name);
  const auto folder = golden_model(name);
  if (!folder) return;
  const auto model = model_by<S>(*folder, config_name);
  const SafetensorsReader tensors((*folder / "golden.safetensors").string());
  const Json golden = json_of(*folder / "golden.json");
  REQUIRE(golden["prompts"].size() == 4);
  for (const Json& prompt : golden["prompts"]) {
    const std::string text = prompt["name"];
    CAPTURE(text);
    const Tokens ids = prompt["ids"];
    const RowMajorMatrix<double> logits = tensors.template matrix<double>(text + ".logits");
    CHECK(largest_error(batched_logits(model, {ids}), logits) < family_tolerance<S>);
    CHECK(largest_error(decoded_logits(model, ids), logits) < family_tolerance<S>);
    const auto numbers = tensors.template numbers<double>(text + ".hidden");
    const RowMajorMatrix<S> hidden = hidden_states(model, ids);
    REQUIRE(static_cast<Index>(numbers.size()) == hidden.size());
    const Eigen::Map<const RowMajorMatrix<double>> expected(numbers.data(), hidden.rows(),
                                                            hidden.cols());
    CHECK(largest_error(hidden, expected) < family_tolerance<S>);
  }
}

TEMPLATE_TEST_CASE("models of each family give the features and answers of their goldens",
                   "[backbone][golden]", float, double) {
  using S = TestType;
  const std::string name = GENERATE(from_range(family_models));
  const std::string config_name = GENERATE("config.json", "config_v5.json");
  const Index k = GENERATE(1, 3);
  CAPTURE(name, config_name, k);
  const auto folder = golden_model(name);
  if (!folder) return;
  const LlamaBackbone<S> backbone(model_by<S>(*folder, config_name),
                                  {.shallow_layers = k, .threads = 1});
  const SafetensorsReader tensors((*folder / "golden.safetensors").string());
  const Json golden = json_of(*folder / "golden.json");
  std::vector<Tokens> prompts;
  std::vector<Tokens> answers;
  for (const Json& prompt : golden["prompts"]) {
    prompts.push_back(prompt["ids"]);
    answers.push_back(prompt["greedy"]);
  }
  const auto trunk = backbone.trunk(prompts);  // all in one batch
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::string text = golden["prompts"][i]["name"];
    const RowMajorMatrix<double> pooled = tensors.template matrix<double>(text + ".pooled");
    const RowMajorMatrix<S> feature = trunk.features.row(static_cast<Index>(i));
    CHECK(largest_error(feature, pooled.row(k)) < family_tolerance<S>);
  }
  const std::vector<AdapterMix<S>> mixes(prompts.size());
  const auto outputs = backbone.forward(trunk, mixes, {.max_tokens = 16, .ignore_eos = true});
  for (std::size_t i = 0; i < prompts.size(); ++i) CHECK(outputs[i].tokens == answers[i]);
}

TEMPLATE_TEST_CASE("gradients of each family are the goldens", "[backbone][golden]", float,
                   double) {
  using S = TestType;
  const std::string name = GENERATE(from_range(family_models));
  const std::string config_name = GENERATE("config.json", "config_v5.json");
  CAPTURE(name, config_name);
  const auto folder = golden_model(name);
  if (!folder) return;
  const Json golden = json_of(*folder / "golden_grads.json");
  const SafetensorsReader tensors((*folder / "golden_grads.safetensors").string());
  const MarkedExamples examples(golden);
  const LlamaBackbone<S> backbone(model_by<S>(*folder, config_name, false),
                                  {.shallow_layers = 1, .threads = 1});
  const TemporaryFolder temp;
  write_golden_adapter(temp.file(""), golden, tensors);
  const Adapter<S> adapter =
      read_peft_adapter<S>(temp.file(""), {.sites = backbone.sites()}).adapter;
  REQUIRE(adapter.modules.size() == 9);
  auto gradient = zero_like(adapter);
  const auto trunk = backbone.training_trunk(examples.queries, examples.answers);
  const double loss = backbone.loss_and_gradient(trunk, examples.answers, adapter, gradient);
  CHECK(std::abs(loss / double{golden["loss"]} - 1) < family_tolerance<S>);
  for (const auto& [site, module] : gradient.modules) {
    CAPTURE(site);
    const std::string grad = "grad.base_model.model." + site;
    const auto a = tensors.template matrix<double>(grad + ".lora_A.weight");
    const auto b = tensors.template matrix<double>(grad + ".lora_B.weight");
    CHECK(largest_error(RowMajorMatrix<S>(module.a), a) < family_tolerance<S>);
    CHECK(largest_error(RowMajorMatrix<S>(module.b), b) < family_tolerance<S>);
  }
}

TEST_CASE("both forms of a family's config are one config", "[backbone][golden]") {
  const std::string name = GENERATE(from_range(family_models));
  CAPTURE(name);
  const auto folder = golden_model(name);
  if (!folder) return;
  std::vector<std::string> warnings;
  const auto warn = [&](const std::string& text) { warnings.push_back(text); };
  const auto read = [&](const std::string& file) {
    return parse_llama_config(json_of(*folder / file), file, warn);
  };
  CHECK(read("config.json") == read("config_v5.json"));
  CHECK(warnings.empty());
}

TEMPLATE_TEST_CASE("a row of a batch has the logits of the row alone in every family",
                   "[backbone][property]", float, double) {
  using S = TestType;
  for (const LlamaConfig& config : family_configs()) {
    CAPTURE(config.model_type);
    const auto model = tiny_llama_model<S>(config, 31);
    const std::vector<Tokens> sequences{random_tokens(config, 17, 1), random_tokens(config, 1, 2),
                                        random_tokens(config, 48, 3)};
    const RowMajorMatrix<S> together = batched_logits(model, sequences);
    Index row = 0;
    for (const Tokens& ids : sequences) {
      const RowMajorMatrix<S> alone = batched_logits(model, {ids});
      const RowMajorMatrix<S> part = together.middleRows(row, alone.rows());
      CHECK(relative_error(part, alone) < round_off<S>(200));
      row += alone.rows();
    }
  }
}

TEMPLATE_TEST_CASE("decoding from the cache has the logits of one pass in every family",
                   "[backbone][property]", float, double) {
  using S = TestType;
  for (const LlamaConfig& config : family_configs()) {  // windows of 3 to 5 tokens
    CAPTURE(config.model_type);
    const auto model = tiny_llama_model<S>(config, 32);
    const Tokens ids = random_tokens(config, 40, 4);
    CHECK(relative_error(decoded_logits(model, ids), batched_logits(model, {ids})) <
          round_off<S>(200));
  }
}

TEST_CASE("answers of every family are those of the plain decoder", "[backbone][property]") {
  for (LlamaConfig config : family_configs()) {
    CAPTURE(config.model_type);
    config.eos.clear();
    const auto model = tiny_llama_model<double>(config, 33);
    const LlamaBackbone<double> backbone(model, {.shallow_layers = 2, .threads = 1});
    const auto deep = random_llama_adapter<double>(config, 2, all_projections, 34);
    const auto whole = random_llama_adapter<double>(config, 0, all_projections, 35);
    const std::vector<AdapterMix<double>> mixes{AdapterMix<double>(deep), AdapterMix<double>(whole),
                                                AdapterMix<double>(), AdapterMix<double>(deep)};
    const std::vector<Tokens> queries = some_queries(config, mixes.size());
    const auto outputs = backbone.forward(backbone.trunk(queries), mixes, {.max_tokens = 12});
    for (std::size_t i = 0; i < mixes.size(); ++i) {
      CHECK(outputs[i].tokens == PlainLlama(model, mixes[i]).greedy(queries[i], 12).tokens);
    }
  }
}

TEMPLATE_TEST_CASE("a family's folder gives the model that was written", "[backbone][property]",
                   float, double) {
  using S = TestType;
  for (const LlamaConfig& config :
       {tiny_qwen3_config(), tiny_smollm3_config(), tiny_gemma3_config()}) {
    CAPTURE(config.model_type);
    const auto weights = tiny_llama_weights<S>(config, 36);
    const TemporaryFolder folder;
    write_llama_folder(folder.file(""), config, weights);
    const LlamaConfig found = read_llama_config(folder.file(""));
    CHECK(found == config);
    const LlamaModel<S> expected(config, weights, 1);
    const LlamaModel<S> read(found, read_llama_weights<S>(folder.file(""), found), 1);
    const std::vector<Tokens> sequences{random_tokens(config, 20, 5)};
    CHECK(relative_error(batched_logits(read, sequences), batched_logits(expected, sequences)) <
          round_off<S>(100));
    CHECK(read.weights().bytes() == expected.weights().bytes());
    CHECK(read.layer_weights(1).q_norm.size() == (config.form.head_norms ? config.head_dim : 0));
  }
}

TEST_CASE("tensors that a family lacks or has beside llama's are told by name",
          "[backbone][error]") {
  const LlamaConfig config = tiny_gemma3_config();
  const TemporaryFolder folder;
  auto tensors = llama_tensors(config, tiny_llama_weights<float>(config, 37));
  const auto refusal = [&](const LlamaConfig& as) {
    write_llama_tensors(folder.file(""), tensors);
    return message_of<FormatError>([&] { (void)read_llama_weights<float>(folder.file(""), as); });
  };
  LlamaConfig llama = config;
  llama.model_type = "llama";
  llama.form = {};
  CHECK(contains(refusal(llama), "\"model.layers.0.self_attn.k_norm.weight\""));
  CHECK(contains(refusal(llama),
                 "which a model of type llama and 3 layers with this config does "
                 "not use"));
  tensors.erase("model.layers.2.self_attn.q_norm.weight");
  CHECK(contains(refusal(config),
                 "has no tensor \"model.layers.2.self_attn.q_norm.weight\", expected one of shape "
                 "[6]"));
}

TEST_CASE("weights of norms that a form asks for are refused where they are missing",
          "[backbone][error]") {
  const LlamaConfig config = tiny_gemma3_config();
  auto weights = tiny_llama_weights<float>(config, 38);
  weights.layers[1].mlp_branch_norm.resize(0);
  CHECK(message_of<ShapeError>([&] { LlamaModel<float>(config, weights); }) ==
        "mlp_branch_norm has 0 numbers, expected 12");
}

TEST_CASE("every part of a form changes the fingerprint", "[backbone][property]") {
  const LlamaConfig config = every_part_config();
  std::set<std::string> names;
  std::size_t count = 0;
  const auto add = [&](const auto& change) {
    LlamaConfig other = config;
    change(other);
    const LlamaModel<float> model(other, random_llama_weights<float>(other, 39), 1);
    names.insert(detail::llama_fingerprint(model, 1));
    ++count;
  };
  add([](auto&) {});
  add([](auto& c) { c.form.activation = GateActivation::silu; });
  add([](auto& c) { c.form.head_norms = false; });
  add([](auto& c) { c.form.branch_norms = false; });
  add([](auto& c) { c.form.embedding_factor = 2; });
  add([](auto& c) { c.form.query_scalar = 0; });
  add([](auto& c) { c.local_rope.theta = 21; });
  add([](auto& c) { c.rotations.back() = LayerRope::none; });
  add([](auto& c) { c.rotations.clear(); });
  add([](auto& c) { c.form = {}; });
  CHECK(names.size() == count);
}

TEST_CASE("a family's fingerprint is the same in float and double", "[backbone][property]") {
  const LlamaConfig config = tiny_gemma3_config();
  const TemporaryFolder folder;
  write_llama_folder(folder.file(""), config, tiny_llama_weights<float>(config, 40));
  CHECK(LlamaBackbone<float>(folder.file(""), {.shallow_layers = 1}).fingerprint() ==
        LlamaBackbone<double>(folder.file(""), {.shallow_layers = 1}).fingerprint());
}
