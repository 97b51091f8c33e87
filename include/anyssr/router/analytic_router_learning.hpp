// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How an AnalyticRouter is made, learns rows and unlearns them.
///
/// Learning has two phases. The first checks, expands and allocates, and changes nothing; the
/// second (commit) accumulates, factors, calibrates and publishes.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/threads.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "anyssr/router/task_weights.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
AnalyticRouter<S>::AnalyticRouter(Index feature_dim, const RouterOptions& options)
    : options_(options),
      expansion_(std::make_shared<const AnyExpansion<S>>(feature_dim, options.expansion)),
      rls_(expansion_->out_dim(), options.rls) {
  detail::expect_possible_options(options_);
  publish({});
}

template <RealScalar S>
AnalyticRouter<S>::AnalyticRouter(Index feature_dim, const RouterOptions& options,
                                  RouterState<S> state)
    : options_(options),
      expansion_(std::make_shared<const AnyExpansion<S>>(feature_dim, options.expansion)),
      rls_(options.rls, checked(state, expansion_->out_dim())),
      label_weight_counts_(state.label_weight_counts),
      temperature_(state.temperature),
      removed_rows_(state.removed_rows) {
  detail::expect_possible_options(options_);
  rls_.set_ridge(scaled_ridge(state.tasks));
  publish(std::move(state.tasks));
}

/// The sums of a state, moved out of it.
template <RealScalar S>
RegressionState<S> AnalyticRouter<S>::checked(RouterState<S>& state, Index dim) {
  detail::expect_possible_router(state);
  detail::expect<ShapeError>(state.regression.second_moment.rows() == dim, "second_moment is ",
                             state.regression.second_moment.rows(), " x ",
                             state.regression.second_moment.cols(), ", expected ", dim, " x ", dim,
                             " for this expansion");
  return std::move(state.regression);
}

template <RealScalar S>
template <class X>
void AnalyticRouter<S>::check(const X& features, std::size_t rows,
                              std::span<const Index> labels) const {
  expect_not_poisoned();
  detail::expect_cols("features", features, feature_dim());
  detail::expect_finite("features", features);
  detail::expect_router_labels(labels, rows);
}

/// A task that takes rows, and takes them with or without labels as these are.
template <RealScalar S>
Index AnalyticRouter<S>::expect_extensible(std::string_view name,
                                           std::span<const Index> labels) const {
  const auto task = static_cast<Index>(index(name));
  const bool labelled = !expect_changeable(name).label_columns.empty();
  detail::expect(!options_.label_columns || labelled == !labels.empty(), "task '", name,
                 "' was learned ", labelled ? "with" : "without",
                 " labels, expected the same of further rows");
  return task;
}

template <RealScalar S>
detail::TaskRows AnalyticRouter<S>::new_rows(std::string_view name, Index rows,
                                             Index declared_rows) const {
  detail::expect(declared_rows >= 0, "declared_rows is ", declared_rows,
                 ", expected 0 (the rows of this call) or more");
  const std::string names[] = {std::string(name)};
  const std::vector<Index> task_of_row(static_cast<std::size_t>(rows), 0);
  const Index declared[] = {declared_rows > 0 ? declared_rows : rows};
  return new_rows(names, rows, task_of_row, declared);
}

template <RealScalar S>
detail::TaskRows AnalyticRouter<S>::new_rows(std::span<const std::string> names, Index rows,
                                             std::span<const Index> task_of_row) const {
  detail::expect_task_of_row(names, rows, task_of_row);
  std::vector<Index> declared(names.size(), 0);
  for (const Index task : task_of_row) ++declared[static_cast<std::size_t>(task)];
  return new_rows(names, rows, task_of_row, declared);
}

template <RealScalar S>
detail::TaskRows AnalyticRouter<S>::new_rows(std::span<const std::string> names, Index rows,
                                             std::span<const Index> task_of_row,
                                             std::span<const Index> declared) const {
  detail::TaskRows batch{
      .tasks = detail::with_new_tasks(tasks(), names, declared, options_.balanced),
      .task_of_row = {task_of_row.begin(), task_of_row.end()}};
  detail::expect_task_of_row(names, rows, task_of_row);
  for (Index& task : batch.task_of_row) task += static_cast<Index>(tasks().size());
  return batch;
}

template <RealScalar S>
detail::TaskRows AnalyticRouter<S>::further_rows(std::string_view name, Index rows,
                                                 std::span<const Index> labels) const {
  const Index task = expect_extensible(name, labels);
  return {.tasks = tasks(),
          .task_of_row = std::vector<Index>(static_cast<std::size_t>(rows), task)};
}

template <RealScalar S>
detail::TaskRows AnalyticRouter<S>::rows_to_release(std::string_view name, Index rows,
                                                    std::span<const Index> labels) const {
  const std::size_t number = index(name);
  detail::TaskRows batch{.tasks = tasks(),
                         .task_of_row = std::vector<Index>(static_cast<std::size_t>(rows),
                                                           static_cast<Index>(number))};
  RoutedTask& task = batch.tasks[number];
  detail::expect<TaskError>(rows <= task.rows, "the rows to remove from task '", name, "' are ",
                            rows, ", expected at most ", task.rows, ", as many as it learned");
  for (const Index label : used(labels)) {
    detail::expect<TaskError>(label < static_cast<Index>(task.label_columns.size()), "task '", name,
                              "' never learned label ", label);
  }
  task.rows -= rows;
  task.calibration.rows = std::min(task.calibration.rows, task.rows);
  return batch;
}

/// The labels that get columns.
template <RealScalar S>
std::span<const Index> AnalyticRouter<S>::used(std::span<const Index> labels) const noexcept {
  return options_.label_columns ? labels : std::span<const Index>{};
}

/// Counts the rows, gives tasks and labels the columns that they lack, and returns the targets.
template <RealScalar S>
SparseRows<S> AnalyticRouter<S>::targets_to_absorb(detail::TaskRows& batch,
                                                   std::span<const Index> labels) const {
  for (const Index task : batch.task_of_row) ++batch.tasks[static_cast<std::size_t>(task)].rows;
  if (options_.balanced) detail::expect_declared_rows(batch.tasks);
  const Index columns =
      detail::assign_columns(batch.tasks, batch.task_of_row, used(labels), rls_.targets());
  return detail::router_targets<S>(batch.tasks, batch.task_of_row, used(labels), columns);
}

/// f of the expanded rows; sparse rows that pass through stay sparse.
template <RealScalar S>
template <class X, class F>
decltype(auto) AnalyticRouter<S>::visit_expanded(const X& features, const F& f) const {
  if constexpr (SparseFeatures<X>) {
    if (expansion_->passes_through()) return f(features);
  }
  const RowMajorMatrix<S> expanded = expansion_->expand(features);
  return f(expanded);
}

template <RealScalar S>
template <class X>
std::uint64_t AnalyticRouter<S>::absorb(detail::TaskRows batch, const X& features,
                                        std::span<const Index> labels) {
  check(features, batch.task_of_row.size(), labels);
  const SparseRows<S> targets = targets_to_absorb(batch, labels);
  return visit_expanded(features, [&](const auto& expanded) {
    return this->commit(std::move(batch), expanded, targets);
  });
}

template <RealScalar S>
template <class X>
void AnalyticRouter<S>::release(std::string_view name, const X& features,
                                std::span<const Index> labels,
                                std::optional<std::uint64_t> digest) {
  (void)expect_extensible(name, labels);
  check(features, static_cast<std::size_t>(features.rows()), labels);
  detail::TaskRows batch = rows_to_release(name, features.rows(), labels);
  const SparseRows<S> targets =
      detail::router_targets<S>(batch.tasks, batch.task_of_row, used(labels), rls_.targets());
  visit_expanded(features, [&](const auto& expanded) {
    this->withdraw(std::move(batch), expanded, targets, digest);
  });
}

/// Adds rows and publishes what came of it.
template <RealScalar S>
template <class H>
std::uint64_t AnalyticRouter<S>::commit(detail::TaskRows batch, const H& expanded,
                                        const SparseRows<S>& targets) {
  const detail::SerialEigen serial;
  const std::vector<double> weights =
      detail::row_weights(batch.tasks, batch.task_of_row, options_.balanced);
  std::optional<RecursiveLeastSquares<S>> backup;
  if (options_.rollback_copy) backup = rls_;
  const double ridge_before = rls_.options().ridge;
  bool added = false;
  const auto undo = [&]() noexcept {
    if (backup) {
      rls_ = std::move(*backup);
    } else {
      poisoned_ = true;
    }
  };
  try {
    rls_.set_ridge(scaled_ridge(batch.tasks));
    const std::uint64_t digest = rls_.update(expanded, targets, {.row_weights = weights});
    added = true;
    const Calibration calibration =
        calibrate(rls_, batch.tasks, expanded, targets, batch.task_of_row, weights,
                  options_.label_weight, options_.calibration_rows);
    detail::pool_calibrations(rls_, calibration.tasks, options_.label_weight, batch.tasks);
    publish(std::move(batch.tasks));
    label_weight_counts_ += calibration.counts;
    return digest;
  } catch (const Error&) {  // update itself refuses before it adds
    if (added) undo();
    if (!added) rls_.set_ridge(ridge_before);
    throw;
  } catch (...) {  // out of memory or threads, perhaps half-way
    undo();
    throw;
  }
}

/// Takes rows out and publishes what is left.
template <RealScalar S>
template <class H>
void AnalyticRouter<S>::withdraw(detail::TaskRows batch, const H& expanded,
                                 const SparseRows<S>& targets,
                                 std::optional<std::uint64_t> digest) {
  const std::vector<double> weights =
      detail::row_weights(batch.tasks, batch.task_of_row, options_.balanced);
  RecursiveLeastSquares<S> next = rls_;
  next.downdate(expanded, targets, {.row_weights = weights}, digest);
  replace(std::move(next), std::move(batch.tasks));
}

template <RealScalar S>
template <class X>
Index AnalyticRouter<S>::best_label_of(std::string_view name, const X& features) const {
  const RoutedTask& task = tasks()[index(name)];
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

}  // namespace anyssr::inline ANYSSR_ABI
