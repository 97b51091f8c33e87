// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A model of texts beside hashed words, or instead of them: a published encoder, word vectors, or
/// features that another program computed.

#include <cstdint>
#include <string>

namespace departments {

/// Beside hashed words; at most one of the first three is set.
struct TextModelOptions {
  std::string encoder;       ///< folder of a BERT-family encoder or of model2vec
  std::string word_vectors;  ///< file
  std::string features;      ///< safetensors, or a folder with a file for each split
  bool no_words = false;     ///< the model alone
  std::int64_t dim =
      2048;           ///< random features of the model; 0: its own numbers, or the mean of words
  double weight = 0;  ///< its share of the squared length of a row; 0: share()

  [[nodiscard]] bool is_chosen() const noexcept { return !option().empty(); }
  /// That it is chosen with; empty: none.
  [[nodiscard]] std::string option() const {
    if (!encoder.empty()) return "--encoder";
    if (!word_vectors.empty()) return "--word-vectors";
    return features.empty() ? "" : "--features";
  }
  /// Found on validation questions: flat from 0.3 to 0.85.
  [[nodiscard]] double share() const noexcept {
    if (weight > 0) return weight;
    return word_vectors.empty() ? 0.7 : 0.5;
  }
};

}  // namespace departments
