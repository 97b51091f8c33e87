// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Text to sparse features without a vocabulary and without a model: every n-gram of the text adds
/// a signed weight to one of `dim` buckets (feature hashing, arXiv 0902.2206).
///
///   h         = hash_bytes(kind byte + n-gram in UTF-8, seed)                      64 bits
///   bucket(h) = floor((h >> 32) dim / 2^32)
///   sign(h)   = -1 where the lowest bit of h is set, else +1
///   x         = sum over distinct h of sign(h) (1 + ln count(h)) e_bucket(h)
///   row       = x / |x|
///
/// kind byte, n-gram:
///   'w'  1 to max_word_ngram successive words, joined by one space
///   'p'  two words at different places, within the first max_pair_words, the lesser first, joined
///        by one space: unordered word pairs
///   'c'  min_char_ngram to max_char_ngram successive code points of "<word>"
///
/// Words and code points are those of `word_splitter.hpp`. Nothing of this changes but with the
/// version in `fingerprint()`.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/backbone/word_splitter.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/random.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What a text is cut into. Measured on 150 intents (CLINC150): words and characters are both
/// needed, 1024 buckets are too few, and pairs add 2 points of accuracy.
struct TextHashingOptions {
  Index dim = 4096;        ///< buckets, 1 to 2^31
  int max_word_ngram = 2;  ///< words in the longest word n-gram, 0 (none) to 16
  int min_char_ngram = 3;  ///< code points in the shortest n-gram of "<word>", 1 to max_char_ngram
  int max_char_ngram = 5;  ///< and in the longest, up to 32; 0 for no character n-grams
  bool word_pairs = true;  ///< unordered pairs of words
  Index max_pair_words = 128;     ///< only the first so many words pair, 2 to 4096: quadratic cost
  std::size_t max_bytes = 65536;  ///< bytes of one text at most, 1 or more; a longer one is refused
  std::uint64_t seed = 0;         ///< another seed, other buckets and signs
};

namespace detail {

/// Eigen counts the entries of a sparse matrix in int.
inline void expect_storable(std::size_t entries) {
  constexpr auto limit = static_cast<std::size_t>(std::numeric_limits<int>::max());
  expect(entries <= limit, "the features of these texts have ", entries,
         " entries, expected at most ", limit, ": pass the texts in several batches");
}

}  // namespace detail

/// The backbone for text that needs no model. The features depend on options and text alone: no
/// fitting, no state, and any number of threads may ask at once.
template <RealScalar S>
class TextHashingBackbone {
 public:
  using Scalar = S;
  using Input = std::string;

  /// @throws ArgumentError  an option outside its range, or no kind of n-gram at all
  explicit TextHashingBackbone(const TextHashingOptions& options = {}) : options_{options} {
    const TextHashingOptions& o = options_;
    detail::expect(o.dim >= 1 && o.dim <= Index{1} << 31, "dim is ", o.dim,
                   ", expected 1 to 2147483648");
    detail::expect(o.max_word_ngram >= 0 && o.max_word_ngram <= 16, "max_word_ngram is ",
                   o.max_word_ngram, ", expected 0 to 16");
    detail::expect(o.max_char_ngram >= 0 && o.max_char_ngram <= 32, "max_char_ngram is ",
                   o.max_char_ngram, ", expected 0 to 32");
    detail::expect(
        o.max_char_ngram == 0 || (o.min_char_ngram >= 1 && o.min_char_ngram <= o.max_char_ngram),
        "min_char_ngram is ", o.min_char_ngram,
        ", expected 1 to max_char_ngram = ", o.max_char_ngram);
    detail::expect(!o.word_pairs || (o.max_pair_words >= 2 && o.max_pair_words <= 4096),
                   "max_pair_words is ", o.max_pair_words, ", expected 2 to 4096");
    detail::expect(o.max_bytes >= 1, "max_bytes is 0, expected at least 1");
    detail::expect(o.max_word_ngram > 0 || o.max_char_ngram > 0 || o.word_pairs,
                   "words, characters and word_pairs are all off, expected at least one of them");
  }

  [[nodiscard]] const TextHashingOptions& options() const noexcept { return options_; }
  [[nodiscard]] Index feature_dim() const noexcept { return options_.dim; }

  /// Names the mapping: equal fingerprints, equal features.
  [[nodiscard]] std::string fingerprint() const {
    const TextHashingOptions& o = options_;
    return detail::concat("anyssr-text-hashing/1 dim=", o.dim, " words=", o.max_word_ngram,
                          " chars=", o.min_char_ngram, "-", o.max_char_ngram,
                          " pairs=", o.word_pairs ? o.max_pair_words : 0,
                          " max_bytes=", o.max_bytes, " seed=", o.seed);
  }

  /// A text whose features a saved state keeps (ProbedBackbone).
  [[nodiscard]] static std::string probe_input() {
    return "The quick brown fox asked 2 lazy dogs for the balance of their account.";
  }

  /// One row a text: n x feature_dim(), compressed, columns rising within a row, rows of length 1;
  /// a text with no letter or digit gives a zero row.
  /// @param texts  n texts, each with a character that is not white space and of at most
  ///               options().max_bytes bytes; any bytes are accepted
  /// @throws ArgumentError  where a text is neither, before any is hashed
  /// Cost of a text with c code points and w words: O(f log f), f = 3 c + 2 w + min(w,
  /// max_pair_words)^2 / 2 n-grams by default; about 6 microseconds for 10 words.
  [[nodiscard]] SparseRows<Scalar> features(std::span<const Input> texts) const {
    return hash_texts(texts);
  }

  /// The row of one text: 1 x feature_dim().
  /// @throws ArgumentError  as `features`
  [[nodiscard]] SparseRows<Scalar> features_of(std::string_view text) const {
    return hash_texts(std::span<const std::string_view>(&text, 1));
  }

  /// What the features of a text consist of: each n-gram once, with its bucket and its part of the
  /// number there; the parts of a bucket add up to it. Words stand as they are, pairs as "a + b",
  /// characters as "...abc..." within their word, whose ends are < and >.
  /// @throws ArgumentError  as `features`
  [[nodiscard]] std::vector<FeaturePart> feature_parts(const Input& text) const {
    expect_text(0, text);
    Workspace work;
    std::map<std::string, int, std::less<>> counts;
    visit_ngrams(text, work, [&](std::string_view ngram) { ++counts[std::string(ngram)]; });
    collect_hashes(text, work);
    const double norm = collect_entries(work);
    std::vector<FeaturePart> parts;
    if (norm == 0) return parts;  // a zero row
    for (const auto& [ngram, count] : counts) {
      const std::uint64_t hash = hash_bytes(ngram, options_.seed);
      const double value = value_of(hash, count) / norm;
      parts.push_back({.feature = bucket_of(hash), .value = value, .name = name_of(ngram)});
    }
    return parts;
  }

 private:
  struct Workspace {
    detail::WordSplitter words;
    std::string joined;                             // kind byte and words of one n-gram
    std::vector<std::size_t> starts;                // of the code points of one marked word
    std::vector<std::uint64_t> hashes;              // one an n-gram, with repetitions
    std::vector<std::pair<Index, double>> entries;  // bucket, value; buckets rise
  };

  template <class Text>
  [[nodiscard]] SparseRows<Scalar> hash_texts(std::span<const Text> texts) const {
    for (std::size_t i = 0; i < texts.size(); ++i) expect_text(i, texts[i]);
    SparseRows<Scalar> rows(static_cast<Index>(texts.size()), options_.dim);
    Workspace work;
    std::size_t stored = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      collect_hashes(texts[i], work);
      collect_entries(work);
      stored += work.entries.size();
      detail::expect_storable(stored);
      const auto row = static_cast<Index>(i);
      rows.startVec(row);
      for (const auto& [bucket, value] : work.entries) {
        rows.insertBack(row, bucket) = static_cast<Scalar>(value);
      }
    }
    rows.finalize();
    rows.data().squeeze();  // growth may have reserved twice the memory
    return rows;
  }

  void expect_text(std::size_t i, std::string_view text) const {
    detail::expect(text.size() <= options_.max_bytes, "text ", i, " has ", text.size(),
                   " bytes, expected at most ", options_.max_bytes,
                   ": shorten it or raise TextHashingOptions::max_bytes");
    for (std::size_t at = 0; at < text.size();) {
      const detail::CodePoint point = detail::decode_utf8(text, at);
      if (!detail::is_white_space(point.value)) return;
      at += point.bytes;
    }
    detail::raise<ArgumentError>("text ", i,
                                 " is empty, expected at least one character that is not white "
                                 "space");
  }

  void collect_hashes(std::string_view text, Workspace& work) const {
    work.hashes.clear();
    visit_ngrams(text, work, [&](std::string_view ngram) {
      work.hashes.push_back(hash_bytes(ngram, options_.seed));
    });
  }

  /// Calls f with each n-gram and the byte of its kind before it, repetitions included.
  template <class F>
  void visit_ngrams(std::string_view text, Workspace& work, const F& f) const {
    work.words.split(text);
    for (std::size_t i = 0; i < work.words.size(); ++i) {
      visit_word_ngrams(i, work, f);
      visit_char_ngrams(i, work, f);
      if (options_.word_pairs && i < static_cast<std::size_t>(options_.max_pair_words)) {
        for (std::size_t j = 0; j < i; ++j) {
          visit_pair(work.words.word(j), work.words.word(i), work, f);
        }
      }
    }
  }

  template <class F>
  void visit_word_ngrams(std::size_t first, Workspace& work, const F& f) const {
    const std::size_t end =
        std::min(work.words.size(), first + static_cast<std::size_t>(options_.max_word_ngram));
    work.joined = 'w';
    for (std::size_t i = first; i < end; ++i) {
      if (i > first) work.joined += ' ';
      work.joined += work.words.word(i);
      f(work.joined);
    }
  }

  template <class F>
  void visit_pair(std::string_view a, std::string_view b, Workspace& work, const F& f) const {
    if (b < a) std::swap(a, b);
    work.joined = 'p';
    work.joined += a;
    work.joined += ' ';
    work.joined += b;
    f(work.joined);
  }

  template <class F>
  void visit_char_ngrams(std::size_t i, Workspace& work, const F& f) const {
    if (options_.max_char_ngram == 0) return;
    const std::span<char> marked = work.words.marked(i);
    std::vector<std::size_t>& starts = work.starts;
    starts.clear();
    for (std::size_t at = 1; at < marked.size(); ++at) {
      const bool continuation = (static_cast<unsigned char>(marked[at]) & 0xC0) == 0x80;
      if (!continuation) starts.push_back(at);
    }
    starts.push_back(marked.size());
    const auto shortest = static_cast<std::size_t>(options_.min_char_ngram);
    const auto longest = static_cast<std::size_t>(options_.max_char_ngram);
    for (std::size_t from = 0; from + shortest < starts.size(); ++from) {
      char* const kind = &marked[starts[from] - 1];
      const char before = std::exchange(*kind, 'c');  // in place: a copy of each would cost more
      const std::size_t last = std::min(from + longest, starts.size() - 1);
      for (std::size_t to = from + shortest; to <= last; ++to) {
        f(std::string_view(kind, starts[to] - starts[from] + 1));
      }
      *kind = before;
    }
  }

  [[nodiscard]] static double value_of(std::uint64_t hash, std::ptrdiff_t count) {
    const double weight = count == 1 ? 1 : 1 + std::log(static_cast<double>(count));
    return (hash & 1) != 0 ? -weight : weight;
  }
  [[nodiscard]] Index bucket_of(std::uint64_t hash) const noexcept {
    return static_cast<Index>(((hash >> 32) * static_cast<std::uint64_t>(options_.dim)) >> 32);
  }

  [[nodiscard]] static std::string name_of(std::string_view ngram) {
    std::string name(ngram.substr(1));
    if (ngram[0] == 'c') return "..." + name + "...";
    if (ngram[0] == 'p') name.replace(name.find(' '), 1, " + ");
    return name;
  }

  /// Counts, signs and buckets of work.hashes, scaled to length 1. The bucket rises with the hash,
  /// so one sort groups equal n-grams and puts the buckets in order.
  /// @return the length before
  double collect_entries(Workspace& work) const {
    std::sort(work.hashes.begin(), work.hashes.end());
    work.entries.clear();
    for (std::size_t i = 0; i < work.hashes.size();) {
      const std::uint64_t hash = work.hashes[i];
      std::size_t end = i + 1;
      while (end < work.hashes.size() && work.hashes[end] == hash) ++end;
      const Index bucket = bucket_of(hash);
      if (work.entries.empty() || work.entries.back().first != bucket) {
        work.entries.emplace_back(bucket, 0.0);
      }
      work.entries.back().second += value_of(hash, static_cast<std::ptrdiff_t>(end - i));
      i = end;
    }
    std::erase_if(work.entries, [](const auto& entry) { return entry.second == 0; });
    double squares = 0;
    for (const auto& entry : work.entries) squares += entry.second * entry.second;
    for (auto& entry : work.entries) entry.second /= std::sqrt(squares);
    return std::sqrt(squares);
  }

  TextHashingOptions options_;
};

static_assert(Backbone<TextHashingBackbone<float>> && Backbone<TextHashingBackbone<double>>);

}  // namespace anyssr::inline ANYSSR_ABI
