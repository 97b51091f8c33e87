// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A published sentence encoder as a backbone: one vector per text, by an encoder of the BERT family
/// (all-MiniLM, bge, e5, gte) read from its folder.
///
///   BertBackbone<float> backbone("all-MiniLM-L6-v2");
///   ContinualLearner learner(LiftedBackbone(backbone));
///
/// The folder holds config.json, safetensors and tokenizer.json, and in the layout of
/// sentence-transformers modules.json with what follows the encoder (sentence_folder.hpp).

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/backbone/encoder/bert_model.hpp"
#include "anyssr/backbone/encoder/sentence_folder.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/lora/adapter.hpp"
#include "anyssr/text/tokenizer.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct BertOptions {
  std::string prefix = {};  ///< put before every text: "query: " for e5
  int threads = 0;          ///< 0: the cores that this process may use
  WarningSink warn = {};    ///< gets keys of config.json that may be a mistake
};

/// Copies share the weights. Const calls may come from several threads.
template <RealScalar S>
class BertBackbone {
 public:
  using Scalar = S;
  using Input = std::string;

  /// @throws FileError, FormatError  what the folder holds cannot be read or followed, by its place
  ///         and reason; a folder without tokenizer.json, or a program that cannot read it, is no
  ///         fault until a text is encoded
  explicit BertBackbone(const std::filesystem::path& folder, const BertOptions& options = {});

  [[nodiscard]] Index feature_dim() const noexcept { return model_->config().hidden_size; }
  [[nodiscard]] const BertModel<S>& model() const noexcept { return *model_; }
  [[nodiscard]] const SentenceOptions& sentence_options() const noexcept { return sentence_; }
  /// Names the mapping: type, sizes, pooling and a digest of weights.
  [[nodiscard]] std::string fingerprint() const { return fingerprint_; }

  /// One row per text: n x feature_dim(). Texts that are too long are cut behind max_tokens.
  /// @throws ArgumentError  a text that is not UTF-8; no tokenizer
  /// Cost: about 2 (4 H^2 + 2 H I) flops per token and layer.
  [[nodiscard]] RowMajorMatrix<S> features(std::span<const Input> texts) const;

  /// The tokens of a text as `features` feeds them.
  [[nodiscard]] EncoderInput tokens(const std::string& text) const;

  /// One row per input, pooled and, where the folder says so, of length 1.
  /// @throws ArgumentError  as BertModel::hidden
  [[nodiscard]] RowMajorMatrix<S> embed(std::span<const EncoderInput> inputs) const;

 private:
  void read_tokenizer(const std::filesystem::path& folder);

  [[nodiscard]] static std::size_t leading_special(const std::vector<TokenId>& all,
                                                   const std::vector<TokenId>& text) {
    const auto found = std::search(all.begin(), all.end(), text.begin(), text.end());
    return static_cast<std::size_t>(found - all.begin());
  }

  /// Where shares of about 128 tokens end: large enough for the products, small enough to share out.
  [[nodiscard]] static std::vector<std::size_t> shares(std::span<const EncoderInput> inputs);

  void pool(std::span<const EncoderInput> inputs, Index row, RowMajorMatrix<S>& result) const;

  /// The same in any scalar, as far as the file holds floats.
  [[nodiscard]] std::string make_fingerprint() const;

  BertOptions options_;
  SentenceOptions sentence_;
  std::shared_ptr<const BertModel<S>> model_;  // never null once constructed
  std::optional<Tokenizer> tokenizer_;
  std::string reason_;  // why there is none
  std::string fingerprint_;
};

template <RealScalar S>
BertBackbone<S>::BertBackbone(const std::filesystem::path& folder, const BertOptions& options)
    : options_(options), sentence_(read_sentence_options(folder)) {
  const Json json = read_json(folder / "config.json");
  const detail::JsonFields fields(json, detail::path_text(folder / "config.json"));
  const BertConfig config = detail::BertConfigReader(fields, options.warn).read();
  model_ = std::make_shared<const BertModel<S>>(
      config, detail::BertWeightsReader<S>(folder, config).read());
  if (sentence_.max_tokens == 0 || sentence_.max_tokens > config.max_tokens()) {
    sentence_.max_tokens = config.max_tokens();
  }
  static_cast<void>(resolve_threads(options.threads));
  read_tokenizer(folder);
  fingerprint_ = make_fingerprint();
}

template <RealScalar S>
RowMajorMatrix<S> BertBackbone<S>::features(std::span<const Input> texts) const {
  std::vector<EncoderInput> inputs;
  inputs.reserve(texts.size());
  for (const std::string& text : texts) inputs.push_back(tokens(text));
  return embed(inputs);
}

template <RealScalar S>
EncoderInput BertBackbone<S>::tokens(const std::string& text) const {
  detail::expect(tokenizer_.has_value(), "the encoder has no tokenizer: ", reason_);
  const std::string whole = options_.prefix + text;
  EncoderInput input{tokenizer_->encode(whole), {}};
  const auto most = static_cast<std::size_t>(sentence_.max_tokens);
  if (input.ids.size() <= most) return input;
  // the special tokens stay: those around an empty text tell how many they are
  std::vector<TokenId> ids = tokenizer_->encode(whole, {.special = false});
  const std::size_t special = input.ids.size() - ids.size();
  const std::size_t before = leading_special(input.ids, ids);
  input.ids.erase(input.ids.begin() + static_cast<std::ptrdiff_t>(before + most - special),
                  input.ids.end() - static_cast<std::ptrdiff_t>(special - before));
  return input;
}

template <RealScalar S>
RowMajorMatrix<S> BertBackbone<S>::embed(std::span<const EncoderInput> inputs) const {
  RowMajorMatrix<S> result(static_cast<Index>(inputs.size()), feature_dim());
  const std::vector<std::size_t> ends = shares(inputs);
  parallel_for(ends.size() > 1 ? options_.threads : 1, static_cast<Index>(ends.size()),
               [&](Index i) {
                 const auto k = static_cast<std::size_t>(i);
                 const std::size_t begin = k == 0 ? 0 : ends[k - 1];
                 pool(inputs.subspan(begin, ends[k] - begin), static_cast<Index>(begin), result);
               });
  return result;
}

template <RealScalar S>
void BertBackbone<S>::read_tokenizer(const std::filesystem::path& folder) {
  try {
    tokenizer_ = Tokenizer::read(folder, options_.warn);
  } catch (const Error& error) {
    reason_ = error.what();
    return;
  }
  detail::expect<FormatError>(tokenizer_->token_count() <= model_->config().vocab_size,
                              detail::path_text(folder), ": the tokenizer has ",
                              tokenizer_->token_count(), " tokens, expected at most ",
                              model_->config().vocab_size, " (vocab_size)");
}

template <RealScalar S>
std::vector<std::size_t> BertBackbone<S>::shares(std::span<const EncoderInput> inputs) {
  constexpr std::size_t most = 128;
  std::vector<std::size_t> ends;
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (tokens > 0 && tokens + inputs[i].ids.size() > most) {
      ends.push_back(i);
      tokens = 0;
    }
    tokens += inputs[i].ids.size();
  }
  if (!inputs.empty()) ends.push_back(inputs.size());
  return ends;
}

template <RealScalar S>
void BertBackbone<S>::pool(std::span<const EncoderInput> inputs, Index row,
                           RowMajorMatrix<S>& result) const {
  const RowMajorMatrix<S> hidden = model_->hidden(inputs);
  Index at = 0;
  for (const EncoderInput& input : inputs) {
    const auto length = static_cast<Index>(input.ids.size());
    auto pooled = result.row(row++);
    if (sentence_.pooling == Pooling::cls) {
      pooled = hidden.row(at);
    } else {
      pooled = hidden.row(at);
      for (Index t = 1; t < length; ++t) pooled += hidden.row(at + t);
      pooled /= static_cast<S>(length);
    }
    if (sentence_.normalizes) {
      constexpr S least = S(1e-12);  // as sentence-transformers has it
      pooled /= std::max(pooled.norm(), least);
    }
    at += length;
  }
}

template <RealScalar S>
std::string BertBackbone<S>::make_fingerprint() const {
  const BertConfig& c = model_->config();
  detail::Digest digest;
  const auto add = [&](const RowMajorMatrix<S>& matrix) {
    const Index step = std::max<Index>(1, matrix.rows() / 16);
    for (Index i = 0; i < matrix.rows(); i += step) {
      digest.add(RowVector<float>(matrix.row(i).template cast<float>()));
    }
  };
  add(model_->weights().words);
  for (const BertLayerWeights<S>& layer : model_->weights().layers) {
    add(layer.query.weight);
    add(layer.output.weight);
  }
  digest.add(std::string_view(options_.prefix));
  return detail::concat(c.model_type, "-", c.layers, "x", c.hidden_size, "|",
                        to_string(sentence_.pooling), sentence_.normalizes ? " unit|" : "|",
                        sentence_.max_tokens, "|", detail::word_text(digest.value()));
}

static_assert(Backbone<BertBackbone<float>> && Backbone<BertBackbone<double>>);

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/encoder_models.hpp"
#endif
