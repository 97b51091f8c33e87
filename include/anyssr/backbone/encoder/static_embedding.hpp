// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Static embeddings as a backbone: a text's row is the mean of its tokens' vectors, read from a
/// folder of model2vec (also in the layout of sentence-transformers). Microseconds per text.
///
///   e = mean over ids of weights[id] embeddings[mapping[id]],  and of length 1 where config.json
///   says `normalize`; zeros where no token is left
///
/// Two programs read these folders, and differ (StaticReading).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/io/dtype.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/io/path_text.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/lora/adapter.hpp"
#include "anyssr/text/tokenizer.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Whose vectors are wanted.
enum class StaticReading : std::uint8_t {
  model2vec,             ///< drops the unknown token, cuts at max_tokens
  sentence_transformers  ///< keeps all tokens
};

namespace detail {
template <>
inline constexpr StaticReading last_enumerator<StaticReading> =
    StaticReading::sentence_transformers;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(StaticReading reading) {
  switch (reading) {
    case StaticReading::model2vec:
      return "model2vec";
    case StaticReading::sentence_transformers:
      return "sentence_transformers";
  }
  detail::raise_no_enumerator("static reading", reading);
}

struct StaticOptions {
  StaticReading reading = StaticReading::model2vec;
  /// By model2vec: tokens behind it do not count, nor does text behind that many times the median
  /// length of a token.
  Index max_tokens = 512;
};

/// Copies share the vectors. Const calls may come from several threads.
template <RealScalar S>
class StaticEmbeddingBackbone {
 public:
  using Scalar = S;
  using Input = std::string;

  /// @param folder  with model.safetensors, tokenizer.json and, for `normalize`, config.json
  /// @throws FileError, FormatError  what the folder holds cannot be read or followed; fewer rows
  ///         than tokens; NaN or infinity
  explicit StaticEmbeddingBackbone(const std::filesystem::path& folder,
                                   const StaticOptions& options = {});

  [[nodiscard]] Index feature_dim() const noexcept { return tables_->vectors.cols(); }
  /// Names the mapping: sizes, reading and a digest of the vectors.
  [[nodiscard]] std::string fingerprint() const { return fingerprint_; }
  [[nodiscard]] const Tokenizer& tokenizer() const noexcept { return tokenizer_; }
  /// Whether rows have length 1.
  [[nodiscard]] bool normalizes() const noexcept { return normalizes_; }

  /// One row per text: n x feature_dim(); zeros where no token counts.
  /// @throws ArgumentError  a text that is not UTF-8
  [[nodiscard]] RowMajorMatrix<S> features(std::span<const Input> texts) const;

  /// The tokens of a text that count.
  [[nodiscard]] std::vector<TokenId> tokens(std::string_view text) const;

  /// The row of tokens.
  /// @throws ArgumentError  an id that no token has
  [[nodiscard]] RowVector<S> row_of(std::span<const TokenId> ids) const;

 private:
  struct Tables {
    RowMajorMatrix<S> vectors;    // rows x dim
    std::vector<Index> rows;      // by token id
    std::vector<double> weights;  // by token id
  };

  [[nodiscard]] static std::filesystem::path tokenizer_folder(const std::filesystem::path& folder) {
    const std::filesystem::path nested = folder / "0_StaticEmbedding";
    return detail::is_missing(nested / "tokenizer.json") ? folder : nested;
  }

  [[nodiscard]] Tables read_tables(const SafetensorsReader& file) const;
  [[nodiscard]] static RowMajorMatrix<S> read_vectors(const SafetensorsReader& file,
                                                      const char* name);
  [[nodiscard]] static bool is_finite_list(const std::vector<double>& numbers) {
    return detail::is_finite(
        Eigen::Map<const Vector<double>>(numbers.data(), static_cast<Index>(numbers.size())));
  }

  void read_config(const std::filesystem::path& folder);

  /// Of the names of all tokens, in characters.
  [[nodiscard]] Index median_letters() const;
  [[nodiscard]] std::string_view first_letters(std::string_view text) const {
    Index letters = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      if ((static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) continue;
      if (++letters > letters_) return text.substr(0, at);
    }
    return text;
  }

  /// The same in any scalar, as far as the file holds floats.
  [[nodiscard]] std::string make_fingerprint() const;

  StaticOptions options_;
  Tokenizer tokenizer_;
  std::shared_ptr<const Tables> tables_;  // never null once constructed
  bool normalizes_ = false;
  Index letters_ = 0;  // of a text that are read
  std::string fingerprint_;
};

template <RealScalar S>
StaticEmbeddingBackbone<S>::StaticEmbeddingBackbone(const std::filesystem::path& folder,
                                                    const StaticOptions& options)
    : options_(options), tokenizer_(Tokenizer::read(tokenizer_folder(folder))) {
  detail::expect(options.max_tokens >= 1, "max_tokens is ", options.max_tokens,
                 ", expected at least 1");
  const std::filesystem::path nested = folder / "0_StaticEmbedding" / "model.safetensors";
  const SafetensorsReader file(detail::is_missing(nested) ? folder / "model.safetensors" : nested);
  tables_ = std::make_shared<const Tables>(read_tables(file));
  read_config(folder);
  letters_ = options.max_tokens * median_letters();
  fingerprint_ = make_fingerprint();
}

template <RealScalar S>
RowMajorMatrix<S> StaticEmbeddingBackbone<S>::features(std::span<const Input> texts) const {
  RowMajorMatrix<S> rows(static_cast<Index>(texts.size()), feature_dim());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    rows.row(static_cast<Index>(i)) = row_of(tokens(texts[i]));
  }
  return rows;
}

template <RealScalar S>
std::vector<TokenId> StaticEmbeddingBackbone<S>::tokens(std::string_view text) const {
  const bool is_model2vec = options_.reading == StaticReading::model2vec;
  if (is_model2vec) text = first_letters(text);
  std::vector<TokenId> ids = tokenizer_.encode(text, {.special = false});
  if (!is_model2vec) return ids;
  if (tokenizer_.names_unknown()) std::erase(ids, *tokenizer_.unknown());
  ids.resize(std::min(ids.size(), static_cast<std::size_t>(options_.max_tokens)));
  return ids;
}

template <RealScalar S>
RowVector<S> StaticEmbeddingBackbone<S>::row_of(std::span<const TokenId> ids) const {
  RowVector<double> sum = RowVector<double>::Zero(feature_dim());
  for (const TokenId id : ids) {
    detail::expect(id >= 0 && static_cast<std::size_t>(id) < tables_->rows.size(), "id ", id,
                   " is no token, expected 0..", tables_->rows.size() - 1);
    const auto at = static_cast<std::size_t>(id);
    sum += tables_->weights[at] * tables_->vectors.row(tables_->rows[at]).template cast<double>();
  }
  if (!ids.empty()) sum /= static_cast<double>(ids.size());
  if (normalizes_) sum /= sum.norm() + 1e-32;  // as model2vec has it
  return sum.template cast<S>();
}

template <RealScalar S>
typename StaticEmbeddingBackbone<S>::Tables StaticEmbeddingBackbone<S>::read_tables(
    const SafetensorsReader& file) const {
  const std::string place = detail::path_text(file.path());
  const char* const name = file.has_tensor("embeddings") ? "embeddings" : "embedding.weight";
  Tables tables;
  tables.vectors = read_vectors(file, name);
  detail::expect<FormatError>(detail::is_finite(tables.vectors), place, ": tensor ", name,
                              " holds NaN or infinity, expected finite numbers");
  const auto tokens = static_cast<std::size_t>(tokenizer_.token_count());
  const Index rows = tables.vectors.rows();
  if (file.has_tensor("mapping")) {
    for (const std::int64_t row : file.template integers<std::int64_t>("mapping")) {
      detail::expect<FormatError>(row >= 0 && row < rows, place, ": mapping names the row ", row,
                                  ", expected 0..", rows - 1);
      tables.rows.push_back(static_cast<Index>(row));
    }
  } else {
    for (Index row = 0; row < rows; ++row) tables.rows.push_back(row);
  }
  detail::expect<FormatError>(tables.rows.size() >= tokens, place, ": has vectors for ",
                              tables.rows.size(), " tokens, expected the tokenizer's ", tokens);
  tables.weights.assign(tables.rows.size(), 1);
  if (file.has_tensor("weights")) {
    tables.weights = file.template numbers<double>("weights");
    detail::expect<FormatError>(
        tables.weights.size() == tables.rows.size() && is_finite_list(tables.weights), place,
        ": weights are ", tables.weights.size(), " numbers, expected ", tables.rows.size(),
        " finite ones, one per token");
  }
  return tables;
}

template <RealScalar S>
RowMajorMatrix<S> StaticEmbeddingBackbone<S>::read_vectors(const SafetensorsReader& file,
                                                           const char* name) {
  if (file.tensor(name).dtype != Dtype::I8) return file.template matrix<S>(name);
  const TensorInfo& info = file.expect_shape(name, {Eigen::Dynamic, Eigen::Dynamic});
  const auto numbers = file.template integers<std::int8_t>(name);
  RowMajorMatrix<S> vectors(static_cast<Index>(info.shape[0]), static_cast<Index>(info.shape[1]));
  std::ranges::copy(numbers, vectors.data());
  return vectors;
}

template <RealScalar S>
void StaticEmbeddingBackbone<S>::read_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  if (detail::is_missing(path)) return;
  const Json json = read_json(path);
  const detail::JsonFields fields(json, detail::path_text(path));
  normalizes_ = fields.has("normalize") && fields.boolean("normalize");
}

template <RealScalar S>
Index StaticEmbeddingBackbone<S>::median_letters() const {
  std::vector<Index> lengths;
  for (TokenId id = 0; id < tokenizer_.token_count(); ++id) {
    const auto name = tokenizer_.name(id);
    if (!name) continue;
    lengths.push_back(std::ranges::count_if(
        *name, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
  }
  const auto middle = lengths.begin() + static_cast<std::ptrdiff_t>(lengths.size() / 2);
  std::ranges::nth_element(lengths, middle);
  return std::max<Index>(1, *middle);
}

template <RealScalar S>
std::string StaticEmbeddingBackbone<S>::make_fingerprint() const {
  detail::Digest digest;
  const Index step = std::max<Index>(1, tables_->vectors.rows() / 64);
  for (Index i = 0; i < tables_->vectors.rows(); i += step) {
    digest.add(RowVector<float>(tables_->vectors.row(i).template cast<float>()));
  }
  for (const double weight : tables_->weights) digest.add(weight);
  return detail::concat("static-", tables_->rows.size(), "x", feature_dim(), "|",
                        to_string(options_.reading), normalizes_ ? " unit|" : "|",
                        options_.max_tokens, "|", detail::word_text(digest.value()));
}

static_assert(Backbone<StaticEmbeddingBackbone<float>> &&
              Backbone<StaticEmbeddingBackbone<double>>);

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/encoder_models.hpp"
#endif
