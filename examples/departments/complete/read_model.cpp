// SPDX-License-Identifier: MIT
#include "departments/complete/read_model.hpp"

#include <anyssr/backbone/expanded_backbone.hpp>
#include <anyssr/backbone/joined_backbone.hpp>
#include <anyssr/backbone/text_hashing.hpp>
#include <anyssr/encoder.hpp>
#include <string>
#include <utility>

#include "departments/complete/feature_rows.hpp"
#include "departments/experiment.hpp"
#include "support/encoder_folder.hpp"

namespace departments {

using namespace anyssr;

namespace {

AnyBackbone<float> read_encoder(const std::string& folder, int threads) {
  if (support::is_static_folder(folder)) return AnyBackbone(StaticEmbeddingBackbone<float>(folder));
  return AnyBackbone(BertBackbone<float>(
      folder, {.threads = threads, .warn = [](const std::string& message) { warn(message); }}));
}

AnyBackbone<float> read_word_vectors(const TextModelOptions& options, std::uint64_t seed,
                                     int threads) {
  WordPoolingOptions pooling{.seed = seed, .threads = threads};
  if (options.dim == 0) {
    pooling.pooling = WordPooling::mean;
  } else {
    pooling.dim = static_cast<Index>(options.dim);
  }
  return AnyBackbone(WordVectorBackbone<float>(options.word_vectors, pooling));
}

AnyBackbone<float> read_alone(const TextModelOptions& options, std::uint64_t seed, int threads,
                              Questions& questions) {
  if (!options.word_vectors.empty()) return read_word_vectors(options, seed, threads);
  AnyBackbone<float> model = options.features.empty()
                                 ? read_encoder(options.encoder, threads)
                                 : read_feature_rows(options.features, questions);
  if (options.dim == 0) return model;
  return AnyBackbone(ExpandedBackbone(
      std::move(model),
      {.kind = ExpansionKind::hadamard, .dim = static_cast<Index>(options.dim), .seed = seed}));
}

}  // namespace

AnyBackbone<float> read_model(const TextModelOptions& options, std::int64_t words_dim,
                              std::uint64_t seed, int threads, Questions& questions) {
  AnyBackbone<float> model = read_alone(options, seed, threads, questions);
  if (options.no_words) return model;
  const TextHashingBackbone<float> words({.dim = static_cast<Index>(words_dim), .seed = seed});
  const double share = options.share();
  return AnyBackbone(
      JoinedBackbone(JoinedPart(std::move(model), share), JoinedPart(words, 1 - share)));
}

}  // namespace departments
