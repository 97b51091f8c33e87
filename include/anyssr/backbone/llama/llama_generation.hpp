// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Answers: the rows of a trunk, each under its mix of adapters, go on through the deep layers in
/// one batched pass (prefill), and then token by token, all sequences together (decode). Rows of
/// one mix stand side by side, so that the base product is shared by all and each adapter's change
/// is one skinny product.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_trunk.hpp"
#include "anyssr/backbone/llama/sampler.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct LlamaPredictOptions {
  Index max_tokens = 64;  ///< at least 0
  SamplingOptions sampling = {};
  bool ignore_eos = false;  ///< go on past the end of the text
};

/// An answer.
struct LlamaOutput {
  std::vector<TokenId> tokens;  ///< without the end-of-text token
  bool is_complete = false;     ///< ended by itself, and not by max_tokens or max_positions

  [[nodiscard]] friend bool operator==(const LlamaOutput&, const LlamaOutput&) = default;
};

namespace detail {

/// The decoding of some sequences.
template <RealScalar S>
class LlamaGeneration {
 public:
  LlamaGeneration(const LlamaModel<S>& model, const LlamaPredictOptions& options)
      : model_(model), options_(options), tables_(model.rotary()) {
    expect(options.max_tokens >= 0, "max_tokens is ", options.max_tokens, ", expected at least 0");
    options.sampling.check();
  }

  /// Adds a query. Queries of one mix must come one after another.
  /// @param number  for its random numbers
  void add(const LlamaSequence& sequence, const AdapterMix<S>& mix, std::size_t number) {
    const LlamaConfig& config = model_.config();
    const Index left = config.max_positions - sequence.query;
    const Index room = sequence.query + std::min(options_.max_tokens, left);
    states_.push_back(
        {.cache = std::make_unique<KeyValueCache<S>>(config.layers, room, config.kv_dim()),
         .sampler = Sampler(options_.sampling, number),
         .mix = mix,
         .length = sequence.query,
         .room = room,
         .number = number});
  }

  /// What the shallow layers computed for query i.
  template <class K, class V>
  void put(std::size_t i, Index layer, const K& keys, const V& values) {
    states_[i].cache->put(layer, 0, keys, values);
  }

  /// @param first    the layer that x enters
  /// @param x        the hidden states of all queries, in the order in which they were added
  /// @param a        memory
  /// @param outputs  by number
  void run(Index first, RowMajorMatrix<S> x, LlamaActivations<S>& a,
           std::span<LlamaOutput> outputs) {
    if (states_.empty() || options_.max_tokens == 0) return;
    LlamaBatch<S> batch = make_batch([](const State& state) { return state.length; }, true);
    LlamaBatch<S> ends = make_batch([](const State&) { return Index{1}; }, false);
    for (AttentionSpan<S>& span : ends.spans) --span.position;  // the query's last token
    tables_.grow(batch.positions());
    const Index layers = model_.config().layers;
    model_.run_layers(first, layers - 1, tables_, batch, x, a);
    model_.run_top_layer(tables_, batch, ends, x, a);
    bool is_changed = take(x, outputs);
    for (std::vector<TokenId> ids; !states_.empty();) {
      if (is_changed || ids.empty()) {
        batch = make_batch([](const State&) { return Index{1}; }, false);
      }
      ids.clear();
      for (std::size_t i = 0; i < states_.size(); ++i) {
        ids.push_back(states_[i].next);
        batch.spans[i].position = states_[i].length++;
      }
      tables_.grow(batch.positions());
      model_.embed(ids, x);
      model_.run_layers(0, layers, tables_, batch, x, a);
      is_changed = take(x, outputs);
    }
  }

 private:
  struct State {
    std::unique_ptr<KeyValueCache<S>> cache;
    Sampler sampler;
    AdapterMix<S> mix;
    Index length;  // tokens in the cache
    Index room;    // tokens that fit
    std::size_t number;
    TokenId next = 0;
  };

  template <class Rows>
  [[nodiscard]] LlamaBatch<S> make_batch(const Rows& rows, bool from_start) {
    LlamaBatch<S> batch;
    std::vector<AdapterRows<S>> groups;
    for (const State& state : states_) {
      const Index begin = batch.rows();
      batch.add(rows(state), from_start ? 0 : state.length, state.cache.get());
      if (groups.empty() || !same_entries(groups.back().mix, state.mix)) {
        groups.push_back({state.mix, begin, 0});
      }
      groups.back().rows += batch.rows() - begin;
    }
    batch.plan = AdapterPlan<S>(model_.config(), groups);
    return batch;
  }

  /// Picks a token a sequence; those that are done leave. True where some did.
  bool take(const RowMajorMatrix<S>& last, std::span<LlamaOutput> outputs) {
    const RowMajorMatrix<S> logits = model_.logits(last);
    const std::vector<TokenId>& ends = model_.config().eos;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      State& state = states_[i];
      LlamaOutput& output = outputs[state.number];
      state.next = state.sampler.pick(logits.row(static_cast<Index>(i)));
      output.is_complete = !options_.ignore_eos && std::ranges::count(ends, state.next) > 0;
      if (!output.is_complete) output.tokens.push_back(state.next);
    }
    const auto is_done = [&](const State& state) {
      const LlamaOutput& output = outputs[state.number];
      return output.is_complete || state.length == state.room ||
             static_cast<Index>(output.tokens.size()) == options_.max_tokens;
    };
    return std::erase_if(states_, is_done) > 0;
  }

  const LlamaModel<S>& model_;
  const LlamaPredictOptions& options_;
  LlamaRotary<S> tables_;
  std::vector<State> states_;
};

}  // namespace detail

}  // namespace anyssr::inline ANYSSR_ABI
