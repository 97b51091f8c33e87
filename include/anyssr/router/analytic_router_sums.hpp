// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The sums of an AnalyticRouter as a whole: how other sums and another ridge take their place, what
/// they tell without a row, and how they become the table that readers see.

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/core/threads.hpp"
#include "anyssr/router/analytic_router.hpp"
#include "anyssr/router/task_weights.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
void AnalyticRouter<S>::expect_not_poisoned() const {
  detail::expect<NumericalError>(!poisoned_,
                                 "the router is poisoned by an earlier failed "
                                 "factorisation: build it again, with a larger ridge or in double");
}

/// Refuses a router whose expansion computes anything else.
template <RealScalar S>
void AnalyticRouter<S>::expect_same_expansion(const AnalyticRouter& other) const {
  const AnyExpansion<S>& mine = *expansion_;
  const AnyExpansion<S>& its = *other.expansion_;
  detail::expect(mine.fingerprint() == its.fingerprint() && mine.in_dim() == its.in_dim(),
                 "the other router has another expansion: kind ", to_string(its.options().kind),
                 ", ", its.in_dim(), " to ", its.out_dim(), ", seed ", its.options().seed,
                 ", expected kind ", to_string(mine.options().kind), ", ", mine.in_dim(), " to ",
                 mine.out_dim(), ", seed ", mine.options().seed, ", and the same activation");
}

/// The ridge as the regression takes it.
template <RealScalar S>
double AnalyticRouter<S>::scaled_ridge(const std::vector<RoutedTask>& tasks) const noexcept {
  return detail::scaled_ridge(tasks, options_.rls, options_.balanced);
}

/// Of a balanced router's ridge: as it is given, to as the regression takes it.
template <RealScalar S>
double AnalyticRouter<S>::ridge_scale() const noexcept {
  return scaled_ridge(tasks()) / options_.rls.ridge;
}

/// @throws NumericalError  where the sums are of half a change: their table is not to be seen
template <RealScalar S>
void AnalyticRouter<S>::publish(std::vector<RoutedTask> tasks) {
  expect_not_poisoned();
  table_ = detail::make_table(expansion_, rls_, std::move(tasks), options_, temperature_);
  temperature_ = table_->temperature();
}

/// Takes over changed sums, or nothing.
template <RealScalar S>
void AnalyticRouter<S>::replace(RecursiveLeastSquares<S> next, std::vector<RoutedTask> tasks) {
  expect_not_poisoned();
  const detail::SerialEigen serial;
  next.set_ridge(scaled_ridge(tasks));
  (void)next.weights();  // may throw: before anything changes
  std::swap(rls_, next);
  try {
    publish(std::move(tasks));
  } catch (...) {  // no memory for the table
    std::swap(rls_, next);
    throw;
  }
  if (this->tasks().empty() && rls_.rows() == 0) label_weight_counts_ = {};
}

template <RealScalar S>
void AnalyticRouter<S>::merge(const AnalyticRouter& other) {
  expect_not_poisoned();
  other.expect_not_poisoned();
  expect_same_expansion(other);
  detail::expect(options_.balanced == other.options_.balanced, "the router to merge is ",
                 other.options_.balanced ? "" : "not ", "balanced, expected the same as here");
  detail::expect(options_.label_weight == other.options_.label_weight,
                 "the router to merge has label_weight ", other.options_.label_weight,
                 ", expected ", options_.label_weight, " as here");
  std::vector<RoutedTask> tasks = this->tasks();
  const std::vector<Index> columns =
      detail::absorb_tasks(tasks, other.tasks(), other.rls_.targets(), rls_.targets());
  RecursiveLeastSquares<S> next = rls_;
  next.merge(other.rls_, columns);
  replace(std::move(next), std::move(tasks));
  removed_rows_ += other.removed_rows();
  label_weight_counts_ += other.label_weight_counts_;
}

template <RealScalar S>
void AnalyticRouter<S>::set_ridge(double ridge) {
  detail::expect_positive("ridge", ridge);
  expect_not_poisoned();
  const double before = std::exchange(options_.rls.ridge, ridge);
  rls_.set_ridge(scaled_ridge(tasks()));
  try {
    publish(tasks());
  } catch (...) {
    options_.rls.ridge = before;
    rls_.set_ridge(scaled_ridge(tasks()));
    throw;
  }
}

template <RealScalar S>
RidgeSelection AnalyticRouter<S>::select_ridge(std::span<const double> ridges) const {
  std::vector<double> scaled(ridges.begin(), ridges.end());
  for (double& ridge : scaled) ridge *= ridge_scale();
  RidgeSelection selection = rls_.select_ridge(scaled);
  const auto chosen = std::find(scaled.begin(), scaled.end(), selection.ridge);
  selection.ridge = ridges[static_cast<std::size_t>(chosen - scaled.begin())];
  for (std::size_t k = 0; k < ridges.size(); ++k) selection.candidates[k].ridge = ridges[k];
  return selection;
}

template <RealScalar S>
RidgeSelection AnalyticRouter<S>::select_ridge() const {
  RidgeSelection selection = rls_.select_ridge();
  selection.ridge /= ridge_scale();
  for (RidgeCandidate& candidate : selection.candidates) candidate.ridge /= ridge_scale();
  return selection;
}

template <RealScalar S>
FeatureCondition AnalyticRouter<S>::feature_condition() const {
  std::vector<Index> columns;
  for (const RoutedTask& task : tasks()) {
    columns.push_back(task.column);
    columns.insert(columns.end(), task.further_columns.begin(), task.further_columns.end());
  }
  if (rls_.rows() == 0) return {};
  return anyssr::feature_condition<S>(rls_, columns);
}

template <RealScalar S>
double AnalyticRouter<S>::suggest_label_weight() const noexcept {
  if (label_weight_counts_.rows == 0) return options_.label_weight;
  std::size_t best = 0;
  for (std::size_t k = 1; k < label_weight_grid.size(); ++k) {
    if (label_weight_counts_.right[k] > label_weight_counts_.right[best]) best = k;
  }
  return label_weight_grid[best];
}

template <RealScalar S>
std::size_t AnalyticRouter<S>::bytes() const noexcept {
  return rls_.bytes() + static_cast<std::size_t>(table_->weights().size()) * sizeof(S) +
         table_->meter().bytes();
}

}  // namespace anyssr::inline ANYSSR_ABI
