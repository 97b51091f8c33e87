// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the shallow layers, which carry no adapter, computed for some queries: the routing features
///
///   feature of a query = mean over its tokens (BOS counted; padding and answer never) of the
///                        hidden state after the first k layers
///
/// and all that answering goes on from: the hidden states and the keys and values of those layers.
/// Source: Any-SSR, arXiv 2503.13575 (features of shallow layers).

#include <cstddef>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_model.hpp"
#include "anyssr/core/rows.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// One query, with its answer behind it where a trunk is to train on.
struct LlamaSequence {
  std::vector<TokenId> ids;
  Index query = 0;  ///< tokens that are the query; the rest is the answer

  [[nodiscard]] Index size() const noexcept { return static_cast<Index>(ids.size()); }
};

template <RealScalar S>
struct LlamaTrunk {
  std::vector<LlamaSequence> sequences;
  RowMajorMatrix<S> features;  ///< sequences x hidden_size

  // Rows are the tokens of all sequences, one after another. A trunk of training rows keeps no keys
  // and values; one that is too large to keep (LlamaOptions::trunk_cache_bytes) no hidden states
  // either: they are computed again where rows of it are asked for.
  RowMajorMatrix<S> hidden;               ///< tokens x hidden_size after the first k layers
  std::vector<RowMajorMatrix<S>> keys;    ///< by layer, tokens x kv_dim, turned
  std::vector<RowMajorMatrix<S>> values;  ///< by layer, tokens x kv_dim

  [[nodiscard]] Index rows() const noexcept { return static_cast<Index>(sequences.size()); }
  [[nodiscard]] Index tokens() const noexcept {
    return std::accumulate(sequences.begin(), sequences.end(), Index{0},
                           [](Index sum, const LlamaSequence& s) { return sum + s.size(); });
  }
  [[nodiscard]] bool has_hidden() const noexcept { return hidden.rows() == tokens(); }
  [[nodiscard]] bool has_keys() const noexcept { return !keys.empty(); }

  /// First token row of each sequence.
  [[nodiscard]] std::vector<Index> offsets() const {
    std::vector<Index> result;
    Index row = 0;
    for (const LlamaSequence& sequence : sequences) {
      result.push_back(row);
      row += sequence.size();
    }
    return result;
  }
};

namespace detail {

template <RealScalar S>
void expect_query(const LlamaModel<S>& model, const std::vector<TokenId>& query, std::size_t i) {
  const Index most = model.config().max_positions;
  expect(!query.empty(), "query ", i, " is empty, expected at least one token");
  expect(static_cast<Index>(query.size()) <= most, "query ", i, " has ", query.size(),
         " tokens, expected at most max_positions, ", most);
  model.expect_ids("query", i, query);
}

template <RealScalar S>
void expect_answer(const LlamaModel<S>& model, const std::vector<TokenId>& answer, std::size_t i) {
  expect(!answer.empty(), "answer ", i, " is empty, expected at least one token");
  model.expect_ids("answer", i, answer);
}

/// The queries alone.
/// @throws ArgumentError  LlamaBackbone::trunk
template <RealScalar S>
[[nodiscard]] std::vector<LlamaSequence> query_sequences(
    const LlamaModel<S>& model, std::span<const std::vector<TokenId>> queries) {
  std::vector<LlamaSequence> sequences;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    expect_query(model, queries[i], i);
    sequences.push_back({queries[i], static_cast<Index>(queries[i].size())});
  }
  return sequences;
}

/// Queries with their answers behind them.
/// @throws ShapeError, ArgumentError  LlamaBackbone::training_trunk
template <RealScalar S>
[[nodiscard]] std::vector<LlamaSequence> training_sequences(
    const LlamaModel<S>& model, std::span<const std::vector<TokenId>> queries,
    std::span<const std::vector<TokenId>> answers) {
  expect_count("targets", answers.size(), static_cast<Index>(queries.size()));
  const Index most = model.config().max_positions;
  std::vector<LlamaSequence> sequences;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    expect_query(model, queries[i], i);
    expect_answer(model, answers[i], i);
    LlamaSequence sequence{queries[i], static_cast<Index>(queries[i].size())};
    sequence.ids.insert(sequence.ids.end(), answers[i].begin(), answers[i].end());
    expect(sequence.size() <= most, "query and answer ", i, " have ", sequence.size(),
           " tokens, expected at most max_positions, ", most);
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

/// The named sequences of a trunk with all that it has of them.
template <RealScalar S>
[[nodiscard]] LlamaTrunk<S> select_sequences(const LlamaTrunk<S>& trunk,
                                             std::span<const Index> rows) {
  expect_row_numbers(rows, trunk.rows());
  const std::vector<Index> offsets = trunk.offsets();
  LlamaTrunk<S> result;
  std::vector<Index> tokens;
  for (const Index row : rows) {
    const auto r = static_cast<std::size_t>(row);
    result.sequences.push_back(trunk.sequences[r]);
    for (Index i = 0; i < trunk.sequences[r].size(); ++i) tokens.push_back(offsets[r] + i);
  }
  result.features = select_rows(trunk.features, rows);
  if (trunk.has_hidden()) result.hidden = select_rows(trunk.hidden, tokens);
  for (const auto& keys : trunk.keys) result.keys.push_back(select_rows(keys, tokens));
  for (const auto& values : trunk.values) result.values.push_back(select_rows(values, tokens));
  return result;
}

}  // namespace detail

}  // namespace anyssr::inline ANYSSR_ABI
