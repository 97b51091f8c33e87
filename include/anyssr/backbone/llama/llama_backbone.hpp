// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A LLaMA-family model as the frozen backbone of a learner:
///
///   layers 0..k-1   no adapter: one pass gives the routing features (llama_trunk.hpp)
///   layers k..      go on from there under the adapter that the router chose
///
/// so routing costs no second pass over the prompt. Inputs, targets and answers are token ids: any
/// tokenizer can stand before it. A query is what the model reads, BOS included; an answer has no
/// end-of-text token, which training adds and generation takes off.
/// Source: Any-SSR, arXiv 2503.13575.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/backbone/llama/llama_config_reader.hpp"
#include "anyssr/backbone/llama/llama_fingerprint.hpp"
#include "anyssr/backbone/llama/llama_generation.hpp"
#include "anyssr/backbone/llama/llama_gradient.hpp"
#include "anyssr/backbone/llama/llama_shallow_layers.hpp"
#include "anyssr/backbone/llama/llama_trunk.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct LlamaOptions {
  Index shallow_layers = 4;            ///< k, 1 to the model's layers - 1
  int threads = 0;                     ///< 0: the cores that this process may use
  bool recompute_activations = false;  ///< training keeps each layer's input only: less memory, one
                                       ///< more forward pass a step
  std::size_t trunk_cache_bytes = std::size_t{1} << 30;  ///< hidden states of a training trunk that
                                                         ///< are kept; a larger trunk is computed
                                                         ///< again in every epoch
  Index site_input_tokens = 16384;  ///< at most so many rows of a site are looked at for subspaces
};

template <RealScalar S>
class LlamaBackbone {
 public:
  using Scalar = S;
  using Input = std::vector<TokenId>;   ///< a query's tokens, BOS included
  using Target = std::vector<TokenId>;  ///< an answer's tokens, without the end of text
  using Output = LlamaOutput;
  using Trunk = LlamaTrunk<S>;
  using PredictOptions = LlamaPredictOptions;

  /// @throws ArgumentError  for an option out of range
  explicit LlamaBackbone(LlamaModel<S> model, const LlamaOptions& options = {});

  /// A published checkpoint folder.
  /// @throws FileError, FormatError, NonFiniteError  with file and key or tensor
  explicit LlamaBackbone(const std::filesystem::path& folder, const LlamaOptions& options = {},
                         const LlamaLoadOptions& load = {})
      : LlamaBackbone(read_model(folder, options, load), options) {}

  [[nodiscard]] const LlamaModel<S>& model() const noexcept { return *model_; }
  [[nodiscard]] const LlamaConfig& config() const noexcept { return model_->config(); }
  [[nodiscard]] const LlamaOptions& options() const noexcept { return options_; }

  /// Tokens that went through the shallow layers since this object was made: each prompt token
  /// once, however it was routed and answered.
  [[nodiscard]] std::uint64_t trunk_tokens() const noexcept { return shallow_.tokens(); }

  [[nodiscard]] Index feature_dim() const noexcept { return config().hidden_size; }

  /// Needs the memory of one piece of the queries, however many there are.
  /// @throws as trunk
  [[nodiscard]] RowMajorMatrix<S> features(std::span<const Input> inputs) const;

  /// Of configuration, k and weights (a sample of each large tensor).
  [[nodiscard]] const std::string& fingerprint() const noexcept { return fingerprint_; }

  [[nodiscard]] Input probe_input() const {
    Input ids;
    const Index count = std::min<Index>(16, config().max_positions);
    for (Index i = 0; i < count; ++i) {
      ids.push_back(static_cast<TokenId>((i * 7919 + 1) % config().vocab_size));
    }
    return ids;
  }

  /// All linear layers, those below k too: an adapter made elsewhere may change them. It then costs
  /// a pass of its own over the prompt, since the features must come from the adapter-free one.
  [[nodiscard]] std::vector<Site> sites() const {
    return detail::llama_sites(config(), 0, config().layers);
  }

  /// Modules at their start.
  /// @param options  sites: full names in layers k.., or last parts of names ("q_proj"), which
  ///                 stand for all those layers; empty: q_proj and v_proj
  /// @throws ArgumentError  a name that no site of those layers has; targets without a token
  [[nodiscard]] Adapter<S> make_adapter(std::span<const Target> targets,
                                        const AdapterOptions& options, std::uint64_t seed) const;

  /// @throws ArgumentError  an empty query, one longer than max_positions, an id out of range
  [[nodiscard]] Trunk trunk(std::span<const Input> inputs) const;

  /// Queries with their answers behind them.
  /// @throws as trunk; ArgumentError for an empty answer, or where both are longer than
  ///         max_positions
  [[nodiscard]] Trunk training_trunk(std::span<const Input> inputs,
                                     std::span<const Target> targets) const;

  [[nodiscard]] Index rows(const Trunk& trunk) const noexcept { return trunk.rows(); }
  [[nodiscard]] const RowMajorMatrix<S>& features(const Trunk& trunk) const noexcept {
    return trunk.features;
  }
  /// Tokens of a trunk.
  [[nodiscard]] Index work(const Trunk& trunk) const noexcept { return trunk.tokens(); }

  [[nodiscard]] Trunk select(const Trunk& trunk, std::span<const Index> rows) const {
    return detail::select_sequences(trunk, rows);
  }

  /// The answers to the queries of a trunk, each under its mix.
  /// @throws ShapeError, ArgumentError; NumericalError for logits that are not finite
  [[nodiscard]] std::vector<Output> forward(const Trunk& trunk,
                                            std::span<const AdapterMix<S>> mixes,
                                            const PredictOptions& options = {}) const;

  /// Mean loss over the answer tokens, ends of text among them, and its gradient.
  /// @param trunk    of training_trunk with these targets
  /// @throws ShapeError; ArgumentError for other targets, or a module that is not in layers k..
  [[nodiscard]] double loss_and_gradient(const Trunk& trunk, std::span<const Target> targets,
                                         const Adapter<S>& adapter,
                                         AdapterGradient<S>& gradient) const;

  /// The weight of a batch's mean loss in a larger batch's: its answer tokens, ends of text among
  /// them.
  [[nodiscard]] double loss_weight(const Trunk& /*trunk*/, std::span<const Target> targets) const {
    const std::size_t end = config().eos.empty() ? 0 : 1;
    double tokens = 0;
    for (const Target& target : targets) tokens += static_cast<double>(target.size() + end);
    return tokens;
  }

  /// The very tokens, and ended by itself.
  [[nodiscard]] bool is_correct(const Output& output, const Target& target) const {
    return output.is_complete && output.tokens == target;
  }

  /// The rows that enter each site where the adapter has a module, of as many first sequences as
  /// have at most site_input_tokens tokens in all, and of one at least.
  template <class Visitor>
  void visit_site_inputs(const Trunk& trunk, const Adapter<S>& adapter, Visitor&& visitor) const;

 private:
  [[nodiscard]] static LlamaModel<S> read_model(const std::filesystem::path& folder,
                                                const LlamaOptions& options,
                                                const LlamaLoadOptions& load);
  [[nodiscard]] Trunk queries(std::span<const Input> inputs) const {
    Trunk result;
    result.sequences = detail::query_sequences(*model_, inputs);
    return result;
  }
  void generate(const Trunk& trunk, std::span<const AdapterMix<S>> mixes,
                std::span<const std::size_t> order, bool from_start, const PredictOptions& options,
                std::span<Output> outputs) const;

  std::shared_ptr<const LlamaModel<S>> model_;
  LlamaOptions options_;
  std::string fingerprint_;
  detail::LlamaShallowLayers<S> shallow_;
  mutable detail::Pool<detail::LlamaGradientSpace<S>> workspaces_;  // memory of training steps
};

template <RealScalar S>
LlamaBackbone<S>::LlamaBackbone(LlamaModel<S> model, const LlamaOptions& options)
    : model_(std::make_shared<const LlamaModel<S>>(std::move(model))),
      options_(options),
      shallow_(model_, options.shallow_layers) {
  const Index layers = config().layers;
  detail::expect(options.shallow_layers >= 1 && options.shallow_layers < layers,
                 "shallow_layers is ", options.shallow_layers, ", expected 1..", layers - 1,
                 " for a model of ", layers, " layers");
  detail::expect(options.site_input_tokens >= 1, "site_input_tokens is ", options.site_input_tokens,
                 ", expected at least 1");
  fingerprint_ = detail::llama_fingerprint(*model_, options.shallow_layers);
}

template <RealScalar S>
LlamaModel<S> LlamaBackbone<S>::read_model(const std::filesystem::path& folder,
                                           const LlamaOptions& options,
                                           const LlamaLoadOptions& load) {
  LlamaConfig config = read_llama_config(folder, load.warn);
  LlamaWeights<S> weights = read_llama_weights<S>(folder, config, load);
  return LlamaModel<S>(std::move(config), std::move(weights), options.threads);
}

template <RealScalar S>
RowMajorMatrix<S> LlamaBackbone<S>::features(std::span<const Input> inputs) const {
  Trunk result = queries(inputs);
  shallow_.compute_in_pieces(result, false);
  return std::move(result.features);
}

template <RealScalar S>
Adapter<S> LlamaBackbone<S>::make_adapter(std::span<const Target> targets,
                                          const AdapterOptions& options, std::uint64_t seed) const {
  for (std::size_t i = 0; i < targets.size(); ++i) detail::expect_answer(*model_, targets[i], i);
  const std::vector<Site> deep =
      detail::llama_sites(config(), options_.shallow_layers, config().layers);
  AdapterOptions named = options;
  named.sites = detail::deep_site_names(config(), options_.shallow_layers, options.sites);
  Adapter<S> adapter;
  adapter.modules = make_modules<S>(deep, named, seed);
  return adapter;
}

template <RealScalar S>
LlamaTrunk<S> LlamaBackbone<S>::trunk(std::span<const Input> inputs) const {
  Trunk result = queries(inputs);
  shallow_.compute(result, true);
  return result;
}

template <RealScalar S>
LlamaTrunk<S> LlamaBackbone<S>::training_trunk(std::span<const Input> inputs,
                                               std::span<const Target> targets) const {
  Trunk result;
  result.sequences = detail::training_sequences(*model_, inputs, targets);
  const auto bytes = static_cast<std::size_t>(result.tokens() * config().hidden_size) * sizeof(S);
  shallow_.compute_in_pieces(result, bytes <= options_.trunk_cache_bytes);
  return result;
}

template <RealScalar S>
std::vector<LlamaOutput> LlamaBackbone<S>::forward(const Trunk& trunk,
                                                   std::span<const AdapterMix<S>> mixes,
                                                   const PredictOptions& options) const {
  detail::expect_count("mixes", mixes.size(), trunk.rows());
  std::vector<Output> outputs(mixes.size());
  if (mixes.empty()) return outputs;
  std::vector<std::vector<std::size_t>> groups;  // rows of one mix
  for (std::size_t i = 0; i < mixes.size(); ++i) {
    const auto same = std::ranges::find_if(groups, [&](const auto& group) {
      return detail::same_entries(mixes[group.front()], mixes[i]);
    });
    if (same == groups.end()) {
      groups.push_back({i});
    } else {
      same->push_back(i);
    }
  }
  std::vector<std::size_t> deep;
  std::vector<std::size_t> whole;
  for (const auto& group : groups) {
    const bool is_shallow =
        detail::has_shallow_module(config(), mixes[group.front()], options_.shallow_layers);
    auto& order = is_shallow ? whole : deep;
    order.insert(order.end(), group.begin(), group.end());
  }
  if (!deep.empty()) {
    const bool is_ready = trunk.has_keys() && trunk.has_hidden();
    generate(is_ready ? trunk : shallow_.computed_again(trunk, true), mixes, deep, false, options,
             outputs);
  }
  if (!whole.empty()) generate(trunk, mixes, whole, true, options, outputs);
  return outputs;
}

template <RealScalar S>
void LlamaBackbone<S>::generate(const Trunk& trunk, std::span<const AdapterMix<S>> mixes,
                                std::span<const std::size_t> order, bool from_start,
                                const PredictOptions& options, std::span<Output> outputs) const {
  detail::LlamaGeneration<S> generation(*model_, options);
  const std::vector<Index> offsets = trunk.offsets();
  std::vector<TokenId> ids;
  std::vector<Index> tokens;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const LlamaSequence& sequence = trunk.sequences[order[k]];
    generation.add(sequence, mixes[order[k]], order[k]);
    ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.begin() + sequence.query);
    for (Index i = 0; i < sequence.query; ++i) tokens.push_back(offsets[order[k]] + i);
    if (from_start) continue;
    for (Index layer = 0; layer < options_.shallow_layers; ++layer) {
      const auto l = static_cast<std::size_t>(layer);
      generation.put(k, layer, trunk.keys[l].middleRows(offsets[order[k]], sequence.query),
                     trunk.values[l].middleRows(offsets[order[k]], sequence.query));
    }
  }
  RowMajorMatrix<S> x;
  if (from_start) {
    shallow_.count(ids.size());
    model_->embed(ids, x);
  } else {
    x = select_rows(trunk.hidden, tokens);
  }
  shallow_.activations().with([&](detail::LlamaActivations<S>& a) {
    generation.run(from_start ? 0 : options_.shallow_layers, std::move(x), a, outputs);
  });
}

template <RealScalar S>
double LlamaBackbone<S>::loss_and_gradient(const Trunk& trunk, std::span<const Target> targets,
                                           const Adapter<S>& adapter,
                                           AdapterGradient<S>& gradient) const {
  detail::expect_count("targets", targets.size(), trunk.rows());
  detail::expect_matching(adapter, gradient);
  detail::expect_deep_modules(config(), options_.shallow_layers, adapter);
  detail::expect(!targets.empty(), "targets are empty, expected at least one");
  gradient.set_zero();
  if (!trunk.has_hidden()) {
    return loss_and_gradient(shallow_.computed_again(trunk, false), targets, adapter, gradient);
  }
  const bool has_end = !config().eos.empty();
  detail::LlamaBatch<S> batch;
  std::vector<detail::AskedRow> asked;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const LlamaSequence& sequence = trunk.sequences[i];
    detail::expect(std::equal(sequence.ids.begin() + sequence.query, sequence.ids.end(),
                              targets[i].begin(), targets[i].end()),
                   "target ", i,
                   " is not the answer in the trunk, expected those that "
                   "training_trunk was given");
    Index row = batch.rows() + sequence.query - 1;
    for (const TokenId token : targets[i]) asked.push_back({row++, token});
    if (has_end) asked.push_back({row, config().eos.front()});
    batch.add(sequence.size());
  }
  detail::LlamaGradient<S> pass(*model_, options_.shallow_layers, std::move(batch), adapter,
                                options_.recompute_activations);
  return workspaces_.with([&](detail::LlamaGradientSpace<S>& space) {
    return pass.run(trunk.hidden, asked, space, gradient);
  });
}

template <RealScalar S>
template <class Visitor>
void LlamaBackbone<S>::visit_site_inputs(const Trunk& trunk, const Adapter<S>& adapter,
                                         Visitor&& visitor) const {
  std::vector<Index> rows;
  Index tokens = 0;
  for (Index i = 0; i < trunk.rows(); ++i) {
    tokens += trunk.sequences[static_cast<std::size_t>(i)].size();
    if (i > 0 && tokens > options_.site_input_tokens) break;
    rows.push_back(i);
  }
  if (rows.empty()) return;
  Trunk some = select(trunk, rows);
  if (!some.has_hidden()) some = shallow_.computed_again(some, false);
  detail::LlamaBatch<S> batch;
  for (const LlamaSequence& sequence : some.sequences) batch.add(sequence.size());
  batch.plan = detail::AdapterPlan<S>(config(), {{AdapterMix<S>(adapter), 0, batch.rows()}});
  detail::LlamaRotary<S> tables = model_->rotary();
  tables.grow(batch.positions());
  detail::LlamaActivations<S> a;
  for (Index layer = options_.shallow_layers; layer < config().layers; ++layer) {
    model_->run_layer(layer, tables, batch, some.hidden, a);
    const std::array<const detail::ReusedMatrix<S>*, detail::projection_count> inputs{
        &a.normed,        &a.normed,        &a.normed, &a.attended,
        &a.middle_normed, &a.middle_normed, &a.product};
    for (std::size_t p = 0; p < inputs.size(); ++p) {
      const std::string site = model_->site(layer, static_cast<LlamaProjection>(p));
      if (adapter.modules.contains(site)) visitor(std::string_view(site), inputs[p]->map());
    }
  }
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/llama_learners.hpp"
#include "anyssr/instantiate/llama_models.hpp"
#endif
