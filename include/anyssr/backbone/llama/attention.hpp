// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Causal grouped-query attention of one sequence, forward and backward. Query head a reads key and
/// value head a / (heads / kv_heads); the query at position p sees keys 0..p, or the last `window`
/// of them:
///
///   P = softmax(Q K^T / sqrt(h))     O = P V
///   dV = P^T dO     dP = dO V^T     dS = P * (dP - rowsum(dP * P))
///   dQ = dS K / sqrt(h)             dK = dS^T Q / sqrt(h)
///
/// Queries go in blocks: memory for scores is a block times the keys it sees, never T x T.
/// Sources: arXiv 1706.03762, 2305.13245 (grouped queries), 2310.06825 (sliding window).

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "anyssr/backbone/llama/llama_kernels.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

struct AttentionShape {
  Index heads = 1;
  Index kv_heads = 1;
  Index head_dim = 2;
  Index window = 0;         // keys that a query sees, its own among them; 0: all
  double query_scalar = 0;  // scores are divided by its square root; 0: by head_dim's

  template <class S>
  [[nodiscard]] S scale() const noexcept {
    const auto scalar = query_scalar > 0 ? static_cast<S>(query_scalar) : static_cast<S>(head_dim);
    return S{1} / std::sqrt(scalar);
  }
  [[nodiscard]] Index group() const noexcept { return heads / kv_heads; }
};

/// One sequence in a batch: its rows there, and its keys and values of all positions so far.
template <class S>
struct AttentionSpan {
  Index begin = 0;     // first row of the batch
  Index rows = 0;      // queries
  Index position = 0;  // of the first query; keys and values have position + rows rows
  const S* keys = nullptr;
  const S* values = nullptr;  // row-major, kv_heads head_dim wide, without gaps
};

/// Queries [begin, begin + count) of a span, and the keys [first, last) that any of them sees.
struct AttentionBlock {
  static constexpr Index queries = 64;

  AttentionBlock(Index begin_query, Index all_queries, Index position, Index window)
      : begin(begin_query),
        count(std::min(queries, all_queries - begin_query)),
        first(window == 0 ? 0 : std::max<Index>(0, position + begin + 1 - window)),
        last(position + begin + count) {}
  [[nodiscard]] Index keys() const noexcept { return last - first; }

  Index begin;
  Index count;
  Index first;
  Index last;
};

/// The keys or values of one head that a block sees, keys() x head_dim.
template <class S>
[[nodiscard]] auto head_rows(const AttentionShape& shape, const AttentionBlock& block, Index kv,
                             const S* rows) {
  const Index width = shape.kv_heads * shape.head_dim;
  return Eigen::Map<const RowMajorMatrix<S>, 0, Eigen::OuterStride<>>(
      rows + block.first * width + kv * shape.head_dim, block.keys(), shape.head_dim,
      Eigen::OuterStride<>(width));
}

/// P of one head, count x keys(); 0 for keys that a query does not see.
template <class S, class Q>
void attention_weights(const AttentionShape& shape, const AttentionSpan<S>& span,
                       const AttentionBlock& block, Index head, const Q& q,
                       RowMajorMatrix<S>& weights) {
  const Index h = shape.head_dim;
  weights.resize(block.count, block.keys());
  set_product(weights, q.block(span.begin + block.begin, head * h, block.count, h),
              head_rows(shape, block, head / shape.group(), span.keys).transpose());
  const S scale = shape.scale<S>();
  for (Index i = 0; i < block.count; ++i) {
    const Index own = span.position + block.begin + i;  // the query's own key
    const Index low = shape.window == 0 ? 0 : std::max<Index>(0, own + 1 - shape.window);
    const Index before = low - block.first;
    const Index seen = own + 1 - low;
    auto row = weights.row(i);
    auto visible = row.segment(before, seen).array();
    const S largest = visible.maxCoeff();
    visible = (scale * (visible - largest)).exp();
    visible *= S{1} / visible.sum();
    row.head(before).setZero();
    row.tail(block.keys() - before - seen).setZero();
  }
}

/// out = attention of all spans' queries q (rows x heads head_dim).
template <class S, class Q, class O>
void attend(const AttentionShape& shape, std::span<const AttentionSpan<S>> spans, const Q& q,
            O& out, int threads) {
  struct Task {
    const AttentionSpan<S>* span;
    AttentionBlock block;
  };
  std::vector<Task> tasks;
  double flops = 0;
  for (const AttentionSpan<S>& span : spans) {
    // late blocks see most keys: they come first, so that threads end together
    const Index blocks = (span.rows + AttentionBlock::queries - 1) / AttentionBlock::queries;
    for (Index b = blocks - 1; b >= 0; --b) {
      tasks.push_back(
          {&span, {b * AttentionBlock::queries, span.rows, span.position, shape.window}});
      const AttentionBlock& block = tasks.back().block;
      flops += 4.0 * static_cast<double>(block.count * block.keys() * q.cols());
    }
  }
  const Index h = shape.head_dim;
  const auto count = static_cast<Index>(tasks.size());
  parallel_for(flops < 1e6 ? 1 : threads, count * shape.heads, [&](Index i) {
    const auto& [span, block] = tasks[static_cast<std::size_t>(i / shape.heads)];
    const Index head = i % shape.heads;
    RowMajorMatrix<S> weights;
    attention_weights(shape, *span, block, head, q, weights);
    set_product(out.block(span->begin + block.begin, head * h, block.count, h), weights,
                head_rows(shape, block, head / shape.group(), span->values));
  });
}

/// dq, dk and dv become the gradients, of d_out by out. The spans are whole sequences (position 0)
/// whose keys and values are their rows of k and v. All heads that share keys have one owner.
template <class S, class Q, class D>
void attend_backward(const AttentionShape& shape, std::span<const AttentionSpan<S>> spans,
                     const Q& q, const Q& d_out, D& dq, D& dk, D& dv, int threads) {
  const Index h = shape.head_dim;
  const S scale = shape.scale<S>();
  const auto run = [&](const AttentionSpan<S>& span, Index head, const AttentionBlock& block) {
    const Index kv = head / shape.group();
    const Index row = span.begin + block.begin;
    const Index key = span.begin + block.first;
    RowMajorMatrix<S> weights;
    attention_weights(shape, span, block, head, q, weights);
    const auto d_rows = d_out.block(row, head * h, block.count, h);
    RowMajorMatrix<S> d_scores(block.count, block.keys());
    set_product(d_scores, d_rows, head_rows(shape, block, kv, span.values).transpose());
    add_product(dv.block(key, kv * h, block.keys(), h), weights.transpose(), d_rows);
    for (Index i = 0; i < block.count; ++i) {
      const S along = d_scores.row(i).dot(weights.row(i));
      d_scores.row(i).array() = scale * weights.row(i).array() * (d_scores.row(i).array() - along);
    }
    set_product(dq.block(row, head * h, block.count, h), d_scores,
                head_rows(shape, block, kv, span.keys));
    add_product(dk.block(key, kv * h, block.keys(), h), d_scores.transpose(),
                q.block(row, head * h, block.count, h));
  };
  dk.setZero();
  dv.setZero();
  parallel_for(threads, static_cast<Index>(spans.size()) * shape.kv_heads, [&](Index i) {
    const AttentionSpan<S>& span = spans[static_cast<std::size_t>(i / shape.kv_heads)];
    const Index first = i % shape.kv_heads * shape.group();
    for (Index head = first; head < first + shape.group(); ++head) {
      for (Index begin = 0; begin < span.rows; begin += AttentionBlock::queries) {
        run(span, head, {begin, span.rows, 0, shape.window});
      }
    }
  });
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
