// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A router to compare with: a query goes to the task whose mean feature is nearest.
///
///   task(x) = argmax_j ( x m_j - |m_j|^2 / 2 ) = argmin_j |x - m_j|      m_j: mean of task j's rows
///
/// It keeps no rows, forgets nothing and learns in any order, but sees nothing of the tasks than
/// where they lie.
/// Source: the classifier of Mensink et al., IEEE TPAMI 35 (2013), 2624-2637, without its metric.

#include <cstddef>
#include <vector>

#include "anyssr/baselines/task_rows.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
class NearestMean {
 public:
  /// @param dim  D, at least 1
  /// @throws ArgumentError
  explicit NearestMean(Index dim) : dim_(dim) {
    detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
  }

  [[nodiscard]] Index tasks() const noexcept { return static_cast<Index>(rows_.size()); }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(sums_.size()) * sizeof(double) + rows_.size() * sizeof(Index);
  }

  /// More rows of a task.
  /// @param task      0..tasks(); tasks() is a new one
  /// @param features  n x D, n at least 1
  /// @throws ArgumentError, ShapeError, NonFiniteError; nothing has changed then
  template <FeatureMatrix<S> X>
  void learn(Index task, const X& features) {
    detail::expect_task_rows(task, tasks(), features, dim_);
    const Vector<S> sum = features.transpose() * Vector<S>::Ones(features.rows());
    if (task == tasks()) {
      sums_.conservativeResize(dim_, task + 1);
      sums_.col(task).setZero();
      rows_.push_back(0);
    }
    sums_.col(task) += sum.template cast<double>();
    rows_[static_cast<std::size_t>(task)] += features.rows();
  }

  /// @param features  n x D
  /// @return n tasks
  /// @throws ArgumentError  before the first task;  ShapeError, NonFiniteError
  template <FeatureMatrix<S> X>
  [[nodiscard]] std::vector<Index> route(const X& features) const {
    detail::expect_queries(tasks(), features, dim_);
    Matrix<double> means = sums_;
    for (Index j = 0; j < tasks(); ++j) {
      means.col(j) /= static_cast<double>(rows_[static_cast<std::size_t>(j)]);
    }
    const RowVector<S> half_squares = (means.colwise().squaredNorm() / 2).template cast<S>();
    const Matrix<S> scalar_means = means.template cast<S>();
    const RowMajorMatrix<S> products = features * scalar_means;
    std::vector<Index> chosen(static_cast<std::size_t>(features.rows()));
    for (Index i = 0; i < products.rows(); ++i) {
      (products.row(i) - half_squares).maxCoeff(&chosen[static_cast<std::size_t>(i)]);
    }
    return chosen;
  }

 private:
  Index dim_;
  Matrix<double> sums_;      // D x T
  std::vector<Index> rows_;  // T
};

}  // namespace anyssr::inline ANYSSR_ABI
