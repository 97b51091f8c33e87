// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Which label is taken for which: counts n[truth][predicted], and the pairs that cost most.
///
///   accuracy = sum_k n[k][k] / sum_{i, j} n[i][j]        recall of k = n[k][k] / sum_j n[k][j]

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <vector>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Answers of one label that went to another.
struct ConfusedPair {
  Index truth = 0;
  Index predicted = 0;  ///< never equal to truth
  Index count = 0;      ///< answers, at least 1
  double share = 0;     ///< count over all answers whose truth this is, above 0 to 1
};

/// Counts of (truth, predicted); labels are 0..labels()-1. Memory: labels^2 integers.
class ConfusionMatrix {
 public:
  /// @param labels  1 to 32768
  /// @throws ArgumentError  outside that range
  explicit ConfusionMatrix(Index labels) : labels_{labels} {
    detail::expect(labels >= 1 && labels <= 32768, "labels is ", labels, ", expected 1 to 32768");
    counts_.assign(static_cast<std::size_t>(labels * labels), 0);
  }

  [[nodiscard]] Index labels() const noexcept { return labels_; }

  /// Counts one answer.
  /// @throws ArgumentError  where a label is outside 0..labels()-1; nothing is counted then
  void add(Index truth, Index predicted) {
    ++counts_[position(truth, predicted)];
    ++total_;
  }

  /// Answers so far.
  [[nodiscard]] Index total() const noexcept { return total_; }

  /// n[truth][predicted].
  /// @throws ArgumentError  where a label is outside 0..labels()-1
  [[nodiscard]] Index count(Index truth, Index predicted) const {
    return counts_[position(truth, predicted)];
  }

  /// Answers whose truth is this label: sum_j n[truth][j].  Cost: O(labels).
  /// @throws ArgumentError  where the label is outside 0..labels()-1
  [[nodiscard]] Index truth_total(Index truth) const {
    const std::size_t first = position(truth, 0);
    Index sum = 0;
    for (std::size_t j = 0; j < static_cast<std::size_t>(labels_); ++j) sum += counts_[first + j];
    return sum;
  }

  /// Share of right answers, 0 to 1.  Cost: O(labels).
  /// @throws ArgumentError  where nothing was counted
  [[nodiscard]] double accuracy() const {
    detail::expect(total_ > 0, "the confusion matrix is empty, expected at least one answer");
    Index right = 0;
    for (Index k = 0; k < labels_; ++k) right += count(k, k);
    return static_cast<double>(right) / static_cast<double>(total_);
  }

  /// n[truth][truth] / truth_total(truth), 0 to 1.  Cost: O(labels).
  /// @throws ArgumentError  where no answer has that truth, or it is outside 0..labels()-1
  [[nodiscard]] double recall(Index truth) const {
    const Index answers = truth_total(truth);
    detail::expect(answers > 0, "label ", truth, " has no answers, expected at least one");
    return static_cast<double>(count(truth, truth)) / static_cast<double>(answers);
  }

  /// The pairs of different labels with the most answers: by count, then share (both falling), then
  /// truth and predicted (both rising), so the order never depends on how they were added.
  /// @param limit  pairs at most, 0 or more
  /// @throws ArgumentError  below 0
  /// Cost: O(labels^2), and a sort of the pairs that occur.
  [[nodiscard]] std::vector<ConfusedPair> worst_pairs(Index limit = 10) const {
    detail::expect(limit >= 0, "limit is ", limit, ", expected 0 or more");
    std::vector<ConfusedPair> pairs;
    for (Index truth = 0; truth < labels_; ++truth) {
      const auto answers = static_cast<double>(truth_total(truth));
      for (Index predicted = 0; predicted < labels_; ++predicted) {
        const Index mistakes = truth == predicted ? 0 : count(truth, predicted);
        if (mistakes == 0) continue;
        pairs.push_back({truth, predicted, mistakes, static_cast<double>(mistakes) / answers});
      }
    }
    std::sort(pairs.begin(), pairs.end(), [](const ConfusedPair& a, const ConfusedPair& b) {
      return std::tie(b.count, b.share, a.truth, a.predicted) <
             std::tie(a.count, a.share, b.truth, b.predicted);
    });
    if (static_cast<Index>(pairs.size()) > limit) pairs.resize(static_cast<std::size_t>(limit));
    return pairs;
  }

 private:
  void expect_label(std::string_view name, Index label) const {
    detail::expect(label >= 0 && label < labels_, name, " label is ", label, ", expected 0 to ",
                   labels_ - 1);
  }

  [[nodiscard]] std::size_t position(Index truth, Index predicted) const {
    expect_label("truth", truth);
    expect_label("predicted", predicted);
    return static_cast<std::size_t>(truth * labels_ + predicted);
  }

  Index labels_;
  Index total_ = 0;            // sum of counts_
  std::vector<Index> counts_;  // labels x labels, by rows of truth
};

}  // namespace anyssr::inline ANYSSR_ABI
