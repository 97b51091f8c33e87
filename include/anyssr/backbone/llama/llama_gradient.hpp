// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The loss on answer tokens and its gradient by an adapter's numbers, back to the lowest layer
/// that adapters change. N answer tokens of the whole batch, row t the position before one:
///
///   loss = -1/N sum_t log softmax(logits_t)[token]       d logits_t = (softmax - onehot) / N
///
/// then layer by layer downwards: dx += dy W for each product, the rules of llama_kernels.hpp and
/// attention.hpp between them, and at a site with a module
///   dB = c dY^T (X A^T)     dA = c (dY B)^T X     dX += c (dY B) A
/// The frozen weights get no gradient.

#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_model.hpp"
#include "anyssr/core/threads.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// A row whose next token is asked for.
struct AskedRow {
  Index row = 0;
  TokenId token = 0;
};

/// The memory of a pass, for the next one.
template <RealScalar S>
struct LlamaGradientSpace {
  std::vector<ReusedMatrix<S>> inputs;    // by layer
  std::vector<LlamaActivations<S>> kept;  // by layer; one where they are computed again
  ReusedMatrix<S> x, dx, d_product, d_normed, d_attended, dq, dk, dv;
  ReusedMatrix<S> d_branch, d_raw_q, d_raw_k;  // of models with norms there
};

/// One batch through the layers first..: whole sequences, hidden states in, gradient out.
template <RealScalar S>
class LlamaGradient {
 public:
  /// @param first      the layer that `hidden` enters
  /// @param recompute  keep each layer's input only, and compute the rest again on the way back
  LlamaGradient(const LlamaModel<S>& model, Index first, LlamaBatch<S> batch,
                const Adapter<S>& adapter, bool recompute)
      : model_(model),
        config_(model.config()),
        first_(first),
        batch_(std::move(batch)),
        adapter_(adapter),
        recompute_(recompute),
        tables_(model.rotary()) {
    tables_.grow(batch_.positions());
    batch_.plan = AdapterPlan<S>(config_, {{AdapterMix<S>(adapter), 0, batch_.rows()}});
  }

  /// @param hidden states of batch.rows() tokens
  /// @param asked  the rows with a token to predict, at least one
  double run(const RowMajorMatrix<S>& hidden, std::span<const AskedRow> asked,
             LlamaGradientSpace<S>& space, AdapterGradient<S>& gradient) {
    const SerialEigen serial;
    const auto depth = static_cast<std::size_t>(config_.layers - first_);
    space.inputs.resize(depth);
    space.kept.resize(recompute_ ? 1 : depth);
    space.x.assign(hidden);
    for (std::size_t i = 0; i < depth; ++i) {
      space.inputs[i].assign(space.x);
      model_.run_layer(first_ + static_cast<Index>(i), tables_, batch_, space.x,
                       space.kept[recompute_ ? 0 : i]);
    }
    space.dx.assign_zero(hidden.rows(), hidden.cols());
    const double loss = answer_loss(space.x, asked, space.dx);
    for (std::size_t i = depth; i-- > 0;) {
      const Index layer = first_ + static_cast<Index>(i);
      LlamaActivations<S>& a = space.kept[recompute_ ? 0 : i];
      if (recompute_) {
        space.x.assign(space.inputs[i]);
        model_.run_layer(layer, tables_, batch_, space.x, a);
      }
      back_through(layer, space.inputs[i], a, space, gradient, i > 0);
    }
    return loss;
  }

 private:
  /// The loss; dx of the asked rows is set.
  double answer_loss(const ReusedMatrix<S>& x, std::span<const AskedRow> asked,
                     ReusedMatrix<S>& dx) const {
    constexpr std::size_t most = 256;  // logits of so many rows at once
    const LlamaWeights<S>& w = model_.weights();
    const auto count = static_cast<S>(asked.size());
    double loss = 0;
    for (std::size_t begin = 0; begin < asked.size(); begin += most) {
      const auto part = asked.subspan(begin, std::min(most, asked.size() - begin));
      const auto rows = static_cast<Index>(part.size());
      RowMajorMatrix<S> hidden(rows, x.cols());
      for (Index i = 0; i < rows; ++i) hidden.row(i) = x.row(part[static_cast<std::size_t>(i)].row);
      RowMajorMatrix<S> scores = model_.logits(hidden);
      for (Index i = 0; i < rows; ++i) {
        const Index token = part[static_cast<std::size_t>(i)].token;
        auto row = scores.row(i).array();
        const S largest = row.maxCoeff();
        const S own = row[token] - largest;
        row = (row - largest).exp();
        const S sum = row.sum();
        loss += std::log(static_cast<double>(sum)) - static_cast<double>(own);
        row *= S{1} / (sum * count);
        row[token] -= S{1} / count;
      }
      RowMajorMatrix<S> d_normed = RowMajorMatrix<S>::Zero(rows, x.cols());
      multiply_back<S>(scores, w.output, d_normed, model_.threads_for(rows));
      RowMajorMatrix<S> d_hidden = RowMajorMatrix<S>::Zero(rows, x.cols());
      rms_norm_backward<S>(hidden, w.norm, config_.rms_norm_eps, d_normed, d_hidden,
                           model_.threads_for(rows));
      for (Index i = 0; i < rows; ++i) {
        dx.row(part[static_cast<std::size_t>(i)].row) = d_hidden.row(i);
      }
    }
    return loss / static_cast<double>(asked.size());
  }

  /// space.dx: of the layer's output, becomes that of its input (where `go_on`). The activations'
  /// gate and up become their gradients.
  void back_through(Index layer, const ReusedMatrix<S>& input, LlamaActivations<S>& a,
                    LlamaGradientSpace<S>& space, AdapterGradient<S>& gradient, bool go_on) const {
    const LlamaLayerWeights<S>& w = model_.layer_weights(layer);
    const int threads = model_.threads_for(input.rows());
    ReusedMatrix<S>& dx = space.dx;
    ReusedMatrix<S>& d_normed = space.d_normed;
    space.d_product.assign_zero(dx.rows(), config_.intermediate_size);
    back(layer, LlamaProjection::down, a.product,
         branch_gradient(w.mlp_branch_norm, a.mlp_branch, space), gradient, &space.d_product);
    if (config_.form.activation == GateActivation::silu) {
      swiglu_backward(space.d_product, a.gate, a.up, threads);
    } else {
      geglu_backward(space.d_product, a.gate, a.up, threads);
    }
    d_normed.assign_zero(dx.rows(), dx.cols());
    back(layer, LlamaProjection::gate, a.middle_normed, a.gate, gradient, &d_normed);
    back(layer, LlamaProjection::up, a.middle_normed, a.up, gradient, &d_normed);
    rms_norm_backward<S>(a.middle, w.post_attention_norm, config_.rms_norm_eps, d_normed, dx,
                         threads);
    back_through_attention(layer, a, space, gradient);
    d_normed.setZero();
    ReusedMatrix<S>* const below = go_on ? &d_normed : nullptr;
    back(layer, LlamaProjection::q, a.normed,
         head_gradient(w.q_norm, a.raw_q, space.dq, space.d_raw_q), gradient, below);
    back(layer, LlamaProjection::k, a.normed,
         head_gradient(w.k_norm, a.raw_k, space.dk, space.d_raw_k), gradient, below);
    back(layer, LlamaProjection::v, a.normed, space.dv, gradient, below);
    if (go_on) {
      rms_norm_backward<S>(input, w.input_norm, config_.rms_norm_eps, d_normed, dx, threads);
    }
  }

  /// Of what a projection put out before its norm: of x where there is none.
  const ReusedMatrix<S>& branch_gradient(const RowVector<S>& norm, const ReusedMatrix<S>& branch,
                                         LlamaGradientSpace<S>& space) const {
    if (norm.size() == 0) return space.dx;
    space.d_branch.assign_zero(branch.rows(), branch.cols());
    rms_norm_backward<S>(branch, norm, config_.rms_norm_eps, space.dx, space.d_branch,
                         model_.threads_for(branch.rows()));
    return space.d_branch;
  }

  /// Of queries or keys before the norms of their heads: d_heads where there are none.
  const ReusedMatrix<S>& head_gradient(const RowVector<S>& norm, const ReusedMatrix<S>& raw,
                                       const ReusedMatrix<S>& d_heads,
                                       ReusedMatrix<S>& d_raw) const {
    if (norm.size() == 0) return d_heads;
    d_raw.assign_zero(raw.rows(), raw.cols());
    const Index h = config_.head_dim;
    const Index heads = raw.size() / h;
    using Heads = Eigen::Map<const RowMajorMatrix<S>>;
    rms_norm_backward<S>(
        Heads(raw.data(), heads, h), norm, config_.rms_norm_eps, Heads(d_heads.data(), heads, h),
        Eigen::Map<RowMajorMatrix<S>>(d_raw.data(), heads, h), model_.threads_for(raw.rows()));
    return d_raw;
  }

  /// dq, dk and dv, before they were turned, of dx at the middle of the layer.
  void back_through_attention(Index layer, const LlamaActivations<S>& a,
                              LlamaGradientSpace<S>& space, AdapterGradient<S>& gradient) const {
    space.d_attended.assign_zero(a.q.rows(), a.q.cols());
    const RowVector<S>& norm = model_.layer_weights(layer).attention_branch_norm;
    back(layer, LlamaProjection::o, a.attended, branch_gradient(norm, a.attention_branch, space),
         gradient, &space.d_attended);
    space.dq.resize(a.q.rows(), a.q.cols());
    space.dk.resize(a.k.rows(), a.k.cols());
    space.dv.resize(a.v.rows(), a.v.cols());
    std::vector<AttentionSpan<S>> spans = batch_.spans;
    for (AttentionSpan<S>& span : spans) {
      span.keys = a.k.row(span.begin).data();
      span.values = a.v.row(span.begin).data();
    }
    attend_backward<S>(model_.attention_shape(layer), spans, a.q, space.d_attended, space.dq,
                       space.dk, space.dv, model_.threads_for(a.q.rows()));
    const RotaryTable<S>* const table = tables_.of(layer);
    if (table == nullptr) return;
    for (const AttentionSpan<S>& span : spans) {
      for (Index i = 0; i < span.rows; ++i) {
        table->turn(space.dq.row(span.begin + i).data(), config_.heads, i, true);
        table->turn(space.dk.row(span.begin + i).data(), config_.kv_heads, i, true);
      }
    }
  }

  /// Of one product: dx += dy W and the module's gradients. dx null: not asked for.
  void back(Index layer, LlamaProjection projection, const ReusedMatrix<S>& x,
            const ReusedMatrix<S>& dy, AdapterGradient<S>& gradient, ReusedMatrix<S>* dx) const {
    if (dx != nullptr) {
      multiply_back<S>(dy, model_.weight(layer, projection), *dx, model_.threads_for(x.rows()));
    }
    const std::string site = model_.site(layer, projection);
    const auto module = adapter_.modules.find(site);
    if (module == adapter_.modules.end()) return;
    typename ReusedMatrix<S>::Base* const below = dx == nullptr ? nullptr : &dx->map();
    module->second.backward(x.map(), dy.map(), gradient.modules.at(site), below);
  }

  const LlamaModel<S>& model_;
  const LlamaConfig& config_;
  Index first_;
  LlamaBatch<S> batch_;
  const Adapter<S>& adapter_;
  bool recompute_;
  LlamaRotary<S> tables_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
