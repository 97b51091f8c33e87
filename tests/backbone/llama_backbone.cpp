// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/llama_backbone.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/lora/adapter_algebra.hpp"
#include "anyssr/lora/merged_weight.hpp"
#include "anyssr/lora/optional_members.hpp"
#include "support/catch.hpp"
#include "support/llama_folder.hpp"
#include "support/numeric.hpp"
#include "support/program.hpp"
#include "support/tiny_llama.hpp"

using namespace anyssr;
using namespace anyssr::test;

static_assert(AdaptableBackbone<LlamaBackbone<float>> && AdaptableBackbone<LlamaBackbone<double>>);
static_assert(HasTrainingTrunk<LlamaBackbone<float>> && HasWork<LlamaBackbone<float>> &&
              HasLossWeight<LlamaBackbone<float>>);
static_assert(!HasLabels<LlamaBackbone<float>> && !HasScore<LlamaBackbone<float>>);

namespace {

/// Texts end often, with any of a third of the tokens.
LlamaConfig talkative_config() {
  LlamaConfig config = rich_llama_config();
  for (TokenId id = 5; id < config.vocab_size; id += 3) config.eos.push_back(id);
  return config;
}

/// The logits of a mix's rows, by a model alone.
RowMajorMatrix<float> logits_under(const LlamaModel<float>& model, const Tokens& ids,
                                   const AdapterMix<float>& mix = {}) {
  return batched_logits(model, {ids}, TinyMixes{mix});
}

}  // namespace

TEST_CASE("a mixed batch answers each query as it is answered alone", "[backbone][property]") {
  const LlamaConfig config = talkative_config();
  const Index k = GENERATE(1, 2);
  CAPTURE(k);
  const TinyBackbone backbone = tiny_backbone(config, k);
  const auto every = random_llama_adapter<float>(config, k, all_projections, 1);
  const auto confined = random_llama_adapter<float>(config, k, all_projections, 2, 3);
  const auto last = random_llama_adapter<float>(config, 2, {"v_proj", "gate_proj"}, 3);
  const auto shallow = random_llama_adapter<float>(config, 0, {"k_proj", "up_proj"}, 4);
  AdapterMix<float> both(every, 0.5);
  both.add(&last, -1);
  const std::vector<AdapterMix<float>> kinds{AdapterMix<float>(every), AdapterMix<float>(),
                                             AdapterMix<float>(shallow), both,
                                             AdapterMix<float>(confined)};
  std::vector<Tokens> queries = some_queries(config, 16);
  queries.back() = random_tokens(config, 46, 9);  // the positions end before the tokens do
  TinyMixes mixes;
  for (std::size_t i = 0; i < queries.size(); ++i) mixes.push_back(kinds[i * 3 % kinds.size()]);
  const LlamaPredictOptions options{.max_tokens = 9};
  const auto outputs = backbone.forward(backbone.trunk(queries), mixes, options);
  int complete = 0;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    CAPTURE(i);
    const auto one = backbone.trunk(std::span(&queries[i], 1));
    CHECK(backbone.forward(one, std::span(&mixes[i], 1), options).front() == outputs[i]);
    CHECK(PlainLlama(backbone.model(), mixes[i]).greedy(queries[i], 9) == outputs[i]);
    complete += outputs[i].is_complete ? 1 : 0;
  }
  CHECK(complete >= 4);  // sequences left the batch at different times
  CHECK(complete <= 14);
  CHECK(outputs.back().tokens.size() <= 3);
}

TEST_CASE("features are the mean over the query's tokens after the shallow layers",
          "[backbone][property]") {
  const LlamaConfig config = rich_llama_config();
  const Index k = GENERATE(1, 2);
  const TinyBackbone backbone = tiny_backbone(config, k);
  const std::vector<Tokens> queries = some_queries(config, 7);
  const std::vector<Tokens> answers(7, Tokens{9, 30, 12});
  const PlainLlama plain(backbone.model());
  const auto trunk = backbone.trunk(queries);
  const auto training = backbone.training_trunk(queries, answers);
  CHECK(backbone.features(queries) == trunk.features);
  CHECK(backbone.rows(training) == 7);
  CHECK(backbone.work(training) == backbone.work(trunk) + 21);
  for (std::size_t i = 0; i < queries.size(); ++i) {
    CAPTURE(k, i);
    const auto row = static_cast<Index>(i);
    const Eigen::RowVectorXd expected = plain.run(queries[i], k).hidden.colwise().mean();
    CHECK(relative_error(trunk.features.row(row), expected) < 1e-6);
    CHECK(relative_error(training.features.row(row), expected) < 1e-6);
    CHECK(relative_error(backbone.features(std::span(&queries[i], 1)), expected) < 1e-6);
  }
  CHECK(backbone.trunk({}).features.rows() == 0);
  CHECK(backbone.forward(backbone.trunk({}), {}).empty());
}

TEST_CASE("a large training trunk has the features of its pieces", "[backbone][property]") {
  const LlamaConfig config = tiny_llama_config();
  const std::vector<Tokens> queries(120, random_tokens(config, 40, 3));  // of 4096 tokens each
  const std::vector<Tokens> answers(120, Tokens{9, 8});
  const TinyBackbone kept = tiny_backbone(config);
  const auto trunk = kept.training_trunk(queries, answers);
  CHECK(kept.trunk_tokens() == 120 * 42);
  CHECK(trunk.has_hidden());
  CHECK(relative_error(trunk.features.row(119), trunk.features.row(0)) < 1e-6);
  CHECK(relative_error(trunk.hidden.bottomRows(42), trunk.hidden.topRows(42)) < 1e-6);
  const TinyBackbone forgetful(tiny_llama_model<float>(config, 51),
                               {.shallow_layers = 1, .threads = 1, .trunk_cache_bytes = 4096});
  const auto without = forgetful.training_trunk(queries, answers);
  CHECK_FALSE(without.has_hidden());
  CHECK(without.hidden.size() == 0);
  CHECK(without.features == trunk.features);
}

TEST_CASE("selected rows of a trunk answer as they did", "[backbone][property]") {
  const LlamaConfig config = talkative_config();
  const TinyBackbone backbone = tiny_backbone(config);
  const auto adapter = random_llama_adapter<float>(config, 1, all_projections, 5);
  const std::vector<Tokens> queries = some_queries(config, 6);
  const std::vector<Tokens> answers(6, Tokens{9, 30});
  const TinyMixes mixes(6, AdapterMix<float>(adapter));
  const auto trunk = backbone.trunk(queries);
  const auto outputs = backbone.forward(trunk, mixes, {.max_tokens = 6});
  const std::array<Index, 4> rows{5, 0, 3, 0};
  const auto some = backbone.select(trunk, rows);
  const auto chosen = backbone.forward(some, std::span(mixes).first(4), {.max_tokens = 6});
  const auto training = backbone.training_trunk(queries, answers);  // answers the queries too
  const std::uint64_t before = backbone.trunk_tokens();
  CHECK(backbone.forward(training, mixes, {.max_tokens = 6}) == outputs);
  CHECK(backbone.trunk_tokens() - before == static_cast<std::uint64_t>(trunk.tokens()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(chosen[i] == outputs[static_cast<std::size_t>(rows[i])]);
    CHECK(some.features.row(static_cast<Index>(i)) == trunk.features.row(rows[i]));
  }
  CHECK(contains(message_of<Error>([&] { (void)backbone.select(trunk, std::array<Index, 1>{6}); }),
                 "6"));
}

TEST_CASE("a mix answers like the adapter that its sum merges to", "[backbone][property]") {
  const LlamaConfig config = rich_llama_config();
  const auto model = tiny_llama_model<float>(config, 51);
  const auto a = random_llama_adapter<float>(config, 1, all_projections, 6);
  const auto b = random_llama_adapter<float>(config, 1, {"q_proj", "down_proj"}, 7);
  AdapterMix<float> mix(a, 0.5);
  mix.add(&b, 0.5);
  const Adapter<float> merged = merge_adapters(mix);
  const Tokens ids = random_tokens(config, 21, 8);
  CHECK(relative_error(logits_under(model, ids, mix),
                       logits_under(model, ids, AdapterMix<float>(merged))) < 1e-5);
}

TEST_CASE("an adapter merged into the weights answers alike and leaves no trace",
          "[backbone][property]") {
  const LlamaConfig config = rich_llama_config();
  const auto weights = tiny_llama_weights<float>(config, 51);
  const auto adapter = random_llama_adapter<float>(config, 1, all_projections, 9);
  const Tokens ids = random_tokens(config, 30, 10);
  const LlamaModel<float> model(config, weights, 1);
  const RowMajorMatrix<float> base = logits_under(model, ids);
  LlamaWeights<float> changed = weights;
  std::map<std::string, MergedWeight<float>> merged;
  const auto put = [&](const auto& change) {  // all sites as `change` leaves them
    for (Index layer = 1; layer < config.layers; ++layer) {
      for (const auto& linear : detail::llama_linears<float>(config)) {
        const std::string site = detail::site_name(layer, linear.name);
        WeightMatrix& weight = changed.layers[static_cast<std::size_t>(layer)].*linear.weight;
        auto& kept = merged.try_emplace(site, weight.dense<float>()).first->second;
        change(kept, adapter.modules.at(site));
        weight = WeightMatrix::of<float>(kept.weight(), Dtype::F32);
      }
    }
    return logits_under(LlamaModel<float>(config, changed, 1), ids);
  };
  const auto with = put([](auto& weight, const auto& module) { weight.merge(module); });
  CHECK(relative_error(with, logits_under(model, ids, AdapterMix<float>(adapter))) < 1e-5);
  CHECK(relative_error(with, base) > 0.1);
  CHECK(put([](auto& weight, const auto&) { weight.restore(); }) == base);
}

TEST_CASE("a fingerprint is the same in float and double and tells models and trunks apart",
          "[backbone][property]") {
  const LlamaConfig config = rich_llama_config();
  const auto weights = random_llama_weights<float>(config, 3);
  const auto of = [&](const LlamaWeights<float>& w) {
    return TinyBackbone(LlamaModel<float>(config, w, 1), {.shallow_layers = 1}).fingerprint();
  };
  const LlamaBackbone<double> in_double(
      LlamaModel<double>(config, random_llama_weights<double>(config, 3), 1),
      {.shallow_layers = 1});
  const std::string expected = of(weights);
  CHECK(in_double.fingerprint() == expected);
  CHECK(expected.starts_with("llama-3x12|k:1|"));
  auto other = weights;
  other.norm[0] += 1;
  CHECK(of(other) != expected);
  other = weights;
  other.layers[2].down_bias[11] += 1;
  CHECK(of(other) != expected);
  other = weights;
  other.layers[1].input_norm[5] += 1;
  CHECK(of(other) != expected);
  CHECK(tiny_backbone(config, 1).fingerprint() != tiny_backbone(config, 2).fingerprint());
  CHECK(tiny_backbone(config, 1, 51).fingerprint() != tiny_backbone(config, 1, 52).fingerprint());
  LlamaConfig slower = config;
  slower.rope.theta = 9000;
  CHECK(tiny_backbone(config).fingerprint() != tiny_backbone(slower).fingerprint());
}

TEST_CASE("answers are as long as their options say", "[backbone][property]") {
  const LlamaConfig config = talkative_config();
  const TinyBackbone backbone = tiny_backbone(config);
  const std::vector<Tokens> queries{random_tokens(config, 3, 12), random_tokens(config, 48, 13),
                                    random_tokens(config, 40, 14)};
  const auto trunk = backbone.trunk(queries);
  const auto outputs = [&](const LlamaPredictOptions& options) {
    return backbone.forward(trunk, TinyMixes(3), options);
  };
  CHECK(outputs({.max_tokens = 0}) == std::vector<LlamaOutput>(3));
  const Index most = std::numeric_limits<Index>::max();
  const auto all = outputs({.max_tokens = most, .ignore_eos = true});
  CHECK(all[0].tokens.size() == 46);  // the last position's token is never read
  CHECK(all[1].tokens.size() == 1);
  CHECK(all[2].tokens.size() == 9);
  const auto some = outputs({.max_tokens = 5, .ignore_eos = true});
  const auto ended = outputs({.max_tokens = most});
  const auto is_end = [&](TokenId id) { return std::ranges::count(config.eos, id) > 0; };
  for (std::size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    const Tokens& whole = all[i].tokens;
    CHECK_FALSE(all[i].is_complete);
    CHECK_FALSE(some[i].is_complete);
    CHECK(some[i].tokens == Tokens(whole.begin(), whole.begin() + (i == 1 ? 1 : 5)));
    const auto end = std::ranges::find_if(whole, is_end);
    CHECK(ended[i].is_complete == (end != whole.end()));
    CHECK(ended[i].tokens == Tokens(whole.begin(), end));
  }
  CHECK(ended[0].is_complete);
  CHECK(message_of<ArgumentError>([&] { (void)outputs({.max_tokens = -1}); }) ==
        "max_tokens is -1, expected at least 0");
  CHECK(message_of<ArgumentError>([&] { (void)outputs({.sampling = {.top_p = 2}}); }) ==
        "top_p is 2, expected above 0, at most 1");
}

TEST_CASE("sampled answers depend on the seed and the row alone", "[backbone][property]") {
  const LlamaConfig config = rich_llama_config();
  const TinyBackbone backbone = tiny_backbone(config);
  const auto adapter = random_llama_adapter<float>(config, 1, {"v_proj"}, 15);
  const std::vector<Tokens> queries(4, random_tokens(config, 5, 16));
  const auto trunk = backbone.trunk(queries);
  const auto sampled = [&](std::uint64_t seed, const TinyMixes& mixes) {
    return backbone.forward(
        trunk, mixes,
        {.max_tokens = 20, .sampling = {.temperature = 2, .seed = seed}, .ignore_eos = true});
  };
  const auto base = sampled(1, TinyMixes(4));
  CHECK(sampled(1, TinyMixes(4)) == base);
  CHECK(sampled(2, TinyMixes(4)) != base);
  CHECK(base[0] != base[1]);
  const AdapterMix<float> other(adapter);
  const auto mixed = sampled(1, {other, {}, other, {}});  // rows of a mix go side by side
  CHECK(mixed[1] == base[1]);
  CHECK(mixed[3] == base[3]);
  CHECK(mixed[0] != base[0]);
}

TEST_CASE("site inputs are those that the modules read", "[backbone][property]") {
  const LlamaConfig config = rich_llama_config();
  const std::vector<Tokens> queries = some_queries(config, 6);  // of 1, 8, 15, 22, 6, 13 tokens
  const std::vector<Tokens> answers(6, Tokens{9});
  const auto adapter = random_llama_adapter<float>(config, 2, all_projections, 17);
  const Index limit = GENERATE(1, 26, 27, 1000);
  CAPTURE(limit);
  const TinyBackbone backbone(tiny_llama_model<float>(config, 51),
                              {.shallow_layers = 1, .threads = 1, .site_input_tokens = limit});
  const auto trunk = backbone.training_trunk(queries, answers);
  std::map<std::string, Eigen::MatrixXd> inputs;
  backbone.visit_site_inputs(trunk, adapter, [&](std::string_view site, const auto& rows) {
    CHECK(inputs.emplace(site, rows.template cast<double>()).second);
  });
  CHECK(inputs.size() == 7);
  const Index rows = limit == 1 ? 2 : limit == 26 ? 11 : limit == 27 ? 27 : 71;
  for (const auto& [site, x] : inputs) {
    CAPTURE(site);
    CHECK(x.rows() == rows);
    CHECK(x.cols() == adapter.modules.at(site).in_dim());
  }
  const Eigen::MatrixXd& normed = inputs.at("model.layers.2.self_attn.v_proj");
  const auto first = PlainLlama(backbone.model(), AdapterMix<float>(adapter)).run({1, 9}, 2);
  const Eigen::MatrixXd expected =
      plain_rms_norm(first.hidden, backbone.model().layer_weights(2).input_norm.cast<double>(),
                     config.rms_norm_eps);
  CHECK(relative_error(normed.topRows(2), expected) < 1e-5);
}

TEST_CASE("adapters are made for the layers that training reaches", "[backbone][error]") {
  const TinyBackbone backbone = tiny_backbone(tiny_llama_config(), 2);
  CHECK(backbone.sites().size() == 21);
  const std::vector<Tokens> answers{{5}};
  const auto sites = [&](const std::vector<std::string>& names) {
    std::vector<std::string> found;
    for (const auto& [site, module] :
         backbone.make_adapter(answers, {.lora = {.rank = 2}, .sites = names}, 1).modules) {
      found.push_back(site);
    }
    return found;
  };
  const std::string layer = "model.layers.2.";
  CHECK(sites({}) ==
        std::vector<std::string>{layer + "self_attn.q_proj", layer + "self_attn.v_proj"});
  CHECK(sites({"down_proj", layer + "self_attn.k_proj"}) ==
        std::vector<std::string>{layer + "mlp.down_proj", layer + "self_attn.k_proj"});
  const std::string expected =
      "' is unknown, expected a linear layer of layers 2..2, or the last part of its name";
  for (const std::string name : {"proj", "model.layers.1.self_attn.q_proj", "lm_head", ""}) {
    CHECK(message_of<ArgumentError>([&] { (void)sites({name}); }) == "site '" + name + expected);
  }
  CHECK(message_of<ArgumentError>([&] {
          (void)backbone.make_adapter(std::vector<Tokens>{{5}, {}}, {}, 1);
        }) == "answer 1 is empty, expected at least one token");
}

TEST_CASE("a backbone's options are checked", "[backbone][error]") {
  const auto refusal = [](const LlamaOptions& options) {
    return message_of<ArgumentError>(
        [&] { TinyBackbone(tiny_llama_model<float>(tiny_llama_config(), 1), options); });
  };
  const std::string layers = ", expected 1..2 for a model of 3 layers";
  CHECK(refusal({.shallow_layers = 0}) == "shallow_layers is 0" + layers);
  CHECK(refusal({.shallow_layers = 3}) == "shallow_layers is 3" + layers);
  CHECK(refusal({.shallow_layers = -1}) == "shallow_layers is -1" + layers);
  CHECK(refusal({.shallow_layers = 1, .site_input_tokens = 0}) ==
        "site_input_tokens is 0, expected at least 1");
}

TEST_CASE("a folder's model answers like the weights that it was written from",
          "[backbone][error]") {
  const TemporaryFolder folder;
  const LlamaConfig config = tiny_llama_config();
  const auto weights = tiny_llama_weights<float>(config, 51);
  write_llama_folder(folder.file(""), config, weights);
  const std::vector<Tokens> queries = some_queries(config, 3);
  const TinyBackbone read(std::filesystem::path(folder.file("")), {.shallow_layers = 1});
  const TinyBackbone made = tiny_backbone(config);
  CHECK(read.fingerprint() == made.fingerprint());
  CHECK(read.features(queries) == made.features(queries));
  auto tensors = llama_tensors(config, weights);
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  std::fill_n(tensors[name].bytes.begin(), 4, std::byte{0xFF});
  write_llama_tensors(folder.file(""), tensors);
  const std::string message = message_of<NonFiniteError>(
      [&] { TinyBackbone(std::filesystem::path(folder.file("")), {.shallow_layers = 1}); });
  CHECK(contains(message, name));
  CHECK(contains(message, "NaN or infinity"));
}
