// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The router as a reader sees it: an immutable function from features to a decision.
///
///   raw = phi(x) W;   score(t) = raw[task column of t] + w * max over label columns of t of raw
///   confidence = softmax(b * scores) at the best task
///
/// A task without label columns counts its task column as its best label. w is fixed while
/// learning, so the chosen task depends on the rows learned and not on their order.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/router/routing_decision.hpp"
#include "anyssr/subspace/any_expansion.hpp"

namespace anyssr::inline v0 {

/// A task as the router knows it.
struct RoutedTask {
  std::string name;
  Index rows = 0;         ///< rows learned
  double row_weight = 1;  ///< of each of its rows: 1, or 1 / n_t in a balanced router
  Index column = 0;       ///< its task column of W
  std::vector<Index> label_columns = {};  ///< column of W of each of its labels; may be empty
};

/// Memory that decisions use again. One a thread.
template <RealScalar S>
struct RoutingWorkspace {
  RowMajorMatrix<S> raw;      ///< n x columns of W
  Vector<double> best_label;  ///< one a task
  ExpansionWorkspace<S> expansion;
};

/// The parts of the task scores from the raw outputs of W's columns for one query.
/// @param raw         1 x columns
/// @param own         one a task: raw output of its task column
/// @param best_label  one a task: the largest of its label columns, its task column without any
template <class Raw, class Own, class Best>
void task_score_parts(const std::vector<RoutedTask>& tasks, const Raw& raw, Own&& own,
                      Best&& best_label) {
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const auto at = static_cast<Index>(t);
    own(at) = static_cast<double>(raw(tasks[t].column));
    double best =
        tasks[t].label_columns.empty() ? own(at) : -std::numeric_limits<double>::infinity();
    for (const Index column : tasks[t].label_columns) {
      best = std::max(best, static_cast<double>(raw(column)));
    }
    best_label(at) = best;
  }
}

namespace detail {

/// A copy in the other storage order, by tiles that fit in cache.
template <RealScalar S>
[[nodiscard]] RowMajorMatrix<S> to_row_major(const Matrix<S>& x) {
  constexpr Index tile = 32;
  RowMajorMatrix<S> copy(x.rows(), x.cols());
  for (Index i = 0; i < x.rows(); i += tile) {
    const Index rows = std::min(tile, x.rows() - i);
    for (Index j = 0; j < x.cols(); j += tile) {
      const Index cols = std::min(tile, x.cols() - j);
      copy.block(i, j, rows, cols) = x.block(i, j, rows, cols);
    }
  }
  return copy;
}

}  // namespace detail

template <RealScalar S>
class RoutingTable {
 public:
  using Scalar = S;

  RoutingTable(std::shared_ptr<const AnyExpansion<S>> expansion, const Matrix<S>& weights,
               std::vector<RoutedTask> tasks, double label_weight, double temperature)
      : expansion_(std::move(expansion)),
        weights_(detail::to_row_major(weights)),
        tasks_(std::move(tasks)),
        label_weight_(label_weight),
        temperature_(temperature) {}

  [[nodiscard]] Index feature_dim() const noexcept { return expansion_->in_dim(); }
  [[nodiscard]] const std::vector<RoutedTask>& tasks() const noexcept { return tasks_; }
  [[nodiscard]] const RowMajorMatrix<S>& weights() const noexcept { return weights_; }

  /// b of softmax(b * scores).
  [[nodiscard]] double temperature() const noexcept { return temperature_; }
  [[nodiscard]] double label_weight() const noexcept { return label_weight_; }

  /// Decides on n queries.
  /// @param features   n x feature_dim(), dense or row-major sparse
  /// @param workspace  kept by the caller: after the first call of a size nothing is allocated
  /// @param decisions  gets n entries
  /// @throws ShapeError, NonFiniteError, TaskError (no task learned)
  /// Cost: the expansion and 2 d columns flops a query; sparse features cost their nonzeros.
  template <FeatureMatrix<S> X>
  void decide(const X& features, RoutingWorkspace<S>& workspace,
              std::vector<RoutingDecision>& decisions) const {
    check(features);
    decisions.resize(static_cast<std::size_t>(features.rows()));
    score(features, workspace);
    for (Index i = 0; i < features.rows(); ++i) {
      conclude(workspace.raw.row(i), workspace, decisions[static_cast<std::size_t>(i)]);
    }
  }

  /// Decides on one query: features is 1 x feature_dim().
  template <FeatureMatrix<S> X>
  void decide(const X& features, RoutingWorkspace<S>& workspace, RoutingDecision& decision) const {
    detail::expect_rows("features", features, 1);
    check(features);
    score(features, workspace);
    conclude(workspace.raw.row(0), workspace, decision);
  }

 private:
  template <class X>
  void check(const X& features) const {
    detail::expect<TaskError>(!tasks_.empty(), "no task is learned yet: call learn first");
    detail::expect_cols("features", features, feature_dim());
    detail::expect_finite("features", features);
  }

  /// workspace.raw = phi(features) W
  template <class X>
  void score(const X& features, RoutingWorkspace<S>& workspace) const {
    if (workspace.raw.rows() != features.rows() || workspace.raw.cols() != weights_.cols()) {
      workspace.raw.resize(features.rows(), weights_.cols());
    }
    expansion_->visit_expanded(features, workspace.expansion,
                               [&](const auto& expanded) { multiply(expanded, workspace.raw); });
  }

  template <class X>
  void multiply(const X& expanded, RowMajorMatrix<S>& raw) const {
    if constexpr (SparseFeatures<X>) {
      raw.setZero();
      for (Index i = 0; i < expanded.rows(); ++i) {
        for (typename X::InnerIterator it(expanded, i); it; ++it) {
          raw.row(i) += it.value() * weights_.row(it.index());
        }
      }
    } else if (expanded.rows() == 1) {
      raw.row(0).noalias() = expanded.row(0) * weights_;
    } else {
      raw.noalias() = expanded * weights_;
    }
  }

  template <class Raw>
  void conclude(const Raw& raw, RoutingWorkspace<S>& workspace, RoutingDecision& decision) const {
    const auto count = static_cast<Index>(tasks_.size());
    if (decision.scores.size() != count) decision.scores.resize(count);
    if (workspace.best_label.size() != count) workspace.best_label.resize(count);
    task_score_parts(tasks_, raw, decision.scores, workspace.best_label);
    decision.scores += label_weight_ * workspace.best_label;
    decision.task = 0;
    decision.runner_up = -1;
    for (Index t = 1; t < count; ++t) {
      if (decision.scores(t) > decision.scores(decision.task)) {
        decision.runner_up = std::exchange(decision.task, t);
      } else if (decision.runner_up < 0 ||
                 decision.scores(t) > decision.scores(decision.runner_up)) {
        decision.runner_up = t;
      }
    }
    const double best = decision.scores(decision.task);
    decision.margin = decision.runner_up < 0 ? best : best - decision.scores(decision.runner_up);
    decision.confidence = 1 / (temperature_ * (decision.scores.array() - best)).exp().sum();
    decision.novelty.reset();
    decision.outcome = RoutingOutcome::routed;
  }

  std::shared_ptr<const AnyExpansion<S>> expansion_;
  RowMajorMatrix<S> weights_;  // d x columns; row-major, so a sparse query reads whole rows
  std::vector<RoutedTask> tasks_;
  double label_weight_;
  double temperature_;
};

}  // namespace anyssr::inline v0
