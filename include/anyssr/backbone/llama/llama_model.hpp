// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A LLaMA-family decoder: the frozen weights and the forward pass of its layers, one row a token,
/// sequences of any lengths one after another (no padding):
///
///   n = RMSNorm(x)     q, k, v = n Wq^T, n Wk^T, n Wv^T     q, k turned by position
///   x += attention(q, k, v) Wo^T
///   n = RMSNorm(x)     x += (silu(n Wg^T) * n Wu^T) Wd^T
///   logits = RMSNorm(x) W_out^T
///
/// What LlamaForm and the layers' rotations change: embeddings times a factor; an RMSNorm on each
/// head of q and k before it is turned; layers that turn nothing or by another base; an RMSNorm on
/// what attention and MLP add to x; GELU in the place of silu. The weights of a norm are what it
/// multiplies by, however files store them.
///
/// Each product may carry the low-rank changes of the rows' adapters; the weights are never copied
/// or changed. Sources: arXiv 2302.13971, 2307.09288 (LLaMA), 2310.06825 (Mistral);
/// llama_families.hpp has those of the other families.

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/attention.hpp"
#include "anyssr/backbone/llama/key_value_cache.hpp"
#include "anyssr/backbone/llama/llama_kernels.hpp"
#include "anyssr/backbone/llama/llama_rotary.hpp"
#include "anyssr/backbone/llama/llama_sites.hpp"
#include "anyssr/backbone/llama/llama_weights.hpp"
#include "anyssr/backbone/llama/weight_product.hpp"
#include "anyssr/core/reused_matrix.hpp"
#include "anyssr/core/rows.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// The sequences of one pass.
template <RealScalar S>
struct LlamaBatch {
  std::vector<AttentionSpan<S>> spans;    // in the order of their rows
  std::vector<KeyValueCache<S>*> caches;  // one a span, where keys and values are kept; or none
  AdapterPlan<S> plan;

  [[nodiscard]] Index rows() const noexcept {
    return spans.empty() ? 0 : spans.back().begin + spans.back().rows;
  }
  /// Adds a sequence whose first row has `position`.
  void add(Index rows, Index position = 0, KeyValueCache<S>* cache = nullptr) {
    spans.push_back({.begin = this->rows(), .rows = rows, .position = position});
    if (cache != nullptr) caches.push_back(cache);
  }
  /// Answers every row added so far under one mix of adapters.
  void use(const LlamaConfig& config, const AdapterMix<S>& mix) {
    plan = AdapterPlan<S>(config, {{mix, 0, rows()}});
  }
  /// One more than the last position.
  [[nodiscard]] Index positions() const noexcept {
    Index most = 0;
    for (const AttentionSpan<S>& span : spans) most = std::max(most, span.position + span.rows);
    return most;
  }
};

/// What a layer computed on its way.
template <RealScalar S>
struct LlamaActivations {
  ReusedMatrix<S> normed;  // of q, k, v
  ReusedMatrix<S> raw_q;   // before the norms of heads, where a model has them
  ReusedMatrix<S> raw_k;
  ReusedMatrix<S> q;  // turned
  ReusedMatrix<S> k;  // turned
  ReusedMatrix<S> v;
  ReusedMatrix<S> attended;       // of o
  ReusedMatrix<S> middle;         // of the second norm
  ReusedMatrix<S> middle_normed;  // of gate, up
  ReusedMatrix<S> gate;
  ReusedMatrix<S> up;
  ReusedMatrix<S> product;           // of down
  ReusedMatrix<S> attention_branch;  // what o and down put out, where that is normalised
  ReusedMatrix<S> mlp_branch;
};

}  // namespace detail

template <RealScalar S>
class LlamaModel {
 public:
  using Scalar = S;
  using Batch = detail::LlamaBatch<S>;
  using Activations = detail::LlamaActivations<S>;

  /// @param threads  0: the cores that this process may use
  /// @throws ArgumentError, ShapeError  the weights are not of the configuration's shapes
  LlamaModel(LlamaConfig config, LlamaWeights<S> weights, int threads = 0)
      : config_(std::move(config)),
        weights_(std::move(weights)),
        linears_(detail::llama_linears<S>(config_)),
        threads_(resolve_threads(threads)) {
    config_.check();
    expect_shapes();
    for (const LlamaLayerWeights<S>& layer : weights_.layers) {
      for (const auto& linear : linears_) count(layer.*linear.weight);
    }
    count(weights_.output);
  }

  [[nodiscard]] const LlamaConfig& config() const noexcept { return config_; }
  [[nodiscard]] const LlamaWeights<S>& weights() const noexcept { return weights_; }
  /// Threads for a pass of so many rows: one where it takes less than about two milliseconds.
  [[nodiscard]] int threads_for(Index rows) const noexcept {
    const double flops = 2 * static_cast<double>(rows) * numbers_;
    const double seconds = detail::product_seconds(bytes_, flops);
    return seconds < detail::least_shared_seconds ? 1 : threads_;
  }

  /// @param name, number  of what the ids are, for the message
  /// @throws ArgumentError  for an id outside the vocabulary
  void expect_ids(std::string_view name, std::size_t number, std::span<const TokenId> ids) const {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      detail::expect(ids[i] >= 0 && ids[i] < config_.vocab_size, name, " ", number, " has id ",
                     ids[i], " at place ", i, ", expected 0..", config_.vocab_size - 1);
    }
  }

  /// The embeddings of tokens, ids.size() x hidden_size.
  void embed(std::span<const TokenId> ids, RowMajorMatrix<S>& x) const {
    x.resize(static_cast<Index>(ids.size()), config_.hidden_size);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      weights_.embedding.row(static_cast<Index>(ids[i]), x.row(static_cast<Index>(i)).data());
    }
    if (config_.form.embedding_factor != 1) x *= static_cast<S>(config_.form.embedding_factor);
  }

  [[nodiscard]] detail::LlamaRotary<S> rotary() const { return detail::LlamaRotary<S>(config_); }

  /// One layer: x, the batch's rows, become its output.
  /// @param tables  know the batch's positions
  template <class X>
  void run_layer(Index layer, const detail::LlamaRotary<S>& tables, Batch& batch, X& x,
                 Activations& a) const {
    const detail::SerialEigen serial;
    norm_input(layer, x, a);
    project<3>(layer, {LlamaProjection::q, LlamaProjection::k, LlamaProjection::v}, batch.plan,
               a.normed, {&projected_q(a), &projected_k(a), &a.v});
    finish_queries(layer, tables, batch, a);
    finish_keys(layer, tables, batch, a);
    place_keys(layer, batch, a);
    finish_layer(layer, batch, x, a);
  }

  /// The top layer where each sequence's last row alone is wanted: all rows give keys and values,
  /// and one a sequence goes on. x becomes those rows.
  /// @param last  they as a batch: one row a sequence, at its last position in `batch`
  void run_top_layer(const detail::LlamaRotary<S>& tables, Batch& batch, Batch& last,
                     RowMajorMatrix<S>& x, Activations& a) const {
    const detail::SerialEigen serial;
    const Index layer = config_.layers - 1;
    norm_input(layer, x, a);
    project<2>(layer, {LlamaProjection::k, LlamaProjection::v}, batch.plan, a.normed,
               {&projected_k(a), &a.v});
    finish_keys(layer, tables, batch, a);
    place_keys(layer, batch, a);
    std::vector<Index> ends;
    for (std::size_t i = 0; i < batch.spans.size(); ++i) {
      const auto& span = batch.spans[i];
      ends.push_back(span.begin + span.rows - 1);
      last.spans[i].keys = span.keys;
      last.spans[i].values = span.values;
    }
    x = select_rows(x, ends);
    norm_input(layer, x, a);
    project<1>(layer, {LlamaProjection::q}, last.plan, a.normed, {&projected_q(a)});
    finish_queries(layer, tables, last, a);
    finish_layer(layer, last, x, a);
  }

  /// Layers first..last-1.
  template <class X>
  void run_layers(Index first, Index last, const detail::LlamaRotary<S>& tables, Batch& batch, X& x,
                  Activations& a) const {
    for (Index layer = first; layer < last; ++layer) run_layer(layer, tables, batch, x, a);
  }

  /// Of rows that the last layer put out: n x vocab_size.
  [[nodiscard]] RowMajorMatrix<S> logits(const RowMajorMatrix<S>& x) const {
    RowMajorMatrix<S> normed(x.rows(), x.cols());
    detail::rms_norm<S>(x, weights_.norm, config_.rms_norm_eps, normed, threads_for(x.rows()));
    RowMajorMatrix<S> result(x.rows(), config_.vocab_size);
    multiply<S>(normed, weights_.output, result, threads_for(x.rows()));
    return result;
  }

  [[nodiscard]] const WeightMatrix& weight(Index layer, LlamaProjection projection) const {
    return layer_weights(layer).*linear(projection).weight;
  }
  [[nodiscard]] const LlamaLayerWeights<S>& layer_weights(Index layer) const {
    return weights_.layers[static_cast<std::size_t>(layer)];
  }

  [[nodiscard]] std::string site(Index layer, LlamaProjection projection) const {
    return detail::site_name(layer, linear(projection).name);
  }

  [[nodiscard]] detail::AttentionShape attention_shape(Index layer) const {
    return {.heads = config_.heads,
            .kv_heads = config_.kv_heads,
            .head_dim = config_.head_dim,
            .window = config_.windows[static_cast<std::size_t>(layer)],
            .query_scalar = config_.form.query_scalar};
  }

 private:
  [[nodiscard]] const detail::LlamaLinear<S>& linear(LlamaProjection projection) const {
    return linears_[static_cast<std::size_t>(projection)];
  }

  void count(const WeightMatrix& weight) noexcept {
    bytes_ += static_cast<double>(weight.bytes());
    numbers_ += static_cast<double>(weight.rows() * weight.cols());
  }

  void expect_shapes() const {
    using detail::expect;
    expect<ShapeError>(static_cast<Index>(weights_.layers.size()) == config_.layers,
                       "weights have ", weights_.layers.size(), " layers, expected ",
                       config_.layers);
    const auto expect_matrix = [](std::string_view name, const WeightMatrix& w, Index rows,
                                  Index cols) {
      expect<ShapeError>(w.rows() == rows && w.cols() == cols, name, " is ", w.rows(), " x ",
                         w.cols(), ", expected ", rows, " x ", cols);
    };
    const auto expect_vector = [](std::string_view name, const RowVector<S>& v, Index size) {
      expect<ShapeError>(v.size() == size, name, " has ", v.size(), " numbers, expected ", size);
    };
    const Index h = config_.hidden_size;
    expect_matrix("embedding", weights_.embedding, config_.vocab_size, h);
    expect_matrix("output", weights_.output, config_.vocab_size, h);
    expect_vector("norm", weights_.norm, h);
    for (Index layer = 0; layer < config_.layers; ++layer) {
      const LlamaLayerWeights<S>& w = layer_weights(layer);
      for (const auto& norm : detail::llama_norms<S>(config_)) {
        expect_vector(norm.member, w.*norm.weight, norm.size);
      }
      for (const auto& linear : linears_) {
        const std::string name = detail::site_name(layer, linear.name);
        expect_matrix(name, w.*linear.weight, linear.rows, linear.cols);
        expect_vector(name + ".bias", w.*linear.bias, linear.has_bias ? linear.rows : 0);
      }
    }
  }

  template <class X, class Y>
  void finish(Index layer, LlamaProjection projection, const detail::AdapterPlan<S>& plan,
              const X& x, Y& y) const {
    const RowVector<S>& added = layer_weights(layer).*linear(projection).bias;
    if (added.size() > 0) y.rowwise() += added;
    plan.add(layer, projection, x, y);
  }

  /// y_i = x W_i^T + b_i + changes
  template <std::size_t N>
  void project(Index layer, const std::array<LlamaProjection, N>& projections,
               const detail::AdapterPlan<S>& plan, const detail::ReusedMatrix<S>& x,
               const std::array<detail::ReusedMatrix<S>*, N>& y) const {
    std::array<const WeightMatrix*, N> weights;
    std::vector<Eigen::Ref<RowMajorMatrix<S>>> results;
    for (std::size_t i = 0; i < N; ++i) {
      weights[i] = &weight(layer, projections[i]);
      y[i]->resize(x.rows(), weights[i]->rows());
      results.emplace_back(*y[i]);
    }
    multiply_all<S>(x, weights, results, threads_for(x.rows()));
    for (std::size_t i = 0; i < N; ++i) finish(layer, projections[i], plan, x, *y[i]);
  }

  /// y += x W^T + b + changes
  template <class Y>
  void add_product(Index layer, LlamaProjection projection, const detail::AdapterPlan<S>& plan,
                   const detail::ReusedMatrix<S>& x, Y& y) const {
    multiply<S>(x, weight(layer, projection), y, threads_for(x.rows()), true);
    finish(layer, projection, plan, x, y);
  }

  template <class X>
  void norm_input(Index layer, const X& x, Activations& a) const {
    a.normed.resize(x.rows(), x.cols());
    detail::rms_norm<S>(x, layer_weights(layer).input_norm, config_.rms_norm_eps, a.normed,
                        threads_for(x.rows()));
  }

  /// Where projections put queries and keys.
  [[nodiscard]] detail::ReusedMatrix<S>& projected_q(Activations& a) const noexcept {
    return config_.form.head_norms ? a.raw_q : a.q;
  }
  [[nodiscard]] detail::ReusedMatrix<S>& projected_k(Activations& a) const noexcept {
    return config_.form.head_norms ? a.raw_k : a.k;
  }
  /// Norms of heads, and turning by position.
  void finish_queries(Index layer, const detail::LlamaRotary<S>& tables, const Batch& batch,
                      Activations& a) const {
    if (config_.form.head_norms) norm_heads(layer_weights(layer).q_norm, a.raw_q, a.q);
    turn(tables.of(layer), batch, config_.heads, a.q);
  }
  void finish_keys(Index layer, const detail::LlamaRotary<S>& tables, const Batch& batch,
                   Activations& a) const {
    if (config_.form.head_norms) norm_heads(layer_weights(layer).k_norm, a.raw_k, a.k);
    turn(tables.of(layer), batch, config_.kv_heads, a.k);
  }

  /// A row of heads is head_dim numbers and head_dim numbers and so on: a matrix of one head a row.
  void norm_heads(const RowVector<S>& norm, const detail::ReusedMatrix<S>& from,
                  detail::ReusedMatrix<S>& to) const {
    to.resize(from.rows(), from.cols());
    const Index h = config_.head_dim;
    detail::rms_norm<S>(Eigen::Map<const RowMajorMatrix<S>>(from.data(), from.size() / h, h), norm,
                        config_.rms_norm_eps,
                        Eigen::Map<RowMajorMatrix<S>>(to.data(), to.size() / h, h),
                        threads_for(from.rows()));
  }

  static void turn(const detail::RotaryTable<S>* table, const Batch& batch, Index heads,
                   detail::ReusedMatrix<S>& rows) {
    if (table == nullptr) return;
    for (const auto& span : batch.spans) {
      for (Index i = 0; i < span.rows; ++i) {
        table->turn(rows.row(span.begin + i).data(), heads, span.position + i, false);
      }
    }
  }

  /// y += the branch that ends in this product: itself, or its norm where `norm` is not empty.
  template <class Y>
  void add_branch(Index layer, LlamaProjection projection, const detail::AdapterPlan<S>& plan,
                  const detail::ReusedMatrix<S>& x, const RowVector<S>& norm,
                  detail::ReusedMatrix<S>& branch, Y& y) const {
    if (norm.size() == 0) return add_product(layer, projection, plan, x, y);
    project<1>(layer, {projection}, plan, x, {&branch});
    detail::add_rms_norm<S>(branch, norm, config_.rms_norm_eps, y, threads_for(x.rows()));
  }

  /// From queries, keys and values on.
  template <class X>
  void finish_layer(Index layer, const Batch& batch, X& x, Activations& a) const {
    const LlamaLayerWeights<S>& w = layer_weights(layer);
    const int threads = threads_for(x.rows());
    a.attended.resize(x.rows(), config_.query_dim());
    detail::attend<S>(attention_shape(layer), batch.spans, a.q, a.attended, threads);
    a.middle.assign(x);
    add_branch(layer, LlamaProjection::o, batch.plan, a.attended, w.attention_branch_norm,
               a.attention_branch, a.middle);
    a.middle_normed.resize(x.rows(), x.cols());
    detail::rms_norm<S>(a.middle, w.post_attention_norm, config_.rms_norm_eps, a.middle_normed,
                        threads);
    project<2>(layer, {LlamaProjection::gate, LlamaProjection::up}, batch.plan, a.middle_normed,
               {&a.gate, &a.up});
    if (config_.form.activation == GateActivation::silu) {
      detail::swiglu(a.gate, a.up, a.product, threads);
    } else {
      detail::geglu(a.gate, a.up, a.product, threads);
    }
    x.noalias() = a.middle;
    add_branch(layer, LlamaProjection::down, batch.plan, a.product, w.mlp_branch_norm, a.mlp_branch,
               x);
  }

  /// Tells the spans where their keys and values are: in the caches, or in this pass's rows.
  void place_keys(Index layer, Batch& batch, const Activations& a) const {
    for (std::size_t i = 0; i < batch.spans.size(); ++i) {
      auto& span = batch.spans[i];
      if (batch.caches.empty()) {
        span.keys = a.k.row(span.begin).data();
        span.values = a.v.row(span.begin).data();
      } else {
        KeyValueCache<S>& cache = *batch.caches[i];
        cache.put(layer, span.position, a.k.middleRows(span.begin, span.rows),
                  a.v.middleRows(span.begin, span.rows));
        span.keys = cache.keys(layer);
        span.values = cache.values(layer);
      }
    }
  }

  LlamaConfig config_;
  LlamaWeights<S> weights_;
  std::array<detail::LlamaLinear<S>, detail::projection_count> linears_;
  double bytes_ = 0;    // of the weights that a pass reads
  double numbers_ = 0;  // of them
  int threads_;
};

}  // namespace anyssr::inline ANYSSR_ABI
