// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Picks the next token from logits: the largest (temperature 0), or at random from
///
///   p = softmax(logits / temperature), cut to the top_k most likely tokens, then to the fewest of
///   them whose p sums to top_p or more, and scaled to sum 1
///
/// Equal logits are ordered by token id, so the same seed gives the same tokens.
/// Source of the cut by top_p: arXiv 1904.09751 (nucleus sampling).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "anyssr/backbone/llama/llama_config.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/random.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct SamplingOptions {
  double temperature = 0;  ///< at least 0; 0: the likeliest token, always
  Index top_k = 0;         ///< only so many of the likeliest tokens; 0: all
  double top_p = 1;        ///< (0, 1]: the fewest likeliest tokens with so much of the probability
  std::uint64_t seed = 0;

  /// @throws ArgumentError  naming the field
  void check() const {
    detail::expect(detail::is_finite(temperature) && temperature >= 0, "temperature is ",
                   temperature, ", expected a finite number of at least 0");
    detail::expect(top_k >= 0, "top_k is ", top_k, ", expected 0 (all) or more");
    detail::expect(top_p > 0 && detail::is_within(top_p, 0.0, 1.0), "top_p is ", top_p,
                   ", expected above 0, at most 1");
  }
};

/// The random numbers of one sequence.
class Sampler {
 public:
  /// @param sequence  which of a batch: each has numbers of its own
  explicit Sampler(const SamplingOptions& options, std::uint64_t sequence = 0)
      : options_(options), random_(options.seed, sequence) {
    options_.check();
  }

  /// @param logits  a row of vocab_size numbers
  /// @throws NumericalError  where they hold NaN, or infinity as the largest
  template <class Row>
  [[nodiscard]] TokenId pick(const Eigen::MatrixBase<Row>& logits) {
    Index best = 0;
    const auto largest = static_cast<double>(logits.maxCoeff(&best));
    detail::expect<NumericalError>(detail::is_finite(logits),
                                   "logits hold NaN or infinity, expected finite numbers");
    if (options_.temperature == 0) return static_cast<TokenId>(best);
    order(logits);
    double sum = 0;
    for (Candidate& candidate : candidates_) {
      candidate.weight = std::exp((candidate.logit - largest) / options_.temperature);
      sum += candidate.weight;
    }
    std::size_t kept = 0;
    double mass = 0;
    while (kept < candidates_.size() && mass < options_.top_p * sum) {
      mass += candidates_[kept++].weight;
    }
    const double drawn = static_cast<double>(random_.uniform()) * mass;
    double reached = 0;
    for (std::size_t i = 0; i < kept; ++i) {
      reached += candidates_[i].weight;
      if (drawn < reached) return candidates_[i].token;
    }
    return candidates_[kept - 1].token;
  }

 private:
  struct Candidate {
    double logit;
    TokenId token;
    double weight;
  };

  /// The top_k candidates, likeliest first.
  template <class Row>
  void order(const Eigen::MatrixBase<Row>& logits) {
    candidates_.clear();
    for (Index i = 0; i < logits.size(); ++i) {
      candidates_.push_back({static_cast<double>(logits[i]), static_cast<TokenId>(i), 0});
    }
    const auto count = static_cast<Index>(candidates_.size());
    const Index kept = options_.top_k == 0 ? count : std::min(options_.top_k, count);
    std::partial_sort(candidates_.begin(), candidates_.begin() + kept, candidates_.end(),
                      [](const Candidate& a, const Candidate& b) {
                        return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
                      });
    candidates_.resize(static_cast<std::size_t>(kept));
  }

  SamplingOptions options_;
  RandomStream random_;
  std::vector<Candidate> candidates_;
};

}  // namespace anyssr::inline ANYSSR_ABI
