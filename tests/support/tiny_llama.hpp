// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Random models of the LLaMA family that are a few rows wide, a decoder written down from the
/// equations in double (whole matrices of scores, no cache, no batch), and tiny-llama, the trained
/// model of ANYSSR_EXTRA_DATA.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <numbers>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_backbone.hpp"
#include "support/llama_folder.hpp"
#include "support/random_module.hpp"

namespace anyssr::test {

using Tokens = std::vector<TokenId>;

/// Three layers, two query heads a key head, heads wider than hidden_size / heads and with an odd
/// number of pairs.
inline LlamaConfig tiny_llama_config() {
  LlamaConfig config = small_llama_config();
  config.vocab_size = 50;
  config.hidden_size = 12;
  config.intermediate_size = 20;
  config.layers = 3;
  config.max_positions = 48;
  config.windows = {0, 0, 0};
  return config;
}

/// With all biases, and a window of 5 in the last two layers.
inline LlamaConfig rich_llama_config() {
  LlamaConfig config = tiny_llama_config();
  config.qkv_bias = config.output_bias = config.mlp_bias = true;
  config.windows = {0, 5, 5};
  return config;
}

/// Every part that some family has, in one model that is none of them: norms of heads and branches,
/// GELU, factors of embeddings and scores, layers that turn by two bases or not at all, windows by
/// layer, a tied output, and biases.
inline LlamaConfig every_part_config() {
  LlamaConfig config = rich_llama_config();
  config.layers = 4;
  config.windows = {5, 0, 3, 0};
  config.rotations = {LayerRope::local, LayerRope::main, LayerRope::none, LayerRope::main};
  config.rope = {.type = RopeType::linear, .theta = 500, .factor = 2};
  config.local_rope = {.theta = 20};
  config.form = {.activation = GateActivation::gelu_tanh,
                 .head_norms = true,
                 .branch_norms = true,
                 .centred_norms = true,
                 .embedding_factor = 1.75,
                 .query_scalar = 4.5};
  config.tied_output = true;
  return config;
}

/// Small models of the families beside llama, mistral and qwen2, as their config.json would make
/// them.
inline LlamaConfig tiny_qwen3_config() {
  LlamaConfig config = tiny_llama_config();
  config.model_type = "qwen3";
  config.form.head_norms = true;
  return config;
}
inline LlamaConfig tiny_smollm3_config() {
  LlamaConfig config = tiny_llama_config();
  config.model_type = "smollm3";
  config.rotations = {LayerRope::main, LayerRope::none, LayerRope::main};
  config.tied_output = true;
  return config;
}
inline LlamaConfig tiny_gemma3_config() {
  LlamaConfig config = tiny_llama_config();
  config.model_type = "gemma3_text";
  config.form = detail::find_llama_family("gemma3_text")->form;
  config.form.embedding_factor = double{std::sqrt(12.F)};
  config.form.query_scalar = 9;
  config.rope = {.type = RopeType::linear, .theta = 1000, .factor = 4};
  config.local_rope = {.theta = 30};
  config.windows = {4, 0, 4};
  config.rotations = {LayerRope::local, LayerRope::main, LayerRope::local};
  config.tied_output = true;
  return config;
}

/// Weights of deviation 1 / sqrt(in), so that attention is far from even and nothing vanishes.
template <RealScalar S>
LlamaWeights<S> tiny_llama_weights(const LlamaConfig& config, std::uint64_t seed,
                                   Dtype dtype = Dtype::F32) {
  LlamaWeights<S> weights = random_llama_weights<S>(config, seed);
  const auto scale = [&](WeightMatrix& matrix, double deviation) {
    matrix = WeightMatrix::of<double>(matrix.template dense<double>() * (deviation / 0.02), dtype);
  };
  scale(weights.embedding, 1);
  if (config.tied_output) {
    weights.output = weights.embedding;
  } else {
    scale(weights.output, 1 / std::sqrt(static_cast<double>(config.hidden_size)));
  }
  for (auto& layer : weights.layers) {
    for (const auto& linear : detail::llama_linears<S>(config)) {
      scale(layer.*linear.weight, 1 / std::sqrt(static_cast<double>(linear.cols)));
      layer.*linear.bias *= S{10};
    }
  }
  return weights;
}

template <RealScalar S>
LlamaModel<S> tiny_llama_model(const LlamaConfig& config, std::uint64_t seed, int threads = 1) {
  return LlamaModel<S>(config, tiny_llama_weights<S>(config, seed), threads);
}

using TinyBackbone = LlamaBackbone<float>;
using TinyMixes = std::vector<AdapterMix<float>>;

inline TinyBackbone tiny_backbone(const LlamaConfig& config, Index k = 1, std::uint64_t seed = 51) {
  return TinyBackbone(tiny_llama_model<float>(config, seed), {.shallow_layers = k, .threads = 1});
}

/// Random ids of 3.., BOS before them.
inline Tokens random_tokens(const LlamaConfig& config, Index count, std::uint64_t seed) {
  RandomStream random(seed, 21);
  Tokens ids{1};
  while (static_cast<Index>(ids.size()) < count) {
    ids.push_back(
        static_cast<TokenId>(3 + random.below(static_cast<std::uint32_t>(config.vocab_size - 3))));
  }
  return ids;
}

/// Of 1, 8, 15, 22, 6, 13 tokens and so on.
inline std::vector<Tokens> some_queries(const LlamaConfig& config, std::size_t count) {
  std::vector<Tokens> queries;
  for (std::size_t i = 0; i < count; ++i) {
    queries.push_back(random_tokens(config, static_cast<Index>(1 + i * 7 % 23), 60 + i));
  }
  return queries;
}

inline const std::vector<std::string> all_projections{"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                      "gate_proj", "up_proj", "down_proj"};

/// Modules with random factors on the named linear layers of the layers first...
/// @param k  directions that a module is confined to; 0: plain ones
template <RealScalar S>
Adapter<S> random_llama_adapter(const LlamaConfig& config, Index first,
                                const std::vector<std::string>& names, std::uint64_t seed,
                                Index k = 0) {
  Adapter<S> adapter;
  for (const Site& site : detail::llama_sites(config, first, config.layers)) {
    const bool is_wanted = std::ranges::any_of(
        names, [&](const std::string& name) { return site.name.ends_with("." + name); });
    if (!is_wanted) continue;
    auto module = random_module<S>(site.in, site.out, 2, k, hash_bytes(site.name, seed));
    module.mutable_b() *= S(0.1);
    adapter.modules.emplace(site.name, std::move(module));
  }
  return adapter;
}

/// softmax(Q K^T / sqrt(h)) V of each head over whole rows; the queries are the last of the
/// positions.
/// @param scalar  in the place of h below the root; 0: h
inline Eigen::MatrixXd plain_attention(const Eigen::MatrixXd& q, const Eigen::MatrixXd& k,
                                       const Eigen::MatrixXd& v, Index heads, Index kv_heads,
                                       Index window, double scalar = 0) {
  const Index h = q.cols() / heads;
  const double root = std::sqrt(scalar > 0 ? scalar : static_cast<double>(h));
  const Index first = k.rows() - q.rows();
  Eigen::MatrixXd out(q.rows(), q.cols());
  for (Index head = 0; head < heads; ++head) {
    const Index kv = head * kv_heads / heads;
    for (Index i = 0; i < q.rows(); ++i) {
      Eigen::VectorXd odds = Eigen::VectorXd::Zero(k.rows());
      for (Index j = 0; j <= first + i; ++j) {
        if (window > 0 && j <= first + i - window) continue;
        const double score = q.row(i).segment(head * h, h).dot(k.row(j).segment(kv * h, h));
        odds[j] = std::exp(score / root);
      }
      out.row(i).segment(head * h, h) = odds.transpose() / odds.sum() * v.middleCols(kv * h, h);
    }
  }
  return out;
}

/// Radians a position of pair i, as transformers write it.
inline double plain_frequency(Index head_dim, const RopeOptions& rope, Index i) {
  const double f =
      1 / std::pow(rope.theta, 2 * static_cast<double>(i) / static_cast<double>(head_dim));
  if (rope.type == RopeType::standard) return f;
  if (rope.type == RopeType::linear) return f / rope.factor;
  const double wavelength = 2 * std::numbers::pi / f;
  const double longest = rope.original_max_positions / rope.low_freq_factor;
  const double shortest = rope.original_max_positions / rope.high_freq_factor;
  if (wavelength > longest) return f / rope.factor;
  if (wavelength < shortest) return f;
  const double smooth = (rope.original_max_positions / wavelength - rope.low_freq_factor) /
                        (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - smooth) * f / rope.factor + smooth * f;
}

/// x cos + rotate_half(x) sin for the rows from position 0 on.
inline Eigen::MatrixXd plain_rotary(Index head_dim, const RopeOptions& rope,
                                    const Eigen::MatrixXd& x) {
  const Index h = head_dim;
  Eigen::MatrixXd turned(x.rows(), x.cols());
  for (Index t = 0; t < x.rows(); ++t) {
    for (Index c = 0; c < x.cols(); ++c) {
      const Index j = c % h;
      const double angle = static_cast<double>(t) * plain_frequency(h, rope, j % (h / 2));
      const double half = j < h / 2 ? -x(t, c + h / 2) : x(t, c - h / 2);
      turned(t, c) = x(t, c) * std::cos(angle) + half * std::sin(angle);
    }
  }
  return turned;
}
inline Eigen::MatrixXd plain_rotary(const LlamaConfig& config, const Eigen::MatrixXd& x) {
  return plain_rotary(config.head_dim, config.rope, x);
}

inline Eigen::MatrixXd plain_rms_norm(const Eigen::MatrixXd& x, const Eigen::RowVectorXd& weight,
                                      double eps) {
  Eigen::MatrixXd y(x.rows(), x.cols());
  for (Index i = 0; i < x.rows(); ++i) {
    double sum = 0;
    for (Index j = 0; j < x.cols(); ++j) sum += x(i, j) * x(i, j);
    const double norm = std::sqrt(sum / static_cast<double>(x.cols()) + eps);
    for (Index j = 0; j < x.cols(); ++j) y(i, j) = weight[j] * x(i, j) / norm;
  }
  return y;
}

inline Eigen::MatrixXd plain_swiglu(const Eigen::MatrixXd& gate, const Eigen::MatrixXd& up) {
  Eigen::MatrixXd y(gate.rows(), gate.cols());
  for (Index i = 0; i < y.size(); ++i) {
    y.data()[i] = gate.data()[i] / (1 + std::exp(-gate.data()[i])) * up.data()[i];
  }
  return y;
}

/// gelu(gate) * up, as transformers write gelu_pytorch_tanh.
inline Eigen::MatrixXd plain_geglu(const Eigen::MatrixXd& gate, const Eigen::MatrixXd& up) {
  Eigen::MatrixXd y(gate.rows(), gate.cols());
  for (Index i = 0; i < y.size(); ++i) {
    const double g = gate.data()[i];
    const double inner = std::sqrt(2 / std::numbers::pi) * (g + 0.044715 * std::pow(g, 3));
    y.data()[i] = 0.5 * g * (1 + std::tanh(inner)) * up.data()[i];
  }
  return y;
}

/// The decoder, the changes of a mix written into its weights.
class PlainLlama {
 public:
  struct Pass {
    Eigen::MatrixXd hidden;  // after the first k layers
    Eigen::MatrixXd logits;
  };

  template <RealScalar S>
  explicit PlainLlama(const LlamaModel<S>& model, const AdapterMix<S>& mix = {})
      : config_(model.config()),
        embedding_(model.weights().embedding.template dense<double>()),
        output_(model.weights().output.template dense<double>()),
        norm_(model.weights().norm.template cast<double>()) {
    const auto linears = detail::llama_linears<S>(config_);
    for (Index l = 0; l < config_.layers; ++l) {
      const LlamaLayerWeights<S>& from = model.layer_weights(l);
      Layer& layer = layers_.emplace_back();
      layer.input_norm = from.input_norm.template cast<double>();
      layer.post_attention_norm = from.post_attention_norm.template cast<double>();
      layer.q_norm = from.q_norm.template cast<double>();
      layer.k_norm = from.k_norm.template cast<double>();
      layer.attention_branch_norm = from.attention_branch_norm.template cast<double>();
      layer.mlp_branch_norm = from.mlp_branch_norm.template cast<double>();
      for (std::size_t p = 0; p < linears.size(); ++p) {
        Eigen::MatrixXd weight = (from.*linears[p].weight).template dense<double>();
        const std::string site =
            "model.layers." + std::to_string(l) + "." + std::string(linears[p].name);
        for (const auto& [adapter, share] : mix.entries()) {
          const auto module = adapter->modules.find(site);
          if (module != adapter->modules.end()) weight += share * explicit_delta(module->second);
        }
        layer.weights[p] = weight;
        layer.biases[p] = (from.*linears[p].bias).template cast<double>();
      }
    }
  }

  [[nodiscard]] Pass run(const Tokens& ids, Index k = 0) const {
    Pass pass;
    Eigen::MatrixXd x(static_cast<Index>(ids.size()), config_.hidden_size);
    for (Index t = 0; t < x.rows(); ++t) {
      x.row(t) = config_.form.embedding_factor * embedding_.row(ids[static_cast<std::size_t>(t)]);
    }
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      if (static_cast<Index>(l) == k) pass.hidden = x;
      const Layer& layer = layers_[l];
      Eigen::MatrixXd n = plain_rms_norm(x, layer.input_norm, config_.rms_norm_eps);
      const auto index = static_cast<Index>(l);
      const Eigen::MatrixXd q = heads(index, layer.linear(0, n), layer.q_norm);
      const Eigen::MatrixXd keys = heads(index, layer.linear(1, n), layer.k_norm);
      const Eigen::MatrixXd attended =
          plain_attention(q, keys, layer.linear(2, n), config_.heads, config_.kv_heads,
                          config_.windows[l], config_.form.query_scalar);
      x += branch(layer.linear(3, attended), layer.attention_branch_norm);
      n = plain_rms_norm(x, layer.post_attention_norm, config_.rms_norm_eps);
      const Eigen::MatrixXd gate = layer.linear(4, n);
      const bool is_silu = config_.form.activation == GateActivation::silu;
      const Eigen::MatrixXd product =
          is_silu ? plain_swiglu(gate, layer.linear(5, n)) : plain_geglu(gate, layer.linear(5, n));
      x += branch(layer.linear(6, product), layer.mlp_branch_norm);
    }
    if (k == config_.layers) pass.hidden = x;
    pass.logits = plain_rms_norm(x, norm_, config_.rms_norm_eps) * output_.transpose();
    return pass;
  }

  /// The likeliest tokens behind `ids`, to the end of text or `count` of them.
  [[nodiscard]] LlamaOutput greedy(Tokens ids, Index count) const {
    LlamaOutput output;
    while (static_cast<Index>(output.tokens.size()) < count) {
      Index best = 0;
      const Eigen::MatrixXd logits = run(ids).logits;
      logits.row(logits.rows() - 1).maxCoeff(&best);
      output.is_complete = std::ranges::count(config_.eos, static_cast<TokenId>(best)) > 0;
      if (output.is_complete) break;
      ids.push_back(static_cast<TokenId>(best));
      output.tokens.push_back(ids.back());
      if (static_cast<Index>(ids.size()) > config_.max_positions) break;
    }
    return output;
  }

  /// -log p of the answer's tokens and the end of text, summed.
  [[nodiscard]] double loss_sum(const Tokens& query, const Tokens& answer) const {
    Tokens ids = query;
    ids.insert(ids.end(), answer.begin(), answer.end());
    const Eigen::MatrixXd logits = run(ids).logits;
    ids.push_back(config_.eos.front());
    double sum = 0;
    for (std::size_t t = query.size(); t < ids.size(); ++t) {
      const Eigen::VectorXd row = logits.row(static_cast<Index>(t) - 1);
      sum += std::log(row.array().exp().sum()) - row[ids[t]];
    }
    return sum;
  }

 private:
  struct Layer {
    std::array<Eigen::MatrixXd, 7> weights;  // q, k, v, o, gate, up, down
    std::array<Eigen::RowVectorXd, 7> biases;
    Eigen::RowVectorXd input_norm, post_attention_norm;
    Eigen::RowVectorXd q_norm, k_norm, attention_branch_norm, mlp_branch_norm;

    [[nodiscard]] Eigen::MatrixXd linear(std::size_t p, const Eigen::MatrixXd& x) const {
      Eigen::MatrixXd y = x * weights[p].transpose();
      if (biases[p].size() > 0) y.rowwise() += biases[p];
      return y;
    }
  };

  /// Queries or keys: each head normalised, where there is a norm, and turned as its layer does.
  [[nodiscard]] Eigen::MatrixXd heads(Index layer, Eigen::MatrixXd rows,
                                      const Eigen::RowVectorXd& norm) const {
    const Index h = config_.head_dim;
    for (Index begin = 0; norm.size() > 0 && begin < rows.cols(); begin += h) {
      rows.middleCols(begin, h) =
          plain_rms_norm(rows.middleCols(begin, h), norm, config_.rms_norm_eps);
    }
    const LayerRope rope = config_.rotation(layer);
    if (rope == LayerRope::none) return rows;
    return plain_rotary(h, rope == LayerRope::main ? config_.rope : config_.local_rope, rows);
  }
  [[nodiscard]] Eigen::MatrixXd branch(const Eigen::MatrixXd& rows,
                                       const Eigen::RowVectorXd& norm) const {
    return norm.size() == 0 ? rows : plain_rms_norm(rows, norm, config_.rms_norm_eps);
  }

  LlamaConfig config_;
  Eigen::MatrixXd embedding_, output_;
  Eigen::RowVectorXd norm_;
  std::vector<Layer> layers_;
};

/// Logits of all rows of several sequences, one batched pass of the library.
template <RealScalar S>
RowMajorMatrix<S> batched_logits(const LlamaModel<S>& model, const std::vector<Tokens>& sequences,
                                 const std::vector<AdapterMix<S>>& mixes = {}) {
  detail::LlamaBatch<S> batch;
  std::vector<detail::AdapterRows<S>> groups;
  Tokens ids;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto size = static_cast<Index>(sequences[i].size());
    if (!mixes.empty()) groups.push_back({mixes[i], batch.rows(), size});
    batch.add(size);
    ids.insert(ids.end(), sequences[i].begin(), sequences[i].end());
  }
  batch.plan = detail::AdapterPlan<S>(model.config(), groups);
  detail::LlamaRotary<S> table = model.rotary();
  table.grow(batch.positions());
  detail::LlamaActivations<S> activations;
  RowMajorMatrix<S> x;
  model.embed(ids, x);
  model.run_layers(0, model.config().layers, table, batch, x, activations);
  return model.logits(x);
}

/// f'(0), by central differences of fourth order.
template <class F>
double slope_at_zero(const F& f, double step = 1e-3) {
  return (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step);
}

/// The slope by one number of a matrix, which comes back as it was.
template <class F>
double slope_by(double& number, const F& f, double step = 1e-3) {
  const double kept = number;
  const double slope = slope_at_zero(
      [&](double by) {
        number = kept + by;
        return f();
      },
      step);
  number = kept;
  return slope;
}

/// A model of ANYSSR_EXTRA_DATA and its goldens; nothing, with a line that marks the test as skipped,
/// where that is not set.
inline std::optional<std::filesystem::path> golden_model(const std::string& name) {
  const char* const extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return std::nullopt;
  }
  return std::filesystem::path(extra) / "models" / name;
}

/// The trained model and its goldens; nothing, with a line that marks the test as skipped, where
/// ANYSSR_EXTRA_DATA is not set.
inline std::optional<std::filesystem::path> trained_tiny_llama() {
  return golden_model("tiny-llama");
}

}  // namespace anyssr::test
