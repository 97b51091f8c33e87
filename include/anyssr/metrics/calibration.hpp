// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Whether a confidence means what it says: of the answers given with confidence 0.8, is 0.8 the
/// share of right ones? With B bins of equal width over confidence, n answers in all, n_b in bin b:
///
///   expected calibration error = sum_b n_b / n |accuracy_b - mean confidence_b|
///
/// Bin b holds the confidences in (b/B, (b+1)/B], bin 0 also 0 (Guo et al., arXiv 1706.04599,
/// equation 3). Few answers a bin bias the error upwards: compare systems on the same answers.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// One bar of a reliability diagram.
struct ReliabilityBin {
  double lower = 0;            ///< the bin holds confidences in (lower, upper]; bin 0 also lower
  double upper = 0;            ///< likewise
  Index count = 0;             ///< answers in the bin
  double mean_confidence = 0;  ///< mean over them; 0 where there are none
  double accuracy = 0;         ///< share of right ones, 0..1; 0 where there are none
};

namespace detail {

/// Bin of a confidence. The product may round onto the wrong side of a limit, so the limits
/// themselves (the same quotients as in the bin's fields) have the last word.
[[nodiscard]] inline std::size_t reliability_bin(double confidence, Index bins) {
  const auto count = static_cast<double>(bins);
  double bin = std::clamp(std::ceil(confidence * count) - 1, 0.0, count - 1);
  if (bin > 0 && confidence <= bin / count) bin -= 1;
  if (bin + 1 < count && confidence > (bin + 1) / count) bin += 1;
  return static_cast<std::size_t>(bin);
}

inline void expect_answers(std::span<const double> confidences,
                           std::span<const std::uint8_t> correct, Index bins) {
  expect(bins >= 1 && bins <= 1000000, "bins is ", bins, ", expected 1 to 1000000");
  expect(!confidences.empty(), "confidences are empty, expected at least one");
  expect_count("correct flags", correct.size(), static_cast<Index>(confidences.size()));
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    expect(is_within(confidences[i], 0.0, 1.0), "confidence ", i, " is ", confidences[i],
           ", expected 0 to 1");
    expect(correct[i] <= 1, "correct flag ", i, " is ", int{correct[i]},
           ", expected 0 (wrong) or 1 (right)");
  }
}

}  // namespace detail

/// The bins of a reliability diagram, in order of confidence, empty ones included.
/// @param confidences  n >= 1 confidences, 0 to 1
/// @param correct      n flags: 1 where the answer was right, else 0
/// @param bins         B, 1 to 1000000
/// @throws ArgumentError  no answers, a confidence outside 0..1, another flag, B out of range
/// @throws ShapeError     where the lengths differ
/// Cost: O(n + B).
[[nodiscard]] inline std::vector<ReliabilityBin> reliability_bins(
    std::span<const double> confidences, std::span<const std::uint8_t> correct, Index bins = 15) {
  detail::expect_answers(confidences, correct, bins);
  std::vector<ReliabilityBin> result(static_cast<std::size_t>(bins));
  for (std::size_t b = 0; b < result.size(); ++b) {
    result[b].lower = static_cast<double>(b) / static_cast<double>(bins);
    result[b].upper = static_cast<double>(b + 1) / static_cast<double>(bins);
  }
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    ReliabilityBin& bin = result[detail::reliability_bin(confidences[i], bins)];
    ++bin.count;
    bin.mean_confidence += confidences[i];
    bin.accuracy += correct[i];
  }
  for (ReliabilityBin& bin : result) {
    const auto count = static_cast<double>(std::max<Index>(bin.count, 1));
    bin.mean_confidence /= count;
    bin.accuracy /= count;
  }
  return result;
}

/// sum_b n_b / n |accuracy_b - mean confidence_b|, 0 to 1: 0 is perfectly calibrated.
/// @param confidences  n >= 1 confidences, 0 to 1
/// @param correct      n flags: 1 where the answer was right, else 0
/// @param bins         B, 1 to 1000000
/// @throws ArgumentError, ShapeError  as `reliability_bins`
/// Cost: O(n + B).
[[nodiscard]] inline double expected_calibration_error(std::span<const double> confidences,
                                                       std::span<const std::uint8_t> correct,
                                                       Index bins = 15) {
  double error = 0;
  for (const ReliabilityBin& bin : reliability_bins(confidences, correct, bins)) {
    error += static_cast<double>(bin.count) * std::abs(bin.accuracy - bin.mean_confidence);
  }
  return error / static_cast<double>(confidences.size());
}

}  // namespace anyssr::inline ANYSSR_ABI
