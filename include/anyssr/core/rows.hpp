// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Picking samples: the named rows of a feature matrix, dense or row-major sparse, in the named
/// order.

#include <span>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

inline void expect_row_numbers(std::span<const Index> rows, Index count) {
  for (const Index row : rows) {
    expect(row >= 0 && row < count, "rows hold ", row, ", expected 0..", count - 1);
  }
}

}  // namespace detail

/// rows.size() x D in the type of x: row i is row rows[i] of x; a row may be named more than once.
/// @throws ArgumentError  for a row that x does not have
template <DenseFeatures X>
[[nodiscard]] typename X::PlainObject select_rows(const X& x, std::span<const Index> rows) {
  detail::expect_row_numbers(rows, x.rows());
  typename X::PlainObject result(static_cast<Index>(rows.size()), x.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) result.row(static_cast<Index>(i)) = x.row(rows[i]);
  return result;
}

template <RealScalar S>
[[nodiscard]] SparseRows<S> select_rows(const SparseRows<S>& x, std::span<const Index> rows) {
  detail::expect_row_numbers(rows, x.rows());
  SparseRows<S> result(static_cast<Index>(rows.size()), x.cols());
  Index count = 0;
  for (const Index row : rows) count += x.row(row).nonZeros();
  result.reserve(count);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    result.startVec(static_cast<Index>(i));
    for (typename SparseRows<S>::InnerIterator it(x, rows[i]); it; ++it) {
      result.insertBackByOuterInner(static_cast<Index>(i), it.index()) = it.value();
    }
  }
  result.finalize();
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI
