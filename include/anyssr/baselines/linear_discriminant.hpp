// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A router to compare with: linear discriminant analysis that learns from a stream. A query goes
/// to the task whose mean is nearest by the Mahalanobis distance of one covariance for all tasks:
///
///   C = (1 - s) C_within + s tr(C_within) / D I      C_within = (X^T X - sum_j n_j m_j m_j^T) / N
///   task(x) = argmax_j ( x w_j - m_j w_j / 2 )       w_j = C^-1 m_j
///
/// It keeps no rows, forgets nothing and learns in any order, as ridge regression does; it assumes
/// that every task is one cloud of one shape.
/// Source: Hayes and Kanan, arXiv 1909.01520 (streaming LDA); the shrinkage towards the mean
/// variance is that of Ledoit and Wolf, J. Multivariate Anal. 88 (2004), 365-411, by a fixed share.

#include <cmath>
#include <cstddef>
#include <vector>

#include "anyssr/baselines/task_rows.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/linalg/cholesky.hpp"
#include "anyssr/linalg/second_moment.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct LinearDiscriminantOptions {
  double shrinkage = 0.1;  ///< s, above 0, at most 1
  int threads = 0;
};

template <RealScalar S>
class LinearDiscriminant {
 public:
  /// @param dim  D, at least 1
  /// @throws ArgumentError
  explicit LinearDiscriminant(Index dim, const LinearDiscriminantOptions& options = {})
      : options_(options), second_moment_(Matrix<S>::Zero(dim >= 1 ? dim : 0, dim >= 1 ? dim : 0)) {
    detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
    detail::expect(detail::is_within(options.shrinkage, 0.0, 1.0) && options.shrinkage > 0,
                   "shrinkage is ", options.shrinkage, ", expected above 0 and at most 1");
  }

  [[nodiscard]] Index tasks() const noexcept { return static_cast<Index>(rows_.size()); }
  [[nodiscard]] std::size_t bytes() const noexcept {
    const auto dim = static_cast<std::size_t>(second_moment_.rows());
    return dim * (dim + 1) / 2 * sizeof(S) +
           static_cast<std::size_t>(sums_.size()) * sizeof(double) + rows_.size() * sizeof(Index);
  }

  /// More rows of a task.
  /// @param task      0..tasks(); tasks() is a new one
  /// @param features  n x D, n at least 1
  /// @throws ArgumentError, ShapeError, NonFiniteError; nothing has changed then
  template <FeatureMatrix<S> X>
  void learn(Index task, const X& features) {
    detail::expect_task_rows(task, tasks(), features, second_moment_.rows());
    const Vector<S> sum = features.transpose() * Vector<S>::Ones(features.rows());
    if constexpr (SparseFeatures<X>) {
      accumulate_second_moment(SparseRows<S>(features), static_cast<const S*>(nullptr),
                               second_moment_, options_.threads);
    } else {
      accumulate_second_moment(RowMajorMatrix<S>(features), second_moment_, options_.threads);
    }
    if (task == tasks()) {
      sums_.conservativeResize(second_moment_.rows(), task + 1);
      sums_.col(task).setZero();
      rows_.push_back(0);
    }
    sums_.col(task) += sum.template cast<double>();
    rows_[static_cast<std::size_t>(task)] += features.rows();
    weights_.resize(0, 0);
  }

  /// @param features  n x D
  /// @return n tasks
  /// @throws ArgumentError   before the first task;  ShapeError, NonFiniteError
  /// @throws NumericalError  where all rows of every task are the same
  /// Cost: after a change D^3 / 3 for a factorisation.
  template <FeatureMatrix<S> X>
  [[nodiscard]] std::vector<Index> route(const X& features) {
    detail::expect_queries(tasks(), features, second_moment_.rows());
    if (weights_.size() == 0) solve();
    const RowMajorMatrix<S> products = features * weights_;
    std::vector<Index> chosen(static_cast<std::size_t>(features.rows()));
    for (Index i = 0; i < products.rows(); ++i) {
      (products.row(i) - offsets_).maxCoeff(&chosen[static_cast<std::size_t>(i)]);
    }
    return chosen;
  }

 private:
  void solve() {
    const Index dim = second_moment_.rows();
    Matrix<S> means(dim, tasks());
    double all_rows = 0;
    Matrix<S> covariance = second_moment_;  // the lower triangle
    for (Index j = 0; j < tasks(); ++j) {
      const auto rows = static_cast<double>(rows_[static_cast<std::size_t>(j)]);
      means.col(j) = (sums_.col(j) / rows).template cast<S>();
      const Vector<S> scaled = (sums_.col(j) / std::sqrt(rows)).template cast<S>();
      covariance.template selfadjointView<Eigen::Lower>().rankUpdate(scaled, S(-1));
      all_rows += rows;
    }
    const auto kept = static_cast<S>((1 - options_.shrinkage) / all_rows);
    const double mean_variance =
        covariance.diagonal().template cast<double>().sum() / all_rows / static_cast<double>(dim);
    const auto ridge = static_cast<S>(options_.shrinkage * mean_variance);
    covariance *= kept;
    Vector<S> diagonal(dim);
    detail::expect<NumericalError>(
        ridge > S(0) && factor_shifted(covariance, ridge, diagonal, options_.threads),
        "the covariance within tasks is not positive definite, expected rows that differ");
    weights_ = means;
    solve_forward(covariance, diagonal, weights_, options_.threads);
    solve_backward(covariance, diagonal, weights_, options_.threads);
    offsets_.resize(tasks());
    for (Index j = 0; j < tasks(); ++j) offsets_(j) = means.col(j).dot(weights_.col(j)) / 2;
  }

  LinearDiscriminantOptions options_;
  Matrix<S> second_moment_;  // D x D, lower triangle
  Matrix<double> sums_;      // D x T
  std::vector<Index> rows_;  // T
  Matrix<S> weights_;        // D x T; empty after a change
  RowVector<S> offsets_;     // T
};

}  // namespace anyssr::inline ANYSSR_ABI
