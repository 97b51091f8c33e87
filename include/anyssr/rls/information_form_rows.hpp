// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How rows and the sums of other regressions enter and leave the information form.

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "anyssr/rls/information_form.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::reserve_targets(Index count) {
  if (count <= targets()) return;
  sums_.reserve_targets(count);
  weights_current_ = false;
}

template <RealScalar S>
template <class X, class Y>
std::uint64_t RecursiveLeastSquares<S, Information>::add_rows(const X& x, const Y& y, double norm,
                                                              const BatchOptions& options) {
  const detail::Batch<S> batch(x, y, norm, options, dim());
  batch.expect_no_overflow(sums_.trace_bound(), target_energy().sum());
  const std::uint64_t digest = batch.digest(x, y, sums_.digest_keys());
  sums_.add(x, y, batch);
  weights_current_ = false;
  return digest;
}

template <RealScalar S>
template <class X, class Y>
void RecursiveLeastSquares<S, Information>::take_rows_out(const X& x, const Y& y, double norm,
                                                          const BatchOptions& options,
                                                          std::optional<std::uint64_t> digest) {
  const detail::Batch<S> batch(x, y, norm, options, dim());
  batch.expect_removable(x, y, rows(), targets(), digest, sums_.digest_keys());
  sums_.flush();  // what is left is judged by S
  detail::RegressionSums<S> next = sums_;
  next.subtract(x, y, batch);
  replace_by_less(std::move(next));
}

/// Goes on from sums of which rows were taken out, if they are possible.
template <RealScalar S>
void RecursiveLeastSquares<S, Information>::replace_by_less(detail::RegressionSums<S> next) {
  next.expect_possible(sums_);
  sums_ = std::move(next);
  factor_current_ = false;
  weights_current_ = false;
}

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::merge(const RecursiveLeastSquares& other,
                                                  std::span<const Index> columns) {
  if (&other == this) return merge(RecursiveLeastSquares(other), columns);
  detail::expect<ShapeError>(other.dim() == dim(), "the regression to merge has dim ", other.dim(),
                             ", expected ", dim());
  detail::expect_distinct_columns(columns, other.targets());
  const double limit = static_cast<double>(std::numeric_limits<S>::max()) / 4;
  detail::expect<NonFiniteError>(trace_bound() + other.trace_bound() < limit &&
                                     target_energy().sum() + other.target_energy().sum() < limit,
                                 "the merged sums would overflow");
  sums_.flush();
  other.sums_.flush();
  sums_.merge(other.sums_, columns);
  weights_current_ = false;
}

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::unmerge(const RecursiveLeastSquares& other,
                                                    std::span<const Index> columns) {
  sums_.expect_removable(other.sums_, columns);
  sums_.flush();
  other.sums_.flush();
  detail::RegressionSums<S> next = sums_;
  next.unmerge(other.sums_, columns);
  replace_by_less(std::move(next));
}

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::recombine_targets(std::span<const Index> to,
                                                              Index count) {
  detail::expect_new_columns(to, targets(), count);
  sums_.flush();
  sums_.recombine_targets(to, count);
  weights_current_ = false;
}

}  // namespace anyssr::inline ANYSSR_ABI
