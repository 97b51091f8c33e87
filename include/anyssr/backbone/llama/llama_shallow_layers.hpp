// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The layers of a LLaMA-family model that carry no adapter: they turn sequences into trunks, for
/// routing and for what the deeper layers go on from.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_model.hpp"
#include "anyssr/backbone/llama/llama_trunk.hpp"
#include "anyssr/core/reused_matrix.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Calls may come from several threads. A copy counts its tokens from 0.
template <RealScalar S>
class LlamaShallowLayers {
 public:
  using Trunk = LlamaTrunk<S>;

  /// @param layers  k: layers 0..k-1
  LlamaShallowLayers(std::shared_ptr<const LlamaModel<S>> model, Index layers)
      : model_(std::move(model)), layers_(layers) {}

  /// Tokens that went through these layers so far.
  [[nodiscard]] std::uint64_t tokens() const noexcept { return counter_.tokens; }
  /// Counts tokens that went through them by another way, under an adapter.
  void count(std::size_t tokens) const noexcept { counter_.tokens += tokens; }
  /// Memory of the largest passes so far, for other passes too: fresh pages cost time.
  [[nodiscard]] Pool<LlamaActivations<S>>& activations() const noexcept { return activations_; }

  /// Features and hidden states of a trunk's sequences, and where asked for keys and values.
  void compute(Trunk& trunk, bool keep_keys) const;

  /// Features, and hidden states where asked for, with the memory of one piece of the sequences
  /// besides.
  void compute_in_pieces(Trunk& trunk, bool keep_hidden) const;

  /// The same sequences with their hidden states.
  /// @param keep_keys  the queries alone, with all that answering needs
  [[nodiscard]] Trunk computed_again(const Trunk& trunk, bool keep_keys) const;

 private:
  struct Counter {
    Counter() = default;
    Counter(const Counter& /*other*/) noexcept {}
    Counter& operator=(const Counter& /*other*/) noexcept { return *this; }
    mutable std::atomic<std::uint64_t> tokens{0};
  };

  std::shared_ptr<const LlamaModel<S>> model_;
  Index layers_;
  Counter counter_;
  mutable Pool<LlamaActivations<S>> activations_;
};

template <RealScalar S>
void LlamaShallowLayers<S>::compute(Trunk& trunk, bool keep_keys) const {
  const Index width = model_->config().hidden_size;
  std::vector<TokenId> ids;
  LlamaBatch<S> batch;
  for (const LlamaSequence& sequence : trunk.sequences) {
    ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.end());
    batch.add(sequence.size());
  }
  trunk.features.resize(trunk.rows(), width);
  trunk.hidden.resize(0, width);
  if (trunk.rows() == 0) return;
  count(ids.size());
  LlamaRotary<S> tables = model_->rotary();
  tables.grow(batch.positions());
  model_->embed(ids, trunk.hidden);
  activations_.with([&](LlamaActivations<S>& a) {
    for (Index layer = 0; layer < layers_; ++layer) {
      model_->run_layer(layer, tables, batch, trunk.hidden, a);
      if (!keep_keys) continue;
      trunk.keys.emplace_back(a.k);
      trunk.values.emplace_back(a.v);
    }
  });
  for (Index i = 0; i < trunk.rows(); ++i) {
    const auto s = static_cast<std::size_t>(i);
    trunk.features.row(i) =
        trunk.hidden.middleRows(batch.spans[s].begin, trunk.sequences[s].query).colwise().mean();
  }
}

template <RealScalar S>
void LlamaShallowLayers<S>::compute_in_pieces(Trunk& trunk, bool keep_hidden) const {
  constexpr Index most = 4096;  // tokens per piece
  const Index width = model_->config().hidden_size;
  trunk.features.resize(trunk.rows(), width);
  trunk.hidden.resize(keep_hidden ? trunk.tokens() : 0, width);
  Index first = 0;
  Index first_token = 0;
  while (first < trunk.rows()) {
    Trunk piece;
    Index size = 0;
    Index last = first;
    do {
      const LlamaSequence& sequence = trunk.sequences[static_cast<std::size_t>(last++)];
      size += sequence.size();
      piece.sequences.push_back(sequence);
    } while (last < trunk.rows() &&
             size + trunk.sequences[static_cast<std::size_t>(last)].size() <= most);
    compute(piece, false);
    trunk.features.middleRows(first, last - first) = piece.features;
    if (keep_hidden) trunk.hidden.middleRows(first_token, size) = piece.hidden;
    first = last;
    first_token += size;
  }
}

template <RealScalar S>
LlamaTrunk<S> LlamaShallowLayers<S>::computed_again(const Trunk& trunk, bool keep_keys) const {
  Trunk result;
  result.sequences = trunk.sequences;
  if (keep_keys) {
    for (LlamaSequence& s : result.sequences) s.ids.resize(static_cast<std::size_t>(s.query));
  }
  compute(result, keep_keys);
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
