// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One batch on its way into the sums: what is checked before anything changes, and the entries of
/// its targets that are not zero.
/// Source: ours.

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

#include "anyssr/core/error.hpp"
#include "anyssr/core/row_digest.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/rls/rls_options.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Whether x stands in memory as the sums read it: dense entries, or compressed rows.
template <class X>
inline constexpr bool is_direct = [] {
  if constexpr (SparseFeatures<X>) {
    return std::is_same_v<X, SparseRows<typename X::Scalar>>;
  } else {
    return (X::Flags & Eigen::DirectAccessBit) != 0;
  }
}();

/// An expression as a matrix of its own.
template <class X>
[[nodiscard]] auto evaluated(const X& x) {
  if constexpr (SparseFeatures<X>) {
    return SparseRows<typename X::Scalar>(x);
  } else {
    return typename X::PlainObject(x);
  }
}

/// X as one of few types, so that what follows is compiled once and not once per type of a caller:
/// dense numbers in memory as a map, compressed rows as they are, other sparse rows as a copy. Other
/// dense expressions stay what they are.
template <class X>
[[nodiscard]] decltype(auto) as_rows(const X& x) {
  if constexpr (!SparseFeatures<X>) {
    return as_map(x);
  } else if constexpr (is_direct<X>) {
    return (x);
  } else {
    return evaluated(x);
  }
}

/// Entries that may differ from 0.
template <class Y>
[[nodiscard]] Index stored_entries(const Y& y) {
  if constexpr (SparseFeatures<Y>) {
    return y.nonZeros();
  } else {
    return y.size();
  }
}

/// A target that is not zero.
template <RealScalar S>
struct TargetEntry {
  Index row;     // within its batch or buffer
  Index column;  // of C
  S value;
};

/// Calls f(column, value) for each entry of row i of dense or row-major sparse targets that is not
/// 0.
template <class Y, class F>
void for_each_target(const Y& y, Index i, const F& f) {
  if constexpr (SparseFeatures<Y>) {
    for (typename Y::InnerIterator it(y, i); it; ++it) {
      if (it.value() != 0) f(static_cast<Index>(it.index()), it.value());
    }
  } else {
    for (Index j = 0; j < y.cols(); ++j) {
      if (y.coeff(i, j) != 0) f(j, y.coeff(i, j));
    }
  }
}

/// x itself, but a single row whose numbers stand apart (of a column-major matrix) as a copy.
template <class X>
[[nodiscard]] decltype(auto) in_one_piece(const X& x) {
  if constexpr (DenseFeatures<X> && !MatrixInMemory<X> && X::RowsAtCompileTime == 1) {
    return evaluated(x);
  } else {
    return (x);
  }
}

/// Squared norm of a row or matrix in double: NaN or infinity where an entry is not finite.
template <class X>
[[nodiscard]] double squared_norm(const X& x) {
  if constexpr (SparseFeatures<X>) {
    double sum = 0;
    for (Index i = 0; i < x.outerSize(); ++i) {
      for (typename X::InnerIterator it(x, i); it; ++it) {
        sum += static_cast<double>(it.value()) * static_cast<double>(it.value());
      }
    }
    return sum;
  } else {
    return x.template cast<double>().squaredNorm();
  }
}

/// Calls f(features, targets, |x|^2) with x and y in memory, each as one of few types (as_rows). The
/// norm is summed in the order of the caller's own type, on which its last bit depends.
template <class X, class Y, class F>
decltype(auto) visit_rows(const X& x, const Y& y, const F& f) {
  if constexpr (!is_direct<X>) {
    return visit_rows(evaluated(x), y, f);
  } else if constexpr (!is_direct<Y>) {
    return visit_rows(x, evaluated(y), f);
  } else {
    return f(as_rows(in_one_piece(x)), as_rows(in_one_piece(y)), squared_norm(x));
  }
}

/// Refuses a list of target columns that is not empty and not one distinct column for each of
/// `count`.
inline void expect_distinct_columns(std::span<const Index> columns, Index count) {
  if (columns.empty()) return;
  expect<ShapeError>(static_cast<Index>(columns.size()) == count, "columns have ", columns.size(),
                     " entries, expected ", count, ", one per column of the targets");
  std::vector<Index> sorted(columns.begin(), columns.end());
  std::sort(sorted.begin(), sorted.end());
  expect(sorted.front() >= 0, "columns hold ", sorted.front(), ", expected 0 or more");
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    raise<ArgumentError>("columns hold ", *twice, " twice, expected each once");
  }
}

/// Columns that C needs for targets with `cols` columns, which go to `columns`.
[[nodiscard]] inline Index columns_needed(std::span<const Index> columns, Index cols) noexcept {
  for (const Index column : columns) cols = std::max(cols, column + 1);
  return cols;
}

/// The checked view of one call of update or downdate.
template <RealScalar S>
class Batch {
 public:
  /// @param dim  d of the regression
  /// @throws ShapeError, NonFiniteError, ArgumentError  naming what is wrong
  template <class X, class Y>
  Batch(const X& x, const Y& y, const BatchOptions& options, Index dim)
      : Batch(x, y, squared_norm(x), options, dim) {}
  /// @param norm  |x|^2
  template <class X, class Y>
  Batch(const X& x, const Y& y, double norm, const BatchOptions& options, Index dim)
      : options_(options), rows_(x.rows()) {
    expect_cols("features", x, dim);
    expect<ShapeError>(rows_ > 0, "features have no rows, expected at least 1");
    expect_rows("targets", y, rows_);
    expect_distinct_columns(options.columns, y.cols());
    check_weights();
    feature_energy_ = largest_weight_ * norm;
    if (!is_finite(feature_energy_)) expect_finite("features", x);
    target_energy_ = largest_weight_ * squared_norm(y);
    if (!is_finite(target_energy_)) expect_finite("targets", y);
  }

  /// Refuses numbers whose sums could overflow: every entry of S is at most tr(S), every entry of C
  /// at most sqrt(tr(S) energy).
  /// @param trace   bound of tr(S) so far
  /// @param energy  sum of y^2 so far
  void expect_no_overflow(double trace, double energy) const {
    const double limit = static_cast<double>(std::numeric_limits<S>::max()) / 4;
    expect<NonFiniteError>(trace + feature_energy_ < limit && energy + target_energy_ < limit,
                           "features or targets are so large that their sums overflow (squared "
                           "norms ",
                           trace + feature_energy_, " and ", energy + target_energy_,
                           ", expected below ", limit, ")");
  }

  /// Refuses rows that cannot be among those learned.
  template <class X, class Y>
  void expect_removable(const X& x, const Y& y, Index rows, Index targets,
                        std::optional<std::uint64_t> digest,
                        const std::vector<std::uint64_t>& keys) const {
    expect(rows_ <= rows, "the rows to remove are ", rows_, ", expected at most ", rows,
           ", as many as were learned");
    expect<ShapeError>(columns_needed(y.cols()) <= targets, "the targets to remove reach column ",
                       columns_needed(y.cols()) - 1, ", expected 0..", targets - 1);
    if (!digest) return;
    const std::uint64_t found = this->digest(x, y, keys);
    expect(found == *digest, "the rows to remove have digest ", found, ", expected ", *digest,
           ": they are not the rows that were learned");
  }

  [[nodiscard]] Index rows() const noexcept { return rows_; }
  [[nodiscard]] bool weighted() const noexcept { return !options_.row_weights.empty(); }
  [[nodiscard]] double weight(Index row) const noexcept {
    return weighted() ? options_.row_weights[static_cast<std::size_t>(row)] : 1.0;
  }
  [[nodiscard]] Index column(Index j) const noexcept {
    return options_.columns.empty() ? j : options_.columns[static_cast<std::size_t>(j)];
  }
  /// Columns that C needs for targets with `cols` columns.
  [[nodiscard]] Index columns_needed(Index cols) const noexcept {
    return detail::columns_needed(options_.columns, cols);
  }
  /// sqrt(s_i), n.
  [[nodiscard]] Vector<S> root_weights() const {
    return Eigen::Map<const Eigen::VectorXd>(options_.row_weights.data(), rows_)
        .cwiseSqrt()
        .template cast<S>();
  }
  /// At least sum_i s_i |x_i|^2.
  [[nodiscard]] double feature_energy() const noexcept { return feature_energy_; }

  template <class X, class Y>
  [[nodiscard]] std::uint64_t digest(const X& x, const Y& y,
                                     const std::vector<std::uint64_t>& keys) const {
    RowDigest<S> sum(rows_, keys);
    sum.add_features(x);
    for (Index i = 0; i < rows_; ++i) {
      for_each_target(y, i, [&](Index j, S value) { sum.add_target(i, column(j), value); });
      if (weighted()) sum.add_weight(i, weight(i));
    }
    return sum.value();
  }

 private:
  void check_weights() {
    if (!weighted()) return;
    expect_count("row weights", options_.row_weights.size(), rows_);
    for (const double weight : options_.row_weights) expect_positive("row weight", weight);
    largest_weight_ = *std::max_element(options_.row_weights.begin(), options_.row_weights.end());
  }

  const BatchOptions& options_;
  Index rows_;
  double largest_weight_ = 1;
  double feature_energy_ = 0;
  double target_energy_ = 0;
};

/// The targets of a block of rows, compact: only the columns that they touch.
template <RealScalar S>
struct CompactTargets {
  std::vector<Index> columns;  // of C
  Matrix<S> values;            // rows x columns.size()

  /// @param targets  columns of C
  CompactTargets(Index rows, Index targets, const std::vector<TargetEntry<S>>& entries) {
    std::vector<Index> place(static_cast<std::size_t>(targets), -1);
    for (const TargetEntry<S>& entry : entries) {
      Index& at = place[static_cast<std::size_t>(entry.column)];
      if (at >= 0) continue;
      at = static_cast<Index>(columns.size());
      columns.push_back(entry.column);
    }
    values.setZero(rows, static_cast<Index>(columns.size()));
    for (const TargetEntry<S>& entry : entries) {
      values(entry.row, place[static_cast<std::size_t>(entry.column)]) = entry.value;
    }
  }
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
