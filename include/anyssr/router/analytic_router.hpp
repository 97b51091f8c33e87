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
/// (leave_one_out.hpp); only a few numbers are kept. The class stands here; the bodies of its
/// members are in the analytic_router_*.hpp of this folder, by theme.
/// Source: Any-SSR, arXiv 2503.13575 (analytic router).

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/linalg/product.hpp"
#include "anyssr/rls/batch.hpp"
#include "anyssr/rls/feature_condition.hpp"
#include "anyssr/rls/recursive_least_squares.hpp"
#include "anyssr/router/leave_one_out.hpp"
#include "anyssr/router/router_options.hpp"
#include "anyssr/router/router_state.hpp"
#include "anyssr/router/router_targets.hpp"
#include "anyssr/router/routing_table.hpp"
#include "anyssr/router/table_from_sums.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Every change happens whole or not at all, but for a factorisation that fails while rows are
/// learned (is_poisoned). Readers keep a table() while the router goes on learning.
template <RealScalar S>
class AnalyticRouter {
 public:
  using Scalar = S;

  /// @param feature_dim  D, width of the backbone's features
  /// @throws ArgumentError  for an option out of range
  explicit AnalyticRouter(Index feature_dim, const RouterOptions& options = {});

  /// Goes on from a state, as if its rows had been learned here: the sums are the same bits.
  /// @throws ShapeError, NonFiniteError, TaskError, ArgumentError  for a state that no rows can
  ///         lead to, or of another width than the options say; NumericalError where its Gram
  ///         cannot be factored
  /// Cost: d^3 / 3 flops and the solve.
  AnalyticRouter(Index feature_dim, const RouterOptions& options, RouterState<S> state);

  // Learning and unlearning rows. Defined in analytic_router_learning.hpp.

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
    return absorb(new_rows(name, features.rows(), declared_rows), detail::as_rows(features),
                  labels);
  }

  /// Learns several new tasks from one batch: the joint fit that learning them in turn equals.
  /// @param names        the new tasks
  /// @param task_of_row  index into names, one a row; every task has a row
  template <FeatureMatrix<S> X>
  std::uint64_t learn_together(std::span<const std::string> names, const X& features,
                               std::span<const Index> task_of_row,
                               std::span<const Index> labels = {}) {
    return absorb(new_rows(names, features.rows(), task_of_row), detail::as_rows(features), labels);
  }

  /// More rows for a known task; a label that is new to the task gets a column of its own.
  /// @throws TaskError for an unknown name, or more rows than a balanced task was declared with;
  ///         otherwise as learn
  template <FeatureMatrix<S> X>
  std::uint64_t extend(std::string_view name, const X& features,
                       std::span<const Index> labels = {}) {
    return absorb(further_rows(name, features.rows(), labels), detail::as_rows(features), labels);
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
    release(name, detail::as_rows(features), labels, digest);
  }

  // The life of tasks. No rows are needed for any of it. Defined in analytic_router_tasks.hpp.

  /// Whether decisions may choose the task; all it learned stays as it is.
  /// @throws TaskError  for an unknown name
  void set_active(std::string_view name, bool active);

  /// A frozen task refuses rows, removal of rows, corrections, joins and its own removal.
  /// @throws TaskError  for an unknown name
  void set_frozen(std::string_view name, bool frozen);

  /// @throws TaskError  for an unknown name, or a new one that is empty or taken
  void rename(std::string_view name, std::string_view new_name);

  /// The task and its columns are gone. Rows of it that were not unlearned before stay in the
  /// second moment (removed_rows): they can no longer be chosen, and go on counting as examples of
  /// no task.
  /// @throws TaskError  for an unknown name, a frozen task, or one that waits for commit_join
  /// Cost: O(d columns) and the solve.
  void remove(std::string_view name);

  /// The same, and its rows leave the sums: exact, to round-off.
  /// @param own  a router that learned the rows of this task, and nothing else
  /// @throws TaskError      as above, or where `own` holds other tasks or another number of rows
  /// @throws ArgumentError  another expansion, or sums that this router proves never to have held
  /// Cost: d^3 / 3 flops and a copy of the sums.
  void remove(std::string_view name, const AnalyticRouter& own);

  // Joining tasks. Defined in analytic_router_joins.hpp.

  /// Two tasks become one, called `name`, in the place of the first; the labels of the second
  /// follow those of the first. Decisions choose it wherever the sum of both task columns says so.
  /// Until commit_join or undo_join it learns no rows.
  /// @throws TaskError      an unknown name, twice the same, a name that is taken, a frozen task,
  ///                        one archived and one not, one with labels and one without
  /// @throws ArgumentError  in a balanced router: its tasks count each row by their own numbers
  void join(std::string_view first, std::string_view second, std::string_view name);

  /// The columns become one, for good.  Cost: O(d columns) and the solve.
  /// @throws TaskError  where the task waits for no commit, or is frozen
  void commit_join(std::string_view name);

  /// Both tasks are as they were, the second right after the first.
  /// @throws TaskError  where the task waits for no commit or is frozen, or one of their names is
  ///                    taken meanwhile
  void undo_join(std::string_view name);

  // The sums as a whole. Defined in analytic_router_sums.hpp.

  /// Adds what another router learned, as if its rows had come here. Tasks of one name become one;
  /// its labels count as the same labels.
  /// @throws ArgumentError  another expansion (kind, width, seed, ...) or label weight, or only one
  ///         of the two balanced; TaskError where a task of both was declared with other row
  ///         counts. The router is then as it was.
  void merge(const AnalyticRouter& other);

  /// Another ridge, as if it had been used from the start; needs no data. The temperature stays.
  /// @throws ArgumentError for a ridge that is not finite and above 0; NumericalError where the
  ///         Gram is not positive definite with it. The router is then as it was.
  void set_ridge(double ridge);

  /// Generalised cross-validation of candidates from the sums alone
  /// (RecursiveLeastSquares::select_ridge); set_ridge takes the choice.
  [[nodiscard]] RidgeSelection select_ridge(std::span<const double> ridges) const;
  /// The same over decades that fit the features. See RidgeSelection::end for whether the choice
  /// can be trusted.
  [[nodiscard]] RidgeSelection select_ridge() const;

  /// Whether these features and this ridge can tell tasks apart, from the sums alone. Rows of
  /// removed tasks make offsets look smaller than they are.
  /// @throws NumericalError  where the Gram is not positive definite
  /// Cost: O(d tasks)
  [[nodiscard]] FeatureCondition feature_condition() const;

  /// The label weight w with which most rows were routed right when they were held out, each with
  /// the tasks known at the time. RouterOptions::label_weight stays as it is: a weight that
  /// followed the rows would make decisions depend on their order.
  /// @return one of label_weight_grid; the present weight where nothing was measured
  [[nodiscard]] double suggest_label_weight() const noexcept;
  /// What the suggestion rests on.
  [[nodiscard]] const LabelWeightCounts& label_weight_counts() const noexcept {
    return label_weight_counts_;
  }

  // Reading.

  /// Decisions by the table of this moment (RoutingTable::decide).
  template <FeatureMatrix<S> X, class Decision>
  void decide(const X& features, RoutingWorkspace<S>& workspace, Decision& decision) const {
    table_->decide(features, workspace, decision);
  }

  /// The label of a task that scores best for a query, among all labels it learned.
  /// @param features  1 x feature_dim()
  /// @throws TaskError  for an unknown name or a task without labels
  template <FeatureMatrix<S> X>
  [[nodiscard]] Index best_label(std::string_view name, const X& features) const {
    return best_label_of(name, detail::as_rows(features));
  }

  [[nodiscard]] Index feature_dim() const noexcept { return expansion_->in_dim(); }
  [[nodiscard]] const RouterOptions& options() const noexcept { return options_; }
  [[nodiscard]] const std::vector<RoutedTask>& tasks() const noexcept { return table_->tasks(); }
  [[nodiscard]] const AnyExpansion<S>& expansion() const noexcept { return *expansion_; }
  [[nodiscard]] const RecursiveLeastSquares<S>& regression() const noexcept { return rls_; }
  /// Rows of removed tasks that the sums still hold.
  [[nodiscard]] Index removed_rows() const noexcept { return removed_rows_; }

  /// The immutable decision function of this moment: readers keep it while the router goes on
  /// learning.
  [[nodiscard]] const std::shared_ptr<const RoutingTable<S>>& table() const noexcept {
    return table_;
  }

  /// True after a failed factorisation that no copy could undo: the table of before goes on
  /// serving, learning is refused.
  [[nodiscard]] bool is_poisoned() const noexcept { return poisoned_; }

  /// Place of a task in tasks().
  [[nodiscard]] std::optional<Index> find(std::string_view name) const noexcept;

  /// Bytes in memory: sums, factor, weights (twice: for solving and for serving), what novelty
  /// needs.
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  // What a call asks for before it changes anything.
  [[nodiscard]] static RegressionState<S> checked(RouterState<S>& state, Index dim);
  void expect_not_poisoned() const;
  void expect_same_expansion(const AnalyticRouter& other) const;
  void expect_free(std::string_view name, std::string_view but) const;
  void expect_joined(std::string_view name) const;
  void expect_sums_of(const RoutedTask& task) const;
  const RoutedTask& expect_changeable(std::string_view name) const;
  [[nodiscard]] Index expect_extensible(std::string_view name, std::span<const Index> labels) const;
  template <class X>
  void check(const X& features, std::size_t rows, std::span<const Index> labels) const;

  [[nodiscard]] std::size_t index(std::string_view name) const;
  [[nodiscard]] double scaled_ridge(const std::vector<RoutedTask>& tasks) const noexcept;
  [[nodiscard]] double ridge_scale() const noexcept;

  // Rows on their way: which tasks they change and how, their targets, and phi of them. Features
  // come as dense maps, dense expressions or SparseRows<S>; expanded they are RowMajorMatrix<S> or
  // SparseRows<S>.
  [[nodiscard]] detail::TaskRows new_rows(std::string_view name, Index rows,
                                          Index declared_rows) const;
  [[nodiscard]] detail::TaskRows new_rows(std::span<const std::string> names, Index rows,
                                          std::span<const Index> task_of_row) const;
  [[nodiscard]] detail::TaskRows new_rows(std::span<const std::string> names, Index rows,
                                          std::span<const Index> task_of_row,
                                          std::span<const Index> declared) const;
  [[nodiscard]] detail::TaskRows further_rows(std::string_view name, Index rows,
                                              std::span<const Index> labels) const;
  [[nodiscard]] detail::TaskRows rows_to_release(std::string_view name, Index rows,
                                                 std::span<const Index> labels) const;
  [[nodiscard]] std::span<const Index> used(std::span<const Index> labels) const noexcept;
  [[nodiscard]] SparseRows<S> targets_to_absorb(detail::TaskRows& batch,
                                                std::span<const Index> labels) const;
  template <class X, class F>
  decltype(auto) visit_expanded(const X& features, const F& f) const;
  template <class X>
  std::uint64_t absorb(detail::TaskRows batch, const X& features, std::span<const Index> labels);
  template <class X>
  void release(std::string_view name, const X& features, std::span<const Index> labels,
               std::optional<std::uint64_t> digest);
  template <class X>
  [[nodiscard]] Index best_label_of(std::string_view name, const X& features) const;

  // Changes of the sums.
  template <class H>
  std::uint64_t commit(detail::TaskRows batch, const H& expanded, const SparseRows<S>& targets);
  template <class H>
  void withdraw(detail::TaskRows batch, const H& expanded, const SparseRows<S>& targets,
                std::optional<std::uint64_t> digest);
  template <class Edit>
  void edit(std::string_view name, const Edit& change);
  void remove_with(std::string_view name, RecursiveLeastSquares<S> next, Index rows_left);
  void replace(RecursiveLeastSquares<S> next, std::vector<RoutedTask> tasks);
  void publish(std::vector<RoutedTask> tasks);

  RouterOptions options_;
  std::shared_ptr<const AnyExpansion<S>> expansion_;
  RecursiveLeastSquares<S> rls_;
  std::shared_ptr<const RoutingTable<S>> table_;  // never null
  LabelWeightCounts label_weight_counts_;
  double temperature_ = detail::default_temperature;
  Index removed_rows_ = 0;
  bool poisoned_ = false;
};

}  // namespace anyssr::inline ANYSSR_ABI

#include "anyssr/router/analytic_router_joins.hpp"
#include "anyssr/router/analytic_router_learning.hpp"
#include "anyssr/router/analytic_router_sums.hpp"
#include "anyssr/router/analytic_router_tasks.hpp"

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/routers.hpp"
#endif
