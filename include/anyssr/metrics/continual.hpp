// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What continual learning is judged by. a[i][j] is the accuracy on task j after learning task i,
/// 0-based, T tasks:
///
///   average accuracy    1/T     sum_j       a[T-1][j]
///   forgetting          1/(T-1) sum_{j<T-1} ( max_{j<=i<T-1} a[i][j] - a[T-1][j] )
///   backward transfer   1/(T-1) sum_{j<T-1} ( a[T-1][j] - a[j][j] )
///   forward transfer    1/(T-1) sum_{j>=1}  ( a[j-1][j] - untrained[j] )
///   learning accuracy   1/T     sum_j       a[j][j]
///
/// Forgetting is best minus last (Chaudhry et al., arXiv 1801.10112); toolkits that report first
/// minus last report the negative of the backward transfer (Lopez-Paz and Ranzato, arXiv
/// 1706.08840). Accuracies are shares of right answers, or means of scores from 0 to 1 where
/// answers are more or less right (`score_of`, `rouge_l`); everything in double.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// T x T accuracies: row i after learning task i, column j on task j. Entries are unset until
/// `set`; those above the diagonal (tasks not learned yet) are needed by `forward_transfer` alone.
class AccuracyMatrix {
 public:
  /// @param tasks  T, 1 to 65536
  /// @throws ArgumentError  outside that range
  explicit AccuracyMatrix(Index tasks) : tasks_{tasks} {
    detail::expect(tasks >= 1 && tasks <= 65536, "tasks is ", tasks, ", expected 1 to 65536");
    entries_.assign(static_cast<std::size_t>(tasks * tasks), unset);
  }

  /// T.
  [[nodiscard]] Index tasks() const noexcept { return tasks_; }

  /// a[after][task] = accuracy; replaces what was set before.
  /// @param accuracy  share of right answers or mean score, 0 to 1
  /// @throws ArgumentError  an index outside 0..T-1, an accuracy outside 0..1 or NaN
  void set(Index after, Index task, double accuracy) {
    const std::size_t place = position(after, task);
    detail::expect(detail::is_within(accuracy, 0.0, 1.0), "accuracy on task ", task,
                   " after learning task ", after, " is ", accuracy,
                   ", expected a share from 0 to 1");
    entries_[place] = accuracy;
  }

  /// Whether a[after][task] was set.
  /// @throws ArgumentError  an index outside 0..T-1
  [[nodiscard]] bool has(Index after, Index task) const {
    return entries_[position(after, task)] != unset;
  }

  /// a[after][task].
  /// @throws ArgumentError  an index outside 0..T-1, an entry that was not set
  [[nodiscard]] double operator()(Index after, Index task) const {
    const double accuracy = entries_[position(after, task)];
    detail::expect(accuracy != unset, "accuracy on task ", task, " after learning task ", after,
                   " was not set, expected set(", after, ", ", task, ", ...) before it is read");
    return accuracy;
  }

  /// The tasks learned so far: a[after][0..after], after + 1 numbers.
  /// @throws ArgumentError  an index outside 0..T-1, an entry that was not set
  [[nodiscard]] std::vector<double> row(Index after) const {
    std::vector<double> accuracies{(*this)(after, 0)};
    for (Index task = 1; task <= after; ++task) accuracies.push_back((*this)(after, task));
    return accuracies;
  }

 private:
  static constexpr double unset = -1;

  [[nodiscard]] std::size_t position(Index after, Index task) const {
    detail::expect(after >= 0 && after < tasks_ && task >= 0 && task < tasks_, "entry (", after,
                   ", ", task, ") is outside the matrix, expected indices from 0 to ", tasks_ - 1);
    return static_cast<std::size_t>(after * tasks_ + task);
  }

  Index tasks_;                  // T
  std::vector<double> entries_;  // T x T by rows; `unset` where nothing was set
};

/// 1/T sum_j a[T-1][j], also called overall performance (OP): higher is better.
/// @throws ArgumentError  where an entry it needs was not set
[[nodiscard]] inline double average_accuracy(const AccuracyMatrix& accuracy) {
  const Index tasks = accuracy.tasks();
  double sum = 0;
  for (Index j = 0; j < tasks; ++j) sum += accuracy(tasks - 1, j);
  return sum / static_cast<double>(tasks);
}

/// 1/(T-1) sum_{j<T-1} ( max_{j<=i<T-1} a[i][j] - a[T-1][j] ): what was lost of the best, -1 to 1,
/// lower is better and below 0 means that old tasks gained. One task: 0.
/// @throws ArgumentError  where an entry on or below the diagonal was not set
[[nodiscard]] inline double forgetting(const AccuracyMatrix& accuracy) {
  const Index last = accuracy.tasks() - 1;
  if (last == 0) return 0;
  double sum = 0;
  for (Index j = 0; j < last; ++j) {
    double best = accuracy(j, j);
    for (Index i = j + 1; i < last; ++i) best = std::max(best, accuracy(i, j));
    sum += best - accuracy(last, j);
  }
  return sum / static_cast<double>(last);
}

/// 1/(T-1) sum_{j<T-1} ( a[T-1][j] - a[j][j] ): what later tasks did to earlier ones, -1 to 1,
/// higher is better. One task: 0.
/// @throws ArgumentError  where the last row or the diagonal was not set
[[nodiscard]] inline double backward_transfer(const AccuracyMatrix& accuracy) {
  const Index last = accuracy.tasks() - 1;
  if (last == 0) return 0;
  double sum = 0;
  for (Index j = 0; j < last; ++j) sum += accuracy(last, j) - accuracy(j, j);
  return sum / static_cast<double>(last);
}

/// 1/(T-1) sum_{j>=1} ( a[j-1][j] - untrained[j] ): what earlier tasks did for one not learned yet,
/// -1 to 1, higher is better. One task: 0. A router has no column for a task before it is learned,
/// so measure a[j-1][j] with the right adapter given.
/// @param untrained  T accuracies of a model that learned nothing, 0 to 1; entry 0 is not used
/// @throws ShapeError     where `untrained` has not T entries
/// @throws ArgumentError  an accuracy outside 0..1, an entry a[j-1][j] that was not set
[[nodiscard]] inline double forward_transfer(const AccuracyMatrix& accuracy,
                                             std::span<const double> untrained) {
  const Index tasks = accuracy.tasks();
  detail::expect<ShapeError>(static_cast<Index>(untrained.size()) == tasks,
                             "untrained accuracies have ", untrained.size(), " entries, expected ",
                             tasks, ", one a task");
  double sum = 0;
  for (Index j = 1; j < tasks; ++j) {
    const double start = untrained[static_cast<std::size_t>(j)];
    detail::expect(detail::is_within(start, 0.0, 1.0), "untrained accuracy on task ", j, " is ",
                   start, ", expected a share from 0 to 1");
    sum += accuracy(j - 1, j) - start;
  }
  return tasks == 1 ? 0 : sum / static_cast<double>(tasks - 1);
}

/// 1/T sum_j a[j][j]: how well each task was learned at the time, higher is better.
/// @throws ArgumentError  where the diagonal was not set
[[nodiscard]] inline double learning_accuracy(const AccuracyMatrix& accuracy) {
  const Index tasks = accuracy.tasks();
  double sum = 0;
  for (Index j = 0; j < tasks; ++j) sum += accuracy(j, j);
  return sum / static_cast<double>(tasks);
}

}  // namespace anyssr::inline ANYSSR_ABI
