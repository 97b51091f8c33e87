// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The router as a reader sees it: an immutable function from features to a decision.
///
///   raw = phi(x) W;   score(t) = raw[task column of t] + w * max over label columns of t of raw
///   confidence = softmax(b * scores) at the best task
///
/// A task without label columns counts its task column as its best label. w is fixed while
/// learning, so the chosen task depends on the rows learned and not on their order. A task that is
/// not active is never chosen: its score is minus infinity.
/// Source: Any-SSR, arXiv 2503.13575, for the scores; temperature: arXiv 1706.04599.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/shared_product.hpp"
#include "anyssr/router/novelty.hpp"
#include "anyssr/router/routed_task.hpp"
#include "anyssr/router/routing_decision.hpp"
#include "anyssr/subspace/any_expansion.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Memory that decisions use again. One a thread.
template <RealScalar S>
struct RoutingWorkspace {
  RowMajorMatrix<S> raw;      ///< n x columns of W
  Vector<double> best_label;  ///< one a task
  LeverageWorkspace<S> leverage;
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
    for (const Index column : tasks[t].further_columns) own(at) += static_cast<double>(raw(column));
    double best = tasks[t].label_columns.empty() ? own(at) : std::numeric_limits<double>::lowest();
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

/// What turns scores into confidence and candidates, and who computes them.
struct RoutingParameters {
  double label_weight = 1;      ///< w
  double temperature = 10;      ///< b of softmax(b * scores)
  ResidualQuantiles residuals;  ///< of all tasks
  int threads = 1;              ///< of batches that take milliseconds
};

template <RealScalar S>
class RoutingTable {
 public:
  using Scalar = S;

  RoutingTable(std::shared_ptr<const AnyExpansion<S>> expansion, const Matrix<S>& weights,
               std::vector<RoutedTask> tasks, const RoutingParameters& parameters,
               NoveltyMeter<S> meter)
      : expansion_(std::move(expansion)),
        weights_(detail::to_row_major(weights)),
        tasks_(std::move(tasks)),
        parameters_(parameters),
        meter_(std::move(meter)),
        active_(std::any_of(tasks_.begin(), tasks_.end(),
                            [](const RoutedTask& task) { return task.active; })) {}

  [[nodiscard]] Index feature_dim() const noexcept { return expansion_->in_dim(); }
  [[nodiscard]] const std::vector<RoutedTask>& tasks() const noexcept { return tasks_; }
  [[nodiscard]] const RowMajorMatrix<S>& weights() const noexcept { return weights_; }

  /// b of softmax(b * scores).
  [[nodiscard]] double temperature() const noexcept { return parameters_.temperature; }
  [[nodiscard]] double label_weight() const noexcept { return parameters_.label_weight; }
  /// How novelty is measured, and its numbers.
  [[nodiscard]] const NoveltyMeter<S>& meter() const noexcept { return meter_; }

  /// The score from which on a task belongs to a query's candidates, so that the right one is among
  /// them for a share `coverage` of queries like those learned (task_calibration.hpp); the lowest
  /// double where too few rows were learned to promise that.
  /// @param coverage  above 0, below 1
  [[nodiscard]] double candidate_threshold(double coverage) const {
    detail::expect(detail::is_finite(coverage) && coverage > 0 && coverage < 1, "coverage is ",
                   coverage, ", expected above 0 and below 1");
    const std::optional<double> residual = parameters_.residuals.at(coverage);
    return residual ? 1 + parameters_.label_weight - *residual
                    : std::numeric_limits<double>::lowest();
  }

  /// Calls f(expanded) with the expanded rows of features, which are 1 or more x feature_dim().
  template <FeatureMatrix<S> X, class F>
  void visit_expanded(const X& features, RoutingWorkspace<S>& workspace, const F& f) const {
    check(features);
    expansion_->visit_expanded(features, workspace.expansion, f);
  }
  /// Whether weights belong to the features themselves: no expansion lies between.
  [[nodiscard]] bool has_plain_features() const noexcept { return expansion_->passes_through(); }

  /// Decides on n queries.
  /// @param features   n x feature_dim(), dense or row-major sparse
  /// @param workspace  kept by the caller: after the first call of a size nothing is allocated
  /// @param decisions  gets n entries
  /// @throws ShapeError, NonFiniteError, TaskError (no task learned)
  /// Cost: the expansion and 2 d columns flops a query; sparse features cost their nonzeros.
  template <FeatureMatrix<S> X>
  void decide(const X& features, RoutingWorkspace<S>& workspace,
              std::vector<RoutingDecision>& decisions) const {
    decide_all(detail::as_map(features), workspace, decisions);
  }

  /// Decides on one query: features is 1 x feature_dim().
  template <FeatureMatrix<S> X>
  void decide(const X& features, RoutingWorkspace<S>& workspace, RoutingDecision& decision) const {
    decide_one(detail::as_map(features), workspace, decision);
  }

 private:
  // Features as maps, as SparseRows<S>, or as expressions.
  template <class X>
  void decide_all(const X& features, RoutingWorkspace<S>& workspace,
                  std::vector<RoutingDecision>& decisions) const;
  template <class X>
  void decide_one(const X& features, RoutingWorkspace<S>& workspace,
                  RoutingDecision& decision) const;
  template <class X>
  void check(const X& features) const;
  template <class X>
  void score(const X& features, RoutingWorkspace<S>& workspace) const;
  template <class X>
  void multiply(const X& expanded, RowMajorMatrix<S>& raw) const;
  void conclude(Index row, RoutingWorkspace<S>& workspace, RoutingDecision& decision) const;

  std::shared_ptr<const AnyExpansion<S>> expansion_;
  RowMajorMatrix<S> weights_;  // d x columns; row-major, so a sparse query reads whole rows
  std::vector<RoutedTask> tasks_;
  RoutingParameters parameters_;
  NoveltyMeter<S> meter_;
  bool active_;  // whether any task is
};

template <RealScalar S>
template <class X>
void RoutingTable<S>::decide_all(const X& features, RoutingWorkspace<S>& workspace,
                                 std::vector<RoutingDecision>& decisions) const {
  check(features);
  const detail::SerialEigen serial;
  decisions.resize(static_cast<std::size_t>(features.rows()));
  score(features, workspace);
  for (Index i = 0; i < features.rows(); ++i) {
    conclude(i, workspace, decisions[static_cast<std::size_t>(i)]);
  }
}

template <RealScalar S>
template <class X>
void RoutingTable<S>::decide_one(const X& features, RoutingWorkspace<S>& workspace,
                                 RoutingDecision& decision) const {
  detail::expect_rows("features", features, 1);
  check(features);
  const detail::SerialEigen serial;
  score(features, workspace);
  conclude(0, workspace, decision);
}

template <RealScalar S>
template <class X>
void RoutingTable<S>::check(const X& features) const {
  detail::expect<TaskError>(!tasks_.empty(), "no task is learned yet: call learn first");
  detail::expect<TaskError>(active_, "no task is active: all are archived, restore one first");
  detail::expect_cols("features", features, feature_dim());
  detail::expect_finite("features", features);
}

/// workspace.raw = phi(features) W
template <RealScalar S>
template <class X>
void RoutingTable<S>::score(const X& features, RoutingWorkspace<S>& workspace) const {
  if (workspace.raw.rows() != features.rows() || workspace.raw.cols() != weights_.cols()) {
    workspace.raw.resize(features.rows(), weights_.cols());
  }
  expansion_->visit_expanded(features, workspace.expansion, [&](const auto& expanded) {
    multiply(expanded, workspace.raw);
    meter_.measure(expanded, workspace.leverage);
  });
}

template <RealScalar S>
template <class X>
void RoutingTable<S>::multiply(const X& expanded, RowMajorMatrix<S>& raw) const {
  if constexpr (SparseFeatures<X>) {
    raw.setZero();
    for (Index i = 0; i < expanded.rows(); ++i) {
      for (typename X::InnerIterator it(expanded, i); it; ++it) {
        raw.row(i) += it.value() * weights_.row(it.index());
      }
    }
  } else {
    detail::set_shared_product(raw, expanded, weights_, parameters_.threads);
  }
}

template <RealScalar S>
void RoutingTable<S>::conclude(Index row, RoutingWorkspace<S>& workspace,
                               RoutingDecision& decision) const {
  const auto count = static_cast<Index>(tasks_.size());
  if (decision.scores.size() != count) decision.scores.resize(count);
  if (workspace.best_label.size() != count) workspace.best_label.resize(count);
  task_score_parts(tasks_, workspace.raw.row(row), decision.scores, workspace.best_label);
  decision.scores += parameters_.label_weight * workspace.best_label;
  decision.task = -1;
  decision.runner_up = -1;
  for (Index t = 0; t < count; ++t) {
    if (!tasks_[static_cast<std::size_t>(t)].active) {
      decision.scores(t) = -std::numeric_limits<double>::infinity();
    } else if (decision.task < 0 || decision.scores(t) > decision.scores(decision.task)) {
      decision.runner_up = std::exchange(decision.task, t);
    } else if (decision.runner_up < 0 || decision.scores(t) > decision.scores(decision.runner_up)) {
      decision.runner_up = t;
    }
  }
  const double best = decision.scores(decision.task);
  decision.margin = decision.runner_up < 0 ? best : best - decision.scores(decision.runner_up);
  double sum = 0;  // of active tasks: exp of -infinity is undefined under -ffast-math
  for (Index t = 0; t < count; ++t) {
    if (!tasks_[static_cast<std::size_t>(t)].active) continue;
    sum += std::exp(parameters_.temperature * (decision.scores(t) - best));
  }
  decision.confidence = 1 / sum;
  decision.novelty = meter_.novelty(best / (1 + parameters_.label_weight), row, workspace.leverage);
  detail::expect<NonFiniteError>(
      detail::is_finite(best) && detail::is_finite(decision.confidence) &&
          detail::is_finite(decision.novelty.value_or(0)),
      "features of row ", row, " are too large: their scores or their novelty are not finite");
  decision.outcome = RoutingOutcome::routed;
}

}  // namespace anyssr::inline ANYSSR_ABI
