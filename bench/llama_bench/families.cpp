// SPDX-License-Identifier: MIT

/// @file
/// Every family of decoders at the shape of llama_bench, with what its config.json adds to a
/// llama: prefill and decode cost what they cost in a llama, but for norms.

#include <string>
#include <string_view>
#include <vector>

#include "anyssr/backbone/llama/llama_config_reader.hpp"
#include "llama_bench/model.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using namespace bench;

/// As a config.json of the family that says the sizes alone.
LlamaConfig family_shape(std::string_view family) {
  const LlamaConfig same = shape();
  const Json json = {{"model_type", std::string(family)},
                     {"vocab_size", same.vocab_size},
                     {"hidden_size", same.hidden_size},
                     {"intermediate_size", same.intermediate_size},
                     {"num_hidden_layers", same.layers},
                     {"num_attention_heads", same.heads},
                     {"num_key_value_heads", same.kv_heads},
                     {"head_dim", same.head_dim},
                     {"max_position_embeddings", same.max_positions},
                     {"tie_word_embeddings", same.tied_output}};
  return parse_llama_config(parse_json(json.dump(), "bench"), "bench");
}

/// The matrices of one model for all families, so that none stands in better pages than another.
LlamaWeights<float> family_weights(const LlamaConfig& config) {
  LlamaWeights<float> weights = model(Dtype::BF16).weights();
  for (LlamaLayerWeights<float>& layer : weights.layers) {
    for (const auto& linear : detail::llama_linears<float>(config)) {
      (layer.*linear.bias).setZero(linear.has_bias ? linear.rows : 0);
    }
    for (const auto& norm : detail::llama_norms<float>(config)) {
      (layer.*norm.weight).setOnes(norm.size);
    }
  }
  return weights;
}

class FamilyRun {
 public:
  explicit FamilyRun(std::string_view family)
      : config_(family_shape(family)),
        model_(config_, family_weights(config_)),
        tables_(model_.rotary()),
        cache_(config_.layers, prompt_size, config_.kv_dim()) {
    tables_.grow(prompt_size);
  }
  void take(std::span<const TokenId> ids, Index position) {
    const auto count = static_cast<Index>(ids.size());
    detail::LlamaBatch<float> batch;
    batch.add(count, position, &cache_);
    model_.embed(ids, x_);
    model_.run_layers(0, config_.layers, tables_, batch, x_, activations_);
    logits_ = model_.logits(x_.bottomRows(1));
    bench::check(logits_.allFinite(), "logits");
  }

 private:
  LlamaConfig config_;
  LlamaModel<float> model_;
  detail::LlamaRotary<float> tables_;
  KeyValueCache<float> cache_;
  detail::LlamaActivations<float> activations_;
  RowMajorMatrix<float> x_, logits_;
};

void family_prefill(benchmark::State& state, std::string_view family) {
  FamilyRun run(family);
  const std::vector<TokenId> ids = tokens(prompt_size);
  for (auto _ : state) run.take(ids, 0);
  bench::set_rows(state, prompt_size);
}

void family_decode(benchmark::State& state, std::string_view family) {
  FamilyRun run(family);
  const std::vector<TokenId> ids = tokens(answer_size);
  for (auto _ : state) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      run.take(std::span(ids).subspan(i, 1), static_cast<Index>(i));
    }
  }
  bench::set_rows(state, answer_size);
}

using FamilyBench = void(benchmark::State&, std::string_view);

bool register_families(const std::string& prefix, FamilyBench* run) {
  for (const auto& family : detail::llama_families) {
    const std::string name = prefix + std::string(family.model_type);
    benchmark::RegisterBenchmark(name.c_str(), run, family.model_type)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
  return true;
}

const bool prefill_is_registered = register_families("family_prefill/", family_prefill);
const bool decode_is_registered = register_families("family_decode/", family_decode);

}  // namespace
