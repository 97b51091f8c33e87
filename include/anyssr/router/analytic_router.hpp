// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The analytic router: which task does a query belong to?
///
///   H = phi(X),  Y = unit vectors of task columns and label columns
///   W = (H^T H + lambda I)^-1 H^T Y                  scores of a query = phi(x) W
///
/// Learning tasks one after another gives the W of one joint fit: no replay, no stored rows, no
/// forgetting. The confidence is calibrated on closed-form leave-one-out scores of the rows at hand
/// (leave_one_out.hpp); only a few numbers are kept.
/// Source: Any-SSR, arXiv 2503.13575 (analytic router).

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/rls/feature_condition.hpp"
#include "anyssr/router/router_tasks.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
class AnalyticRouter : public RouterTasks<S> {
  using Core = detail::RouterCore<S>;
  using Core::commit, Core::expansion_, Core::label_weight_counts_, Core::options_, Core::publish,
      Core::replace, Core::rls_, Core::table_, Core::visit_expanded, Core::expect_not_poisoned;

 public:
  using Scalar = S;

  /// @param feature_dim  D, width of the backbone's features
  /// @throws ArgumentError  for an option out of range
  explicit AnalyticRouter(Index feature_dim, const RouterOptions& options = {})
      : RouterTasks<S>(feature_dim, options) {}

  /// Goes on from a state, as if its rows had been learned here: the sums are the same bits.
  /// @throws ShapeError, NonFiniteError, TaskError, ArgumentError  for a state that no rows can
  ///         lead to, or of another width than the options say; NumericalError where its Gram
  ///         cannot be factored
  /// Cost: d^3 / 3 flops and the solve.
  AnalyticRouter(Index feature_dim, const RouterOptions& options, RouterState<S> state)
      : RouterTasks<S>(feature_dim, options, std::move(state)) {}

  /// Learns a new task.
  /// @param name           not empty, not known yet
  /// @param features       n x feature_dim(), dense or row-major sparse, all rows of this task
  /// @param labels         label 0, 1, ... of each row within the task; empty: no label columns
  /// @param declared_rows  n_t of a balanced router, where extend will bring more; 0: n
  /// @return digest of the rows: what unlearn can ask for
  /// @throws TaskError, ShapeError, NonFiniteError, ArgumentError  before any state changes;
  ///         NumericalError  where the factorisation fails (see is_poisoned)
  /// Cost: expansion, n d^2 (dense) update, d^3 / 3 factor, 2 d^2 columns solve, calibration d^2 a
  /// row.
  template <FeatureMatrix<S> X>
  std::uint64_t learn(std::string_view name, const X& features, std::span<const Index> labels = {},
                      Index declared_rows = 0) {
    detail::expect(declared_rows >= 0, "declared_rows is ", declared_rows,
                   ", expected 0 (the rows of this call) or more");
    const std::string names[] = {std::string(name)};
    const std::vector<Index> task_of_row(static_cast<std::size_t>(features.rows()), 0);
    const Index declared[] = {declared_rows > 0 ? declared_rows : features.rows()};
    return learn_new(names, features, task_of_row, labels, declared);
  }

  /// Learns several new tasks from one batch: the joint fit that learning them in turn equals.
  /// @param names        the new tasks
  /// @param task_of_row  index into names, one a row; every task has a row
  template <FeatureMatrix<S> X>
  std::uint64_t learn_together(std::span<const std::string> names, const X& features,
                               std::span<const Index> task_of_row,
                               std::span<const Index> labels = {}) {
    detail::expect_task_of_row(names, features.rows(), task_of_row);
    std::vector<Index> declared(names.size(), 0);
    for (const Index task : task_of_row) ++declared[static_cast<std::size_t>(task)];
    return learn_new(names, features, task_of_row, labels, declared);
  }

  /// More rows for a known task; a label that is new to the task gets a column of its own.
  /// @throws TaskError for an unknown name, or more rows than a balanced task was declared with;
  ///         otherwise as learn
  template <FeatureMatrix<S> X>
  std::uint64_t extend(std::string_view name, const X& features,
                       std::span<const Index> labels = {}) {
    const Index task = expect_known(name, labels);
    const std::vector<Index> rows(static_cast<std::size_t>(features.rows()), task);
    return absorb(this->tasks(), features, rows, labels);
  }

  /// The label of a task that scores best for a query, among all labels it learned.
  /// @param features  1 x feature_dim()
  /// @throws TaskError  for an unknown name or a task without labels
  template <FeatureMatrix<S> X>
  [[nodiscard]] Index best_label(std::string_view name, const X& features) const {
    const RoutedTask& task = this->tasks()[this->index(name)];
    detail::expect<TaskError>(!task.label_columns.empty(), "task '", name, "' has no labels");
    RoutingWorkspace<S> workspace;
    RoutingDecision decision;
    table_->decide(features, workspace, decision);
    Index best = 0;
    for (std::size_t label = 1; label < task.label_columns.size(); ++label) {
      if (workspace.raw(0, task.label_columns[label]) >
          workspace.raw(0, task.label_columns[static_cast<std::size_t>(best)])) {
        best = static_cast<Index>(label);
      }
    }
    return best;
  }

  /// Takes rows of a task out again, exactly (to round-off), without the others. The task stays,
  /// also without rows. The temperature of the confidence and the counts of suggest_label_weight
  /// stay as they were measured, until the last task is removed.
  /// @param labels  as the rows were learned with
  /// @param digest  what learn or extend returned for these rows: other rows are then refused
  /// @throws TaskError for an unknown name or more rows than the task has; otherwise as
  ///         RecursiveLeastSquares::downdate. The router is then as it was.
  template <FeatureMatrix<S> X>
  void unlearn(std::string_view name, const X& features, std::span<const Index> labels = {},
               std::optional<std::uint64_t> digest = {}) {
    const Index number = expect_known(name, labels);
    check(features, static_cast<std::size_t>(features.rows()), labels);
    std::vector<RoutedTask> tasks = this->tasks();
    RoutedTask& task = tasks[static_cast<std::size_t>(number)];
    detail::expect<TaskError>(features.rows() <= task.rows, "the rows to remove from task '", name,
                              "' are ", features.rows(), ", expected at most ", task.rows,
                              ", as many as it learned");
    const std::span<const Index> used = options_.label_columns ? labels : std::span<const Index>{};
    for (const Index label : used) {
      detail::expect<TaskError>(label < static_cast<Index>(task.label_columns.size()), "task '",
                                name, "' never learned label ", label);
    }
    const std::vector<Index> rows(static_cast<std::size_t>(features.rows()), number);
    const SparseRows<S> targets = detail::router_targets<S>(tasks, rows, used, rls_.targets());
    const std::vector<double> weights = detail::row_weights(tasks, rows, options_.balanced);
    task.rows -= features.rows();
    task.calibration.rows = std::min(task.calibration.rows, task.rows);
    RecursiveLeastSquares<S> next = rls_;
    visit_expanded(features, [&](const auto& expanded) {
      next.downdate(expanded, targets, {.row_weights = weights}, digest);
    });
    replace(std::move(next), std::move(tasks));
  }

  /// Adds what another router learned, as if its rows had come here. Tasks of one name become one;
  /// its labels count as the same labels.
  /// @throws ArgumentError  another expansion (kind, width, seed, ...) or label weight, or only one
  ///         of the two balanced; TaskError where a task of both was declared with other row
  ///         counts. The router is then as it was.
  void merge(const AnalyticRouter& other) {
    expect_not_poisoned();
    other.expect_not_poisoned();
    detail::expect_same_expansion(*expansion_, other.expansion());
    detail::expect(options_.balanced == other.options_.balanced, "the router to merge is ",
                   other.options_.balanced ? "" : "not ", "balanced, expected the same as here");
    detail::expect(options_.label_weight == other.options_.label_weight,
                   "the router to merge has label_weight ", other.options_.label_weight,
                   ", expected ", options_.label_weight, " as here");
    std::vector<RoutedTask> tasks = this->tasks();
    const std::vector<Index> columns =
        detail::merge_tasks(tasks, other.tasks(), other.rls_.targets(), rls_.targets());
    RecursiveLeastSquares<S> next = rls_;
    next.merge(other.rls_, columns);
    replace(std::move(next), std::move(tasks));
    Core::removed_rows_ += other.removed_rows();
    label_weight_counts_ += other.label_weight_counts_;
  }

  /// Another ridge, as if it had been used from the start; needs no data. The temperature stays.
  /// @throws ArgumentError for a ridge that is not finite and above 0; NumericalError where the
  ///         Gram is not positive definite with it. The router is then as it was.
  void set_ridge(double ridge) {
    detail::expect_positive("ridge", ridge);
    expect_not_poisoned();
    const double before = std::exchange(options_.rls.ridge, ridge);
    rls_.set_ridge(detail::scaled_ridge(this->tasks(), options_.rls, options_.balanced));
    try {
      publish(this->tasks());
    } catch (...) {
      options_.rls.ridge = before;
      rls_.set_ridge(detail::scaled_ridge(this->tasks(), options_.rls, options_.balanced));
      throw;
    }
  }

  /// Generalised cross-validation of candidates from the sums alone
  /// (RecursiveLeastSquares::select_ridge); set_ridge takes the choice.
  [[nodiscard]] RidgeSelection select_ridge(std::span<const double> ridges) const {
    std::vector<double> scaled(ridges.begin(), ridges.end());
    for (double& ridge : scaled) ridge *= ridge_scale();
    RidgeSelection selection = rls_.select_ridge(scaled);
    const auto chosen = std::find(scaled.begin(), scaled.end(), selection.ridge);
    selection.ridge = ridges[static_cast<std::size_t>(chosen - scaled.begin())];
    for (std::size_t k = 0; k < ridges.size(); ++k) selection.candidates[k].ridge = ridges[k];
    return selection;
  }
  /// The same over decades that fit the features. See RidgeSelection::end for whether the choice
  /// can be trusted.
  [[nodiscard]] RidgeSelection select_ridge() const {
    RidgeSelection selection = rls_.select_ridge();
    selection.ridge /= ridge_scale();
    for (RidgeCandidate& candidate : selection.candidates) candidate.ridge /= ridge_scale();
    return selection;
  }

  /// Whether these features and this ridge can tell tasks apart, from the sums alone. Rows of
  /// removed tasks make offsets look smaller than they are.
  /// @throws NumericalError  where the Gram is not positive definite
  /// Cost: O(d tasks)
  [[nodiscard]] FeatureCondition feature_condition() const {
    std::vector<Index> columns;
    for (const RoutedTask& task : this->tasks()) {
      columns.push_back(task.column);
      columns.insert(columns.end(), task.further_columns.begin(), task.further_columns.end());
    }
    if (rls_.rows() == 0) return {};
    return anyssr::feature_condition<S>(rls_, columns);
  }

  /// The label weight w with which most rows were routed right when they were held out, each with
  /// the tasks known at the time. RouterOptions::label_weight stays as it is: a weight that
  /// followed the rows would make decisions depend on their order.
  /// @return one of label_weight_grid; the present weight where nothing was measured
  [[nodiscard]] double suggest_label_weight() const noexcept {
    if (label_weight_counts_.rows == 0) return options_.label_weight;
    std::size_t best = 0;
    for (std::size_t k = 1; k < label_weight_grid.size(); ++k) {
      if (label_weight_counts_.right[k] > label_weight_counts_.right[best]) best = k;
    }
    return label_weight_grid[best];
  }
  /// What the suggestion rests on.
  [[nodiscard]] const LabelWeightCounts& label_weight_counts() const noexcept {
    return label_weight_counts_;
  }

  /// Decisions by the table of this moment (RoutingTable::decide).
  template <FeatureMatrix<S> X, class Decision>
  void decide(const X& features, RoutingWorkspace<S>& workspace, Decision& decision) const {
    table_->decide(features, workspace, decision);
  }

 private:
  /// Of a balanced router's ridge: as it is given, to as the regression takes it.
  [[nodiscard]] double ridge_scale() const noexcept {
    return detail::scaled_ridge(this->tasks(), options_.rls, options_.balanced) /
           options_.rls.ridge;
  }

  [[nodiscard]] Index expect_known(std::string_view name, std::span<const Index> labels) const {
    const auto task = static_cast<Index>(this->index(name));
    const bool labelled = !this->expect_changeable(name).label_columns.empty();
    detail::expect(!options_.label_columns || labelled == !labels.empty(), "task '", name,
                   "' was learned ", labelled ? "with" : "without",
                   " labels, expected the same of further rows");
    return task;
  }

  template <class X>
  void check(const X& features, std::size_t rows, std::span<const Index> labels) const {
    expect_not_poisoned();
    detail::expect_cols("features", features, this->feature_dim());
    detail::expect_finite("features", features);
    detail::expect_router_labels(labels, rows);
  }

  template <class X>
  std::uint64_t learn_new(std::span<const std::string> names, const X& features,
                          std::span<const Index> task_of_row, std::span<const Index> labels,
                          std::span<const Index> declared) {
    std::vector<RoutedTask> tasks =
        detail::with_new_tasks(this->tasks(), names, declared, options_.balanced);
    detail::expect_task_of_row(names, features.rows(), task_of_row);
    std::vector<Index> rows(task_of_row.begin(), task_of_row.end());
    for (Index& task : rows) task += static_cast<Index>(this->tasks().size());
    return absorb(std::move(tasks), features, rows, labels);
  }

  /// First phase: check, expand, allocate (changes nothing). Second: accumulate, factor, calibrate,
  /// publish.
  template <class X>
  std::uint64_t absorb(std::vector<RoutedTask> tasks, const X& features,
                       const std::vector<Index>& rows, std::span<const Index> labels) {
    check(features, rows.size(), labels);
    const std::span<const Index> used = options_.label_columns ? labels : std::span<const Index>{};
    for (const Index row : rows) ++tasks[static_cast<std::size_t>(row)].rows;
    if (options_.balanced) detail::expect_declared_rows(tasks);
    const Index columns = detail::assign_columns(tasks, rows, used, rls_.targets());
    const SparseRows<S> targets = detail::router_targets<S>(tasks, rows, used, columns);
    return visit_expanded(features, [&](const auto& expanded) {
      return this->commit(std::move(tasks), expanded, targets, rows);
    });
  }
};

}  // namespace anyssr::inline ANYSSR_ABI
