// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The forward pass of a BERT-family encoder over texts of unequal length, without padding: the
/// tokens of all texts stand one below another, dense layers see them together, and attention each
/// text alone.
///
///   x = LN(word[id] + position[t] + type[s])
///   x = LN(x + O(softmax(Q K^T / sqrt(h)) V))      per layer, every Q, K, V, O with its bias
///   x = LN(x + output(gelu(intermediate(x))))
///
/// Source: Devlin et al., arXiv 1810.04805.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/backbone/encoder/bert_weights.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/core/token_id.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// The tokens of one input.
struct EncoderInput {
  std::vector<TokenId> ids;    ///< special tokens included
  std::vector<TokenId> types;  ///< one per id; empty: all 0
};

namespace detail {

/// Rows of x <- LN(x), with the biased variance.
template <RealScalar S>
void layer_norm(RowMajorMatrix<S>& x, const LayerNormWeights<S>& weights, double eps) {
  const Index h = x.cols();
  const S* const weight = weights.weight.data();
  const S* const bias = weights.bias.data();
  for (Index t = 0; t < x.rows(); ++t) {
    S* const row = x.row(t).data();
    const S mean = x.row(t).sum() / static_cast<S>(h);
    S squares = 0;
    for (Index j = 0; j < h; ++j) squares += (row[j] - mean) * (row[j] - mean);
    const S scale = S{1} / std::sqrt(squares / static_cast<S>(h) + static_cast<S>(eps));
    for (Index j = 0; j < h; ++j) row[j] = (row[j] - mean) * scale * weight[j] + bias[j];
  }
}

/// 1 - erf(x) for x >= 0 in float, error below 2e-7.
/// Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
template <class X>
[[nodiscard]] auto complement_of_erf(const X& x) {
  const auto t = (1.0F + 0.3275911F * x).inverse();
  return t *
         (0.254829592F +
          t * (-0.284496736F + t * (1.421413741F + t * (-1.453152027F + t * 1.061405429F)))) *
         (-x.square()).exp();
}

template <RealScalar S>
void gelu(RowMajorMatrix<S>& x, GeluForm form) {
  S* const numbers = x.data();
  if (form == GeluForm::tanh) {
    const S factor = std::sqrt(S{2} / std::numbers::pi_v<S>);
    auto values = x.array();
    // tanh(y) = 1 - 2 / (exp(2 y) + 1)
    values *=
        S{1} - (S{1} + (S{2} * factor * (values + S(0.044715) * values.cube())).exp()).inverse();
  } else if constexpr (std::same_as<S, float>) {
    constexpr Index chunk = 1024;
    Vector<float> tail(std::min(chunk, x.size()));
    for (Index begin = 0; begin < x.size(); begin += chunk) {
      const Index count = std::min(chunk, x.size() - begin);
      Eigen::Map<Vector<float>> part(numbers + begin, count);
      tail.head(count) = part.array().abs() * std::numbers::sqrt2_v<float> / 2.0F;
      tail.head(count) = complement_of_erf(tail.head(count).array()) / 2.0F;
      // the normal distribution at x: 1 - tail above 0, tail below
      for (Index j = 0; j < count; ++j) part[j] *= part[j] > 0 ? 1.0F - tail[j] : tail[j];
    }
  } else {
    for (Index j = 0; j < x.size(); ++j) {
      numbers[j] *= (1 + std::erf(numbers[j] / std::numbers::sqrt2)) / 2;
    }
  }
}

}  // namespace detail

/// The body of an encoder. A value whose weights are never changed; const calls may come from
/// several threads.
template <RealScalar S>
class BertModel {
 public:
  BertModel(const BertConfig& config, BertWeights<S> weights)
      : config_(config), weights_(std::move(weights)) {}

  [[nodiscard]] const BertConfig& config() const noexcept { return config_; }
  [[nodiscard]] const BertWeights<S>& weights() const noexcept { return weights_; }

  /// The last layer's rows of some inputs, one below another: sum of their lengths x H. On the
  /// calling thread.
  /// @param layers  how many to compute; below 0: all
  /// @throws ArgumentError  an input without tokens, or longer than the config's max_tokens(); an id
  ///         or a type out of range
  [[nodiscard]] RowMajorMatrix<S> hidden(std::span<const EncoderInput> inputs,
                                         Index layers = -1) const;

 private:
  using SerialScope = detail::SerialEigen;

  void expect_input(const EncoderInput& input, std::size_t i) const;

  [[nodiscard]] RowMajorMatrix<S> embed(std::span<const EncoderInput> inputs) const;

  [[nodiscard]] static RowMajorMatrix<S> apply(const DenseLayer<S>& layer,
                                               const RowMajorMatrix<S>& x);

  /// softmax(Q K^T / sqrt(h)) V of each head and text.
  [[nodiscard]] RowMajorMatrix<S> attend(const RowMajorMatrix<S>& x,
                                         const BertLayerWeights<S>& layer,
                                         std::span<const EncoderInput> inputs) const;

  BertConfig config_;
  BertWeights<S> weights_;
};

template <RealScalar S>
RowMajorMatrix<S> BertModel<S>::hidden(std::span<const EncoderInput> inputs, Index layers) const {
  const SerialScope serial;
  RowMajorMatrix<S> x = embed(inputs);
  const Index count = layers < 0 ? config_.layers : std::min(layers, config_.layers);
  for (Index k = 0; k < count; ++k) {
    const BertLayerWeights<S>& layer = weights_.layers[static_cast<std::size_t>(k)];
    RowMajorMatrix<S> change = attend(x, layer, inputs);
    x += apply(layer.attention_output, change);
    detail::layer_norm(x, layer.attention_norm, config_.layer_norm_eps);
    change = apply(layer.intermediate, x);
    detail::gelu(change, config_.activation);
    x += apply(layer.output, change);
    detail::layer_norm(x, layer.output_norm, config_.layer_norm_eps);
  }
  return x;
}

template <RealScalar S>
void BertModel<S>::expect_input(const EncoderInput& input, std::size_t i) const {
  const auto length = static_cast<Index>(input.ids.size());
  detail::expect(length >= 1 && length <= config_.max_tokens(), "input ", i, " has ", length,
                 " tokens, expected 1 to ", config_.max_tokens());
  detail::expect(input.types.empty() || input.types.size() == input.ids.size(), "input ", i,
                 " has ", input.types.size(), " types, expected none or ", length);
  for (const TokenId id : input.ids) {
    detail::expect(id >= 0 && id < config_.vocab_size, "input ", i, " has the id ", id,
                   ", expected 0..", config_.vocab_size - 1);
  }
  for (const TokenId type : input.types) {
    detail::expect(type >= 0 && type < config_.token_types, "input ", i, " has the type ", type,
                   ", expected 0..", config_.token_types - 1);
  }
}

template <RealScalar S>
RowMajorMatrix<S> BertModel<S>::embed(std::span<const EncoderInput> inputs) const {
  Index rows = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    expect_input(inputs[i], i);
    rows += static_cast<Index>(inputs[i].ids.size());
  }
  RowMajorMatrix<S> x(rows, config_.hidden_size);
  Index at = 0;
  for (const EncoderInput& input : inputs) {
    for (std::size_t t = 0; t < input.ids.size(); ++t, ++at) {
      const Index type = input.types.empty() ? 0 : input.types[t];
      x.row(at) = weights_.words.row(input.ids[t]) + weights_.types.row(type);
      x.row(at) += weights_.positions.row(config_.first_position + static_cast<Index>(t));
    }
  }
  detail::layer_norm(x, weights_.norm, config_.layer_norm_eps);
  return x;
}

template <RealScalar S>
RowMajorMatrix<S> BertModel<S>::apply(const DenseLayer<S>& layer, const RowMajorMatrix<S>& x) {
  RowMajorMatrix<S> y;
  detail::set_product(y, x, layer.weight.transpose());
  y.rowwise() += layer.bias;
  return y;
}

template <RealScalar S>
RowMajorMatrix<S> BertModel<S>::attend(const RowMajorMatrix<S>& x, const BertLayerWeights<S>& layer,
                                       std::span<const EncoderInput> inputs) const {
  RowMajorMatrix<S> q = apply(layer.query, x);
  const RowMajorMatrix<S> k = apply(layer.key, x);
  const RowMajorMatrix<S> v = apply(layer.value, x);
  const Index h = config_.head_dim();
  q *= S{1} / std::sqrt(static_cast<S>(h));
  RowMajorMatrix<S> result(x.rows(), x.cols());
  RowMajorMatrix<S> scores;
  Index begin = 0;
  for (const EncoderInput& input : inputs) {
    const auto length = static_cast<Index>(input.ids.size());
    for (Index head = 0; head < config_.heads; ++head) {
      const auto part = [&](auto& m) { return m.block(begin, head * h, length, h); };
      detail::set_product(scores, part(q), part(k).transpose());
      for (Index t = 0; t < length; ++t) {
        scores.row(t) = (scores.row(t).array() - scores.row(t).maxCoeff()).exp();
        scores.row(t) /= scores.row(t).sum();
      }
      detail::set_product(part(result), scores, part(v));
    }
    begin += length;
  }
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI
