// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The weights of a BERT-family encoder, frozen, in the scalar of the computation. With H =
/// hidden_size and I = intermediate_size; names may begin with "bert." or "roberta.":
///
///   embeddings.word_embeddings, .position_embeddings, .token_type_embeddings .weight  [rows, H]
///   embeddings.LayerNorm                                     .weight .bias            [H]
///   encoder.layer.i.attention.self.query, .key, .value       .weight .bias            [H, H], [H]
///   encoder.layer.i.attention.output.dense                   .weight .bias            [H, H], [H]
///   encoder.layer.i.attention.output.LayerNorm, output.LayerNorm  .weight .bias       [H]
///   encoder.layer.i.intermediate.dense                       .weight .bias            [I, H], [I]
///   encoder.layer.i.output.dense                             .weight .bias            [H, I], [H]
///
/// Files of 2019 call the weight and bias of a LayerNorm gamma and beta. A pooler, heads of
/// pre-training and position_ids are not read.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/backbone/encoder/bert_config.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/io/sharded_safetensors.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// y = x weight^T + bias.
template <RealScalar S>
struct DenseLayer {
  RowMajorMatrix<S> weight;  ///< out x in
  RowVector<S> bias;         ///< out
};

template <RealScalar S>
struct LayerNormWeights {
  RowVector<S> weight;
  RowVector<S> bias;
};

template <RealScalar S>
struct BertLayerWeights {
  DenseLayer<S> query, key, value, attention_output, intermediate, output;
  LayerNormWeights<S> attention_norm, output_norm;
};

template <RealScalar S>
struct BertWeights {
  RowMajorMatrix<S> words;      ///< vocab x H
  RowMajorMatrix<S> positions;  ///< max_positions x H
  RowMajorMatrix<S> types;      ///< token_types x H
  LayerNormWeights<S> norm;
  std::vector<BertLayerWeights<S>> layers;
};

namespace detail {

template <RealScalar S>
class BertWeightsReader {
 public:
  BertWeightsReader(const std::filesystem::path& folder, const BertConfig& config)
      : files_(folder), config_(config) {
    for (const char* prefix : {"", "bert.", "roberta."}) {
      if (files_.has_tensor(concat(prefix, "embeddings.word_embeddings.weight"))) prefix_ = prefix;
    }
  }

  /// @throws FormatError  a tensor is missing, has another shape or type, or holds NaN or infinity
  [[nodiscard]] BertWeights<S> read() const {
    const Index h = config_.hidden_size;
    const Index i = config_.intermediate_size;
    BertWeights<S> weights{
        .words = matrix("embeddings.word_embeddings.weight", config_.vocab_size, h),
        .positions = matrix("embeddings.position_embeddings.weight", config_.max_positions, h),
        .types = matrix("embeddings.token_type_embeddings.weight", config_.token_types, h),
        .norm = norm("embeddings.LayerNorm"),
        .layers = {}};
    for (Index k = 0; k < config_.layers; ++k) {
      const std::string at = concat("encoder.layer.", k, ".");
      weights.layers.push_back({.query = dense(at + "attention.self.query", h, h),
                                .key = dense(at + "attention.self.key", h, h),
                                .value = dense(at + "attention.self.value", h, h),
                                .attention_output = dense(at + "attention.output.dense", h, h),
                                .intermediate = dense(at + "intermediate.dense", i, h),
                                .output = dense(at + "output.dense", h, i),
                                .attention_norm = norm(at + "attention.output.LayerNorm"),
                                .output_norm = norm(at + "output.LayerNorm")});
    }
    return weights;
  }

 private:
  [[nodiscard]] RowMajorMatrix<S> matrix(const std::string& name, Index rows, Index cols) const {
    RowMajorMatrix<S> result = files_.template matrix<S>(prefix_ + name, rows, cols);
    expect_finite_tensor(name, result);
    return result;
  }
  [[nodiscard]] RowVector<S> vector(const std::string& name, Index size) const {
    const RowVector<S> result = files_.template vector<S>(prefix_ + name, size).transpose();
    expect_finite_tensor(name, result);
    return result;
  }
  template <class X>
  void expect_finite_tensor(const std::string& name, const X& x) const {
    expect<FormatError>(is_finite(x), path_text(files_.folder()), ": tensor ",
                        in_quotes(prefix_ + name),
                        " holds NaN or infinity, expected finite numbers");
  }
  [[nodiscard]] DenseLayer<S> dense(const std::string& name, Index out, Index in) const {
    return {matrix(name + ".weight", out, in), vector(name + ".bias", out)};
  }
  [[nodiscard]] LayerNormWeights<S> norm(const std::string& name) const {
    const bool is_old = files_.has_tensor(prefix_ + name + ".gamma");
    return {vector(name + (is_old ? ".gamma" : ".weight"), config_.hidden_size),
            vector(name + (is_old ? ".beta" : ".bias"), config_.hidden_size)};
  }

  ShardedSafetensors files_;
  BertConfig config_;
  std::string prefix_;
};

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
