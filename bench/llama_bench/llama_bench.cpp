// SPDX-License-Identifier: MIT

/// @file
/// A language model of 110 million parameters with random weights: prefill of 256 tokens in one
/// pass and decode of 128 tokens one by one, in F32 and BF16, against the design of small C
/// programs (baseline.hpp). A decoded token reads every weight once, so its rate is bound by the
/// memory: `weight_GB/s` over the GB/s of read_memory is the share of it that is reached.

#include <cmath>
#include <vector>

#include "llama_bench/bandwidth.hpp"
#include "llama_bench/baseline.hpp"
#include "llama_bench/model.hpp"
#include "support/fixture.hpp"

namespace {

using namespace anyssr;
using namespace bench;

const float* numbers(const WeightMatrix& w) {
  return reinterpret_cast<const float*>(w.data().data());  // of an F32 model
}

/// The same weights as the F32 model's.
bench::BaselineModel& baseline() {
  static bench::BaselineModel made = [] {
    const LlamaConfig config = shape();
    const LlamaWeights<float>& w = model(Dtype::F32).weights();
    bench::BaselineWeights plain;
    plain.dim = static_cast<int>(config.hidden_size);
    plain.hidden = static_cast<int>(config.intermediate_size);
    plain.heads = static_cast<int>(config.heads);
    plain.kv_heads = static_cast<int>(config.kv_heads);
    plain.head_dim = static_cast<int>(config.head_dim);
    plain.vocab = static_cast<int>(config.vocab_size);
    plain.max_positions = static_cast<int>(config.max_positions);
    plain.eps = static_cast<float>(config.rms_norm_eps);
    plain.theta = static_cast<float>(config.rope.theta);
    plain.embedding = numbers(w.embedding);
    plain.output = numbers(w.output);
    plain.norm = w.norm.data();
    for (const LlamaLayerWeights<float>& l : w.layers) {
      plain.layers.push_back({.q = numbers(l.q),
                              .k = numbers(l.k),
                              .v = numbers(l.v),
                              .o = numbers(l.o),
                              .gate = numbers(l.gate),
                              .up = numbers(l.up),
                              .down = numbers(l.down),
                              .attention_norm = l.input_norm.data(),
                              .feed_forward_norm = l.post_attention_norm.data()});
    }
    return bench::BaselineModel(plain);
  }();
  return made;
}

/// One sequence, its cache and its memory.
class Session {
 public:
  explicit Session(Dtype dtype)
      : model_(model(dtype)),
        table_(model_.rotary()),
        cache_(shape().layers, prompt_size, shape().kv_dim()) {
    table_.grow(prompt_size);
  }
  /// @return the last token's logits
  const RowMajorMatrix<float>& take(std::span<const TokenId> ids, Index position) {
    const auto count = static_cast<Index>(ids.size());
    detail::LlamaBatch<float> batch;
    batch.add(count, position, &cache_);
    model_.embed(ids, x_);
    if (count == 1) {
      model_.run_layers(0, shape().layers, table_, batch, x_, activations_);
    } else {
      detail::LlamaBatch<float> last;
      last.add(1, position + count - 1, &cache_);
      model_.run_layers(0, shape().layers - 1, table_, batch, x_, activations_);
      model_.run_top_layer(table_, batch, last, x_, activations_);
    }
    logits_ = model_.logits(x_);
    return logits_;
  }

 private:
  const LlamaModel<float>& model_;
  detail::LlamaRotary<float> table_;
  KeyValueCache<float> cache_;
  detail::LlamaActivations<float> activations_;
  RowMajorMatrix<float> x_, logits_;
};

Eigen::Map<const RowVector<float>> baseline_prefill(std::span<const TokenId> ids) {
  const float* logits = nullptr;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    logits = baseline().forward(ids[i], static_cast<int>(i), i + 1 == ids.size());
  }
  return {logits, shape().vocab_size};
}

/// Both give the baseline's logits: prefill in one pass, decode token by token.
void check_answers(Dtype dtype, double limit) {
  const std::vector<TokenId> ids = tokens(20);
  const RowVector<float> expected = baseline_prefill(ids);
  Session session(dtype);
  bench::check(bench::relative_error(session.take(ids, 0), expected) < limit, "prefill");
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto& logits = session.take(std::span(ids).subspan(i, 1), static_cast<Index>(i));
    if (i + 1 < ids.size()) continue;
    bench::check(bench::relative_error(logits, expected) < limit, "decode");
  }
}

/// BF16 weights are the F32 ones, rounded: 2^-9 relative each.
void check_answers(Dtype dtype) { check_answers(dtype, dtype == Dtype::BF16 ? 0.03 : 1e-4); }

void prefill_baseline(benchmark::State& state) {
  const std::vector<TokenId> ids = tokens(prompt_size);
  for (auto _ : state) benchmark::DoNotOptimize(baseline_prefill(ids).data());
  bench::set_rows(state, prompt_size);
}

void prefill(benchmark::State& state, Dtype dtype) {
  check_answers(dtype);
  const std::vector<TokenId> ids = tokens(prompt_size);
  Session session(dtype);
  for (auto _ : state) benchmark::DoNotOptimize(session.take(ids, 0).data());
  bench::set_rows(state, prompt_size);
}

/// Every weight is read once a token; the embedding is the output weight.
void set_weights_read(benchmark::State& state, Dtype dtype) {
  bench::set_rows(state, answer_size);
  const double bytes = static_cast<double>(model(dtype).weights().bytes());
  state.counters["weight_GB/s"] =
      benchmark::Counter(1e-9 * bytes * static_cast<double>(answer_size),
                         benchmark::Counter::kIsIterationInvariantRate);
}

void decode_baseline(benchmark::State& state) {
  const std::vector<TokenId> ids = tokens(answer_size);
  for (auto _ : state) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      benchmark::DoNotOptimize(baseline().forward(ids[i], static_cast<int>(i), true));
    }
  }
  set_weights_read(state, Dtype::F32);
}

void decode(benchmark::State& state, Dtype dtype) {
  check_answers(dtype);
  const std::vector<TokenId> ids = tokens(answer_size);
  Session session(dtype);
  for (auto _ : state) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto& logits = session.take(std::span(ids).subspan(i, 1), static_cast<Index>(i));
      benchmark::DoNotOptimize(logits.data());
    }
  }
  set_weights_read(state, dtype);
}

void read_memory(benchmark::State& state) {
  static const bench::ReadBuffer buffer(std::size_t{1} << 29);
  for (auto _ : state) {
    const float sum = buffer.read();
    benchmark::DoNotOptimize(sum);
  }
  state.counters["GB/s"] = benchmark::Counter(1e-9 * static_cast<double>(buffer.bytes()),
                                              benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(prefill_baseline)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(prefill, f32, Dtype::F32)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(prefill, bf16, Dtype::BF16)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(read_memory)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(decode_baseline)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(decode, f32, Dtype::F32)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(decode, bf16, Dtype::BF16)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
