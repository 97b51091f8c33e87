// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Published word vectors: one vector per word, in the order of how often words occur.
///
///   word 0.25 -0.31 ... (one line per word)                           GloVe
///   the same behind a line "count dimension"                          word2vec, fastText (.vec)
///   tensor [words, dimension], and words.txt beside it, one a line    safetensors
///
/// What all words share says nothing about a text, so it is taken out once, over the words that are
/// kept: the mean vector, then the leading principal directions; what is left of each word is scaled
/// to length 1. Source: Mu and Viswanath, All-but-the-Top, arXiv 1702.01417.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/backbone/encoder/word_vector_file.hpp"
#include "anyssr/backbone/word_splitter.hpp"
#include "anyssr/core/enum_names.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/types.hpp"
#include "anyssr/io/half.hpp"
#include "anyssr/linalg/orthonormal.hpp"
#include "anyssr/lora/adapter.hpp"
#include "anyssr/text/piece_tables.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What a number of a vector takes in memory.
enum class VectorPacking : std::uint8_t {
  float32,  ///< 4 bytes
  float16,  ///< 2 bytes
  int8,     ///< 1 byte, and 4 bytes per vector
};

namespace detail {
template <>
inline constexpr VectorPacking last_enumerator<VectorPacking> = VectorPacking::int8;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(VectorPacking packing) {
  switch (packing) {
    case VectorPacking::float32:
      return "float32";
    case VectorPacking::float16:
      return "float16";
    case VectorPacking::int8:
      return "int8";
  }
  detail::raise_no_enumerator("vector packing", packing);
}

struct WordVectorOptions {
  Index max_words = 100000;  ///< the first so many of the file, at least 1
  VectorPacking packing = VectorPacking::float16;
  Index removed_directions = 2;  ///< 0 to dimension - 1
};

/// A table of words. Words are looked up in lower case, cut as word_splitter.hpp cuts a text: what
/// it would cut apart ("new_york") is never asked for and not kept. A value; const calls may come
/// from several threads.
class WordVectors {
 public:
  /// @param path  a text file, or safetensors with words.txt beside it
  /// @throws ArgumentError  an option out of range
  /// @throws FileError, FormatError  what cannot be read, by its line and reason; NaN or infinity
  /// Cost: about 0.2 s per 100 MB of text and 50 ms per 10,000 words of 100 numbers.
  [[nodiscard]] static WordVectors read(const std::filesystem::path& path,
                                        const WordVectorOptions& options = {});

  [[nodiscard]] Index dim() const noexcept { return dim_; }
  /// Words that can be found.
  [[nodiscard]] Index size() const noexcept { return static_cast<Index>(ranks_.size()); }
  /// Words that were read, those that cannot be found among them.
  [[nodiscard]] Index rank_count() const noexcept { return rank_count_; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return floats_.size() * sizeof(float) + halves_.size() * sizeof(std::uint16_t) +
           integers_.size() + scales_.size() * sizeof(float);
  }

  /// The row of a word in lower case.
  [[nodiscard]] std::optional<Index> find(std::string_view word) const noexcept {
    return words_.find(word);
  }
  /// How many words of the file are more frequent, as far as it was read.
  [[nodiscard]] Index rank(Index row) const { return ranks_[static_cast<std::size_t>(row)]; }
  /// The share of all text that a word of this rank makes up, by Zipf's law.
  [[nodiscard]] double frequency(Index rank) const noexcept {
    return 1 / (harmonic_ * static_cast<double>(rank + 1));
  }

  /// Writes the vector of a row, dim() numbers.
  template <class S>
  void vector(Index row, S* to) const {
    const auto begin = static_cast<std::size_t>(row * dim_);
    const auto size = static_cast<std::size_t>(dim_);
    for (std::size_t j = 0; j < size; ++j) {
      if (!floats_.empty()) {
        to[j] = static_cast<S>(floats_[begin + j]);
      } else if (!halves_.empty()) {
        to[j] = static_cast<S>(from_f16(halves_[begin + j]));
      } else {
        const float scale = scales_[static_cast<std::size_t>(row)];
        to[j] = static_cast<S>(scale * static_cast<float>(integers_[begin + j]));
      }
    }
  }

  /// Of sizes, packing and a sample of the vectors.
  [[nodiscard]] std::uint64_t digest() const noexcept { return digest_; }

 private:
  WordVectors() = default;
  void keep(const detail::WordVectorFile& file);
  void clean(Index removed_directions);
  void pack(VectorPacking packing);

  Index dim_ = 0;
  Index rank_count_ = 0;
  double harmonic_ = 1;  // sum of 1 / rank
  detail::Vocabulary words_;
  std::vector<Index> ranks_;  // by row
  std::vector<float> floats_;
  std::vector<std::uint16_t> halves_;
  std::vector<std::int8_t> integers_;
  std::vector<float> scales_;  // of integers_, by row
  std::uint64_t digest_ = 0;
};

inline WordVectors WordVectors::read(const std::filesystem::path& path,
                                     const WordVectorOptions& options) {
  detail::expect(options.max_words >= 1 && options.max_words <= detail::Vocabulary::max_id,
                 "max_words is ", options.max_words, ", expected 1 to ",
                 detail::Vocabulary::max_id);
  detail::expect(options.removed_directions >= 0, "removed_directions is ",
                 options.removed_directions, ", expected at least 0");
  (void)to_string(options.packing);
  WordVectors result;
  result.keep(detail::read_word_vectors(path, options.max_words));
  detail::expect(options.removed_directions < result.dim_, "removed_directions is ",
                 options.removed_directions, ", expected less than the dimension, ", result.dim_);
  detail::expect<FormatError>(result.size() > 0, detail::path_text(path),
                              ": holds no word of letters and digits, expected at least one");
  result.clean(options.removed_directions);
  result.pack(options.packing);
  return result;
}

/// The words that can be found, each in its most frequent spelling.
inline void WordVectors::keep(const detail::WordVectorFile& file) {
  dim_ = file.dim;
  rank_count_ = static_cast<Index>(file.words.size());
  harmonic_ = 0;
  for (Index i = 1; i <= rank_count_; ++i) harmonic_ += 1 / static_cast<double>(i);
  detail::WordSplitter splitter;
  for (std::size_t i = 0; i < file.words.size(); ++i) {
    const std::string_view word = file.words[i];
    bool is_whole = !word.empty();
    for (std::size_t at = 0; is_whole && at < word.size();) {
      const detail::CodePoint point = detail::decode_utf8(word, at);
      is_whole = detail::is_word_character(point.value);
      at += point.bytes;
    }
    if (!is_whole) continue;
    splitter.split(word);
    if (words_.find(splitter.word(0))) continue;
    words_.add(splitter.word(0), static_cast<TokenId>(ranks_.size()));
    ranks_.push_back(static_cast<Index>(i));
    const auto begin = file.numbers.begin() + static_cast<std::ptrdiff_t>(i) * dim_;
    floats_.insert(floats_.end(), begin, begin + dim_);
  }
}

inline void WordVectors::clean(Index removed_directions) {
  Eigen::Map<RowMajorMatrix<float>> rows(floats_.data(), size(), dim_);
  Vector<double> mean = Vector<double>::Zero(dim_);
  for (Index i = 0; i < size(); ++i) mean += rows.row(i).transpose().cast<double>();
  mean /= static_cast<double>(size());
  Matrix<double> directions(dim_, 0);
  if (removed_directions > 0) {
    const RowMajorMatrix<float> centred = rows.rowwise() - mean.transpose().cast<float>();
    directions =
        detail::gram_spectrum(detail::gram_in_double(centred)).vectors.leftCols(removed_directions);
  }
  Vector<double> row;
  for (Index i = 0; i < size(); ++i) {
    row = rows.row(i).transpose().cast<double>() - mean;
    for (Index k = 0; k < directions.cols(); ++k) {
      row -= directions.col(k).dot(row) * directions.col(k);
    }
    const double length = row.norm();
    if (length > 0) row /= length;
    rows.row(i) = row.transpose().cast<float>();
  }
}

inline void WordVectors::pack(VectorPacking packing) {
  detail::Digest digest;
  const Index step = std::max<Index>(1, size() / 64);
  for (Index i = 0; i < size(); i += step) {
    for (Index j = 0; j < dim_; ++j) digest.add(floats_[static_cast<std::size_t>(i * dim_ + j)]);
  }
  digest.add(static_cast<std::uint64_t>(size()));
  digest.add(static_cast<std::uint64_t>(rank_count_));
  digest.add(static_cast<std::uint64_t>(packing));
  digest_ = digest.value();
  if (packing == VectorPacking::float32) return;
  if (packing == VectorPacking::float16) {
    halves_.reserve(floats_.size());
    for (const float number : floats_) halves_.push_back(to_f16(number));
  } else {
    integers_.reserve(floats_.size());
    for (Index i = 0; i < size(); ++i) {
      const Eigen::Map<const RowVector<float>> row(floats_.data() + i * dim_, dim_);
      const float scale = row.cwiseAbs().maxCoeff() / 127;
      scales_.push_back(scale);
      for (Index j = 0; j < dim_; ++j) {
        integers_.push_back(static_cast<std::int8_t>(scale > 0 ? std::lround(row[j] / scale) : 0));
      }
    }
  }
  floats_ = {};
}

}  // namespace anyssr::inline ANYSSR_ABI
