// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A router to compare with: it keeps rows of every task, and the k of them most like a query vote.
///
///   likeness = cosine of both rows        task(x) = the one of those k with the largest sum
///
/// It forgets nothing as long as it keeps the rows, which are data of users.
/// Source: Cover and Hart, IEEE Trans. Inf. Theory 13 (1967), 21-27; votes weighted by likeness.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "anyssr/baselines/task_rows.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/rows.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
class NearestNeighbours {
 public:
  /// @param dim         D, at least 1
  /// @param neighbours  k, at least 1
  /// @throws ArgumentError
  explicit NearestNeighbours(Index dim, Index neighbours = 5) : dim_(dim), neighbours_(neighbours) {
    detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
    detail::expect(neighbours >= 1, "neighbours is ", neighbours, ", expected at least 1");
  }

  [[nodiscard]] Index tasks() const noexcept { return tasks_; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t sum = 0;
    for (const Kept& kept : kept_) {
      sum += kept.entries.size() * sizeof(Entry) + sizeof(Index);
    }
    return sum;
  }

  /// Keeps rows of a task; a row of zeros is like no query.
  /// @param task      0..tasks(); tasks() is a new one
  /// @param features  n x D, n at least 1
  /// @throws ArgumentError, ShapeError, NonFiniteError; nothing has changed then
  template <FeatureMatrix<S> X>
  void learn(Index task, const X& features) {
    detail::expect_task_rows(task, tasks_, features, dim_);
    for (Index i = 0; i < features.rows(); ++i) kept_.push_back({task, unit_entries(features, i)});
    tasks_ = std::max(tasks_, task + 1);
  }

  /// @param features  n x D
  /// @return n tasks; of equal ones the smallest number
  /// @throws ArgumentError  before the first task;  ShapeError, NonFiniteError
  template <FeatureMatrix<S> X>
  [[nodiscard]] std::vector<Index> route(const X& features) const {
    detail::expect_queries(tasks_, features, dim_);
    std::vector<Index> chosen;
    std::vector<S> query(static_cast<std::size_t>(dim_), S(0));
    for (Index i = 0; i < features.rows(); ++i) {
      const std::vector<Entry> entries = unit_entries(features, i);
      for (const Entry& entry : entries)
        query[static_cast<std::size_t>(entry.column)] = entry.value;
      chosen.push_back(vote(query));
      for (const Entry& entry : entries) query[static_cast<std::size_t>(entry.column)] = S(0);
    }
    return chosen;
  }

 private:
  struct Entry {
    Index column;
    S value;
  };
  struct Kept {
    Index task;
    std::vector<Entry> entries;  // of a row of length 1, or none
  };

  /// The numbers of a row that are not 0, over its length.
  template <class X>
  [[nodiscard]] static std::vector<Entry> unit_entries(const X& features, Index row) {
    std::vector<Entry> entries;
    const auto add = [&](Index column, S value) {
      if (value != S(0)) entries.push_back({column, value});
    };
    if constexpr (SparseFeatures<X>) {
      for (typename X::InnerIterator it(features, row); it; ++it) add(it.col(), it.value());
    } else {
      for (Index j = 0; j < features.cols(); ++j) add(j, features(row, j));
    }
    S largest = 0;  // over it, no square leaves the range of numbers
    for (const Entry& entry : entries) largest = std::max(largest, std::abs(entry.value));
    double squares = 0;
    for (const Entry& entry : entries) {
      const double part = static_cast<double>(entry.value) / static_cast<double>(largest);
      squares += part * part;
    }
    for (Entry& entry : entries) {
      const double part = static_cast<double>(entry.value) / static_cast<double>(largest);
      entry.value = static_cast<S>(part / std::sqrt(squares));
    }
    return entries;
  }

  [[nodiscard]] Index vote(const std::vector<S>& query) const {
    std::vector<std::pair<double, Index>> likeness;
    likeness.reserve(kept_.size());
    for (const Kept& kept : kept_) {
      double sum = 0;
      for (const Entry& entry : kept.entries) {
        sum += static_cast<double>(entry.value) *
               static_cast<double>(query[static_cast<std::size_t>(entry.column)]);
      }
      likeness.emplace_back(-sum, kept.task);
    }
    const auto count = std::min(static_cast<std::size_t>(neighbours_), likeness.size());
    std::partial_sort(likeness.begin(), likeness.begin() + static_cast<std::ptrdiff_t>(count),
                      likeness.end());
    // A task without a neighbour is no choice, even where all neighbours are unlike the query.
    std::vector<double> votes(static_cast<std::size_t>(tasks_),
                              std::numeric_limits<double>::lowest());
    for (std::size_t k = 0; k < count; ++k) votes[static_cast<std::size_t>(likeness[k].second)] = 0;
    for (std::size_t k = 0; k < count; ++k) {
      votes[static_cast<std::size_t>(likeness[k].second)] -= likeness[k].first;
    }
    return std::ranges::max_element(votes) - votes.begin();
  }

  Index dim_;
  Index neighbours_;
  Index tasks_ = 0;
  std::vector<Kept> kept_;
};

}  // namespace anyssr::inline ANYSSR_ABI
