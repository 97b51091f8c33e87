// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A router to compare with: softmax regression by stochastic gradient descent, which goes over the
/// rows of a new task and no others.
///
///   P(j | x) = softmax(x W + b)_j      W, b <- W, b - rate * gradient of the mean cross-entropy
///
/// A new task adds a column. Since its rows are all of one task, descent raises that column at the
/// cost of the others: earlier tasks are forgotten, which is what a closed form avoids.
/// Source: Robbins and Monro, Ann. Math. Statist. 22 (1951), 400-407.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "anyssr/baselines/task_rows.hpp"
#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/core/rows.hpp"
#include "anyssr/train/objective.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct OnlineSoftmaxOptions {
  double rate = 1;         ///< above 0
  Index batch = 64;        ///< rows of a step, at least 1
  int epochs = 1;          ///< over the rows of a call, at least 1
  std::uint64_t seed = 0;  ///< of the shuffles
};

template <RealScalar S>
class OnlineSoftmax {
 public:
  /// @param dim  D, at least 1
  /// @throws ArgumentError
  explicit OnlineSoftmax(Index dim, const OnlineSoftmaxOptions& options = {})
      : dim_(dim), options_(options), random_(options.seed, 0) {
    detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
    detail::expect_positive("rate", options.rate);
    detail::expect(options.batch >= 1, "batch is ", options.batch, ", expected at least 1");
    detail::expect(options.epochs >= 1, "epochs is ", options.epochs, ", expected at least 1");
  }

  [[nodiscard]] Index tasks() const noexcept { return weights_.cols(); }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(weights_.size() + bias_.size()) * sizeof(S);
  }

  /// More rows of a task.
  /// @param task      0..tasks(); tasks() is a new one
  /// @param features  n x D, n at least 1
  /// @throws ArgumentError, ShapeError, NonFiniteError; nothing has changed then
  template <FeatureMatrix<S> X>
  void learn(Index task, const X& features) {
    detail::expect_task_rows(task, tasks(), features, dim_);
    if (task == tasks()) {
      weights_.conservativeResize(dim_, task + 1);
      weights_.col(task).setZero();
      bias_.conservativeResize(task + 1);
      bias_(task) = 0;
    }
    for (int epoch = 0; epoch < options_.epochs; ++epoch) {
      const std::vector<Index> order = random_permutation(features.rows(), random_);
      for (std::size_t begin = 0; begin < order.size();) {
        const std::size_t end =
            std::min(begin + static_cast<std::size_t>(options_.batch), order.size());
        step(task, select_rows(features, std::span(order).subspan(begin, end - begin)));
        begin = end;
      }
    }
  }

  /// @param features  n x D
  /// @return n tasks
  /// @throws ArgumentError  before the first task;  ShapeError, NonFiniteError
  template <FeatureMatrix<S> X>
  [[nodiscard]] std::vector<Index> route(const X& features) const {
    detail::expect_queries(tasks(), features, dim_);
    const RowMajorMatrix<S> logits = scores(features);
    std::vector<Index> chosen(static_cast<std::size_t>(features.rows()));
    for (Index i = 0; i < logits.rows(); ++i) {
      logits.row(i).maxCoeff(&chosen[static_cast<std::size_t>(i)]);
    }
    return chosen;
  }

 private:
  template <class X>
  [[nodiscard]] RowMajorMatrix<S> scores(const X& features) const {
    RowMajorMatrix<S> logits = features * weights_;
    logits.rowwise() += bias_;
    return logits;
  }

  template <class X>
  void step(Index task, const X& features) {
    const std::vector<Index> labels(static_cast<std::size_t>(features.rows()), task);
    const RowMajorMatrix<S> logits = scores(features);
    RowMajorMatrix<S> slope(logits.rows(), logits.cols());
    (void)softmax_cross_entropy(logits, labels, 0, &slope);  // the mean over the rows
    const Matrix<S> gradient = features.transpose() * slope;
    const auto rate = static_cast<S>(options_.rate);
    weights_ -= rate * gradient;
    bias_ -= rate * slope.colwise().sum();
  }

  Index dim_;
  OnlineSoftmaxOptions options_;
  RandomStream random_;
  Matrix<S> weights_;  // D x T
  RowVector<S> bias_;  // T
};

}  // namespace anyssr::inline ANYSSR_ABI
