// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Word vectors as a backbone: a text's row is a weighted sum over its words, of length 1.
///
///   x = sum over words w(rank) f(v),    w = a / (a + p(rank)),  p by Zipf's law
///   mean         f(v) = v
///   kernel_mean  f(v) = sqrt(2 / d) cos(P v / bandwidth + b)    random Fourier features of v
///
/// A mean of vectors forgets which words were there: the words of one meaning fill a direction, and
/// a sum of directions can be any text's. Fourier features keep the words apart: the product of two
/// rows is a sum of exp(-|v - u|^2 / (2 bandwidth^2)) over pairs of their words, so a row says which
/// words, and words like them, a text has. Nothing is fitted: the order of learning stays free.
/// Sources: Rahimi and Recht, Random Features for Large-Scale Kernel Machines, 2007; weights after
/// Arora, Liang and Ma, A Simple but Tough-to-Beat Baseline for Sentence Embeddings, 2017; the
/// kernel mean of words is ours.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/backbone/encoder/word_vectors.hpp"
#include "anyssr/backbone/word_splitter.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/io/json_fields.hpp"
#include "anyssr/subspace/any_expansion.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What is summed over the words of a text.
enum class WordPooling : std::uint8_t { mean, kernel_mean };

namespace detail {
template <>
inline constexpr WordPooling last_enumerator<WordPooling> = WordPooling::kernel_mean;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(WordPooling pooling) {
  switch (pooling) {
    case WordPooling::mean:
      return "mean";
    case WordPooling::kernel_mean:
      return "kernel_mean";
  }
  detail::raise_no_enumerator("word pooling", pooling);
}

struct WordPoolingOptions {
  WordPooling pooling = WordPooling::kernel_mean;
  Index dim = 2048;                              ///< d of kernel_mean, 1..2^24
  ExpansionKind kind = ExpansionKind::hadamard;  ///< of P: hadamard or dense
  double bandwidth = 0.7;                        ///< 1e-30..1e30, for vectors of length 1
  double rare = 1e-3;         ///< a, above 0: words rarer than this share of text count fully
  bool unknown_words = true;  ///< a word without a vector gets one by its character n-grams
  std::uint64_t seed = 0;     ///< of P, b and the n-grams' directions
  int threads = 0;            ///< 0: the cores that this process may use
};

/// Copies share the vectors. Const calls may come from several threads.
template <RealScalar S>
class WordVectorBackbone {
 public:
  using Scalar = S;
  using Input = std::string;

  /// @throws ArgumentError  an option out of range
  /// @throws FileError, FormatError  as WordVectors::read
  explicit WordVectorBackbone(const std::filesystem::path& path,
                              const WordPoolingOptions& options = {},
                              const WordVectorOptions& vectors = {})
      : WordVectorBackbone(WordVectors::read(path, vectors), options) {}
  /// @throws ArgumentError  an option out of range
  explicit WordVectorBackbone(WordVectors vectors, const WordPoolingOptions& options = {});

  [[nodiscard]] Index feature_dim() const noexcept { return expansion_->out_dim(); }
  [[nodiscard]] const WordVectors& vectors() const noexcept { return *vectors_; }
  [[nodiscard]] const WordPoolingOptions& options() const noexcept { return options_; }
  /// Names the mapping: options, sizes and a digest of vectors.
  [[nodiscard]] std::string fingerprint() const;
  /// A text whose features a saved state keeps (ProbedBackbone).
  [[nodiscard]] static std::string probe_input() {
    return "The quick brown fox asked 2 lazy dogs for the balance of their account.";
  }

  /// One row per text, n x feature_dim(), of length 1; zeros where no word counts. Any bytes are
  /// accepted. Cost: O(d log d) per word (hadamard), O(dim() d) (dense).
  [[nodiscard]] RowMajorMatrix<S> features(std::span<const Input> texts) const;

 private:
  struct Workspace {
    detail::WordSplitter words;
    RowMajorMatrix<S> vectors;  // one row per word that counts
    std::vector<S> weights;
    ExpansionWorkspace<S> expansion;
  };

  void collect(std::string_view text, Workspace& work) const;
  [[nodiscard]] bool spell(std::span<const char> marked, S* vector) const;

  std::shared_ptr<const WordVectors> vectors_;        // never null
  std::shared_ptr<const AnyExpansion<S>> expansion_;  // never null
  WordPoolingOptions options_;
};

template <RealScalar S>
WordVectorBackbone<S>::WordVectorBackbone(WordVectors vectors, const WordPoolingOptions& options)
    : vectors_(std::make_shared<const WordVectors>(std::move(vectors))), options_(options) {
  (void)to_string(options.pooling);
  detail::expect_positive("rare", options.rare);
  static_cast<void>(resolve_threads(options.threads));
  const bool is_mean = options.pooling == WordPooling::mean;
  detail::expect(is_mean || options.kind != ExpansionKind::identity,
                 "kind is identity, expected hadamard or dense");
  expansion_ = std::make_shared<const AnyExpansion<S>>(
      vectors_->dim(), ExpansionOptions{.kind = is_mean ? ExpansionKind::identity : options.kind,
                                        .dim = options.dim,
                                        .activation = Activation::cosine,
                                        .bandwidth = options.bandwidth,
                                        .bias_scale = 0,
                                        .seed = options.seed});
}

template <RealScalar S>
std::string WordVectorBackbone<S>::fingerprint() const {
  return detail::concat("words-1:", vectors_->size(), "x", vectors_->dim(), "|",
                        to_string(options_.pooling), ":", feature_dim(), ":",
                        to_string(options_.kind), ":", options_.bandwidth, "|", options_.rare,
                        options_.unknown_words ? " spelt|" : "|", options_.seed, "|",
                        detail::word_text(vectors_->digest()));
}

template <RealScalar S>
RowMajorMatrix<S> WordVectorBackbone<S>::features(std::span<const Input> texts) const {
  RowMajorMatrix<S> rows(static_cast<Index>(texts.size()), feature_dim());
  constexpr Index share = 64;  // texts that use one workspace, some milliseconds of work
  const Index shares = (rows.rows() + share - 1) / share;
  parallel_for(options_.threads, shares, [&](Index k) {
    Workspace work;
    for (Index i = k * share; i < std::min(rows.rows(), (k + 1) * share); ++i) {
      collect(texts[static_cast<std::size_t>(i)], work);
      auto row = rows.row(i);
      row.setZero();
      expansion_->visit_expanded(work.vectors, work.expansion, [&](const auto& expanded) {
        for (std::size_t w = 0; w < work.weights.size(); ++w) {
          row += work.weights[w] * expanded.row(static_cast<Index>(w));
        }
      });
      const S length = row.norm();
      if (length > 0) row /= length;
    }
  });
  return rows;
}

/// The vectors and weights of a text's words.
template <RealScalar S>
void WordVectorBackbone<S>::collect(std::string_view text, Workspace& work) const {
  work.words.split(text);
  work.weights.clear();
  const WordVectors& vectors = *vectors_;
  work.vectors.resize(static_cast<Index>(work.words.size()), vectors.dim());
  for (std::size_t i = 0; i < work.words.size(); ++i) {
    S* const to = work.vectors.row(static_cast<Index>(work.weights.size())).data();
    Index rank = vectors.rank_count();
    if (const auto row = vectors.find(work.words.word(i))) {
      vectors.vector(*row, to);
      rank = vectors.rank(*row);
    } else if (!options_.unknown_words || !spell(work.words.marked(i), to)) {
      continue;
    }
    work.weights.push_back(
        static_cast<S>(options_.rare / (options_.rare + vectors.frequency(rank))));
  }
  work.vectors.conservativeResize(static_cast<Index>(work.weights.size()), Eigen::NoChange);
}

/// A direction for a word without a vector: the sum of a random sign vector per character n-gram of
/// "<word>", of 3 to 5 code points, as text hashing cuts them. Words that are spelt alike are alike.
/// @return false for a word of one code point: most of those are frequent
template <RealScalar S>
bool WordVectorBackbone<S>::spell(std::span<const char> marked, S* vector) const {
  std::vector<std::size_t> starts;
  for (std::size_t at = 1; at < marked.size(); ++at) {
    if ((static_cast<unsigned char>(marked[at]) & 0xC0U) != 0x80U) starts.push_back(at);
  }
  starts.push_back(marked.size());
  if (starts.size() < 5) return false;  // <, one code point, >, end
  const Index dim = vectors_->dim();
  Eigen::Map<RowVector<S>> sum(vector, dim);
  sum.setZero();
  for (std::size_t from = 0; from + 3 < starts.size(); ++from) {
    for (std::size_t to = from + 3; to < starts.size() && to <= from + 5; ++to) {
      const std::string_view ngram(&marked[starts[from]], starts[to] - starts[from]);
      std::uint64_t bits = hash_bytes(ngram, options_.seed);
      for (Index j = 0; j < dim; ++j) {
        if (j % 64 == 0) bits = mix_bits(bits + 0x9E3779B97F4A7C15U);
        sum[j] += ((bits >> (j % 64)) & 1U) != 0 ? S{1} : S{-1};
      }
    }
  }
  const S length = sum.norm();
  if (length > 0) sum /= length;
  return true;
}

static_assert(Backbone<WordVectorBackbone<float>> && Backbone<WordVectorBackbone<double>>);

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/encoder_models.hpp"
#endif
