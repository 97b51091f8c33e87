// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Which rows are trained on and when: a validation split, and a new shuffle of the rows into
/// mini-batches every epoch. Both follow from their seed alone, on every platform.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/core/random.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// The rows 0..count-1 of one epoch, shuffled and cut into batches of `batch`; the last batch may
/// be smaller. Every row comes once.
/// @throws ArgumentError  count or batch below 1
class MiniBatches {
 public:
  MiniBatches(Index count, Index batch, std::uint64_t seed, std::uint64_t epoch) : batch_(batch) {
    detail::expect(count >= 1, "count is ", count, ", expected at least 1");
    detail::expect(batch >= 1, "batch is ", batch, ", expected at least 1");
    RandomStream random(seed, epoch);
    order_ = random_permutation(count, random);
  }

  /// Number of batches: count / batch, rounded up.
  [[nodiscard]] Index size() const noexcept { return (count() - 1) / batch_ + 1; }
  [[nodiscard]] Index count() const noexcept { return static_cast<Index>(order_.size()); }

  /// The rows of batch i in 0..size()-1; valid as long as this object.
  [[nodiscard]] std::span<const Index> operator[](Index i) const {
    const Index begin = i * batch_;
    return std::span<const Index>(order_).subspan(
        static_cast<std::size_t>(begin),
        static_cast<std::size_t>(std::min(batch_, count() - begin)));
  }

 private:
  std::vector<Index> order_;
  Index batch_;
};

/// Two disjoint lists of rows, ascending, that hold every row between them.
struct RowSplit {
  std::vector<Index> training;
  std::vector<Index> validation;
};

namespace detail {

/// How many rows each group of the given sizes sets aside: share * size each, rounded by largest
/// remainder so that the total is share * count rounded; a group always keeps one row.
[[nodiscard]] inline std::vector<Index> validation_quotas(const std::vector<Index>& sizes,
                                                          double share) {
  std::vector<Index> quotas;
  std::vector<std::pair<double, std::size_t>> remainders;
  Index count = 0;
  Index taken = 0;
  for (std::size_t g = 0; g < sizes.size(); ++g) {
    const double exact = share * static_cast<double>(sizes[g]);
    quotas.push_back(std::min(static_cast<Index>(exact), sizes[g] - 1));
    remainders.emplace_back(static_cast<double>(quotas[g]) - exact, g);
    count += sizes[g];
    taken += quotas[g];
  }
  const auto wanted = std::max<Index>(1, std::llround(share * static_cast<double>(count)));
  std::ranges::sort(remainders);
  for (const auto& remainder : remainders) {
    const std::size_t g = remainder.second;
    if (taken >= wanted) break;
    if (quotas[g] + 1 >= sizes[g]) continue;
    ++quotas[g];
    ++taken;
  }
  return quotas;
}

}  // namespace detail

/// Sets a share of the rows 0..count-1 aside for validation, at random. With labels the share of
/// each label is kept as nearly as whole rows allow, and every label keeps a row to train on.
/// @param share   above 0 and below 1; at least one row is set aside
/// @param labels  one a row, any numbers; empty: rows are alike
/// @throws ShapeError     another number of labels than rows
/// @throws ArgumentError  share out of range, or too few rows to set one aside
[[nodiscard]] inline RowSplit validation_split(Index count, double share, std::uint64_t seed,
                                               std::span<const Index> labels = {}) {
  detail::expect(detail::is_finite(share) && share > 0 && share < 1, "share is ", share,
                 ", expected above 0 and below 1");
  if (!labels.empty()) detail::expect_count("labels", labels.size(), count);
  RandomStream random(seed, ~std::uint64_t{0});  // a stream that no epoch reaches
  std::map<Index, std::vector<Index>> groups;
  for (const Index row : random_permutation(std::max<Index>(count, 0), random)) {
    groups[labels.empty() ? 0 : labels[static_cast<std::size_t>(row)]].push_back(row);
  }
  std::vector<Index> sizes;
  sizes.reserve(groups.size());
  for (const auto& [label, rows] : groups) sizes.push_back(static_cast<Index>(rows.size()));
  const std::vector<Index> quotas = detail::validation_quotas(sizes, share);
  RowSplit split;
  std::size_t g = 0;
  for (const auto& [label, rows] : groups) {
    const auto middle = rows.begin() + quotas[g++];
    split.validation.insert(split.validation.end(), rows.begin(), middle);
    split.training.insert(split.training.end(), middle, rows.end());
  }
  detail::expect(!split.validation.empty() && !split.training.empty(), "rows are ", count,
                 ", expected enough to set some aside for validation and keep one of each label");
  std::ranges::sort(split.training);
  std::ranges::sort(split.validation);
  return split;
}

}  // namespace anyssr::inline ANYSSR_ABI
