// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Threaded accumulation of the second moment of rows, one triangle only:
///
///   S += sign sum_i s_i x_i^T x_i          (lower triangle, diagonal included; s_i = 1 by default)
///
/// Dense rows enter as tiles of general matrix products, or by a BLAS's syrk: n d^2 flops. Sparse
/// rows cost the square of their count of nonzeros. A tile or column has one owner, so any number of
/// threads gives the same bits (not where a BLAS takes the large ones).
/// Source: ours.

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/blas.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// Width of the tiles that a d x d triangle is cut into: wide enough for the product kernels,
/// narrow enough to share out.
[[nodiscard]] inline Index triangle_tile(Index dim) noexcept { return dim < 2048 ? 256 : 512; }

/// Calls body(row_begin, rows, col_begin, cols) for every tile on or below the diagonal.
template <class Body>
void for_each_lower_tile(int threads, Index dim, const Body& body) {
  const Index width = triangle_tile(dim);
  const Index side = (dim + width - 1) / width;
  parallel_for(threads, side * (side + 1) / 2, [&](Index tile) {
    // Long columns of tiles first: the last tiles to be shared out are then cheap to wait for.
    Index column = 0;
    while (tile >= side - column) tile -= side - column++;
    const Index i = (column + tile) * width;
    const Index j = column * width;
    body(i, std::min(width, dim - i), j, std::min(width, dim - j));
  });
}

}  // namespace detail

/// second_moment.lower += sign X^T X; the strict upper triangle is neither read nor written.
/// @param x  n x d, any storage order, finite (the caller has checked)
/// @param second_moment  d x d
template <class X, RealScalar S>
void accumulate_second_moment(const Eigen::MatrixBase<X>& x, Matrix<S>& second_moment, int threads,
                              Sign sign = Sign::add) {
  if (x.rows() == 0) return;
  const double flops = static_cast<double>(x.rows()) * static_cast<double>(x.cols() * x.cols());
#ifdef ANYSSR_HAS_BLAS
  if constexpr (detail::MatrixInMemory<X>) {
    if (detail::goes_to_blas(flops)) {
      detail::blas_syrk(false, !bool(X::IsRowMajor), x.cols(), x.rows(), static_cast<S>(sign),
                        x.derived().data(), x.derived().outerStride(), second_moment.data(),
                        second_moment.rows(), threads);
      return;
    }
  }
#endif
  detail::for_each_lower_tile(
      detail::team_for(flops, threads), x.cols(), [&](Index i, Index rows, Index j, Index cols) {
        const auto left = x.derived().middleCols(i, rows).transpose();
        const auto right = x.derived().middleCols(j, cols);
        auto tile = second_moment.block(i, j, rows, cols);
        if (i == j) {
          detail::add_triangle_of_product<Eigen::Lower>(tile, left, right, sign);
        } else {
          detail::add_signed_product(tile, left, right, sign);
        }
      });
}

namespace detail {

/// Entries of sparse rows by their column, those of a column in the order of the rows.
struct EntriesByColumn {
  struct Entry {
    int row;
    int position;  // among all entries
  };

  template <RealScalar S>
  explicit EntriesByColumn(const SparseRows<S>& x)
      : begins(static_cast<std::size_t>(x.cols()) + 1, 0) {
    for_each_entry(x, [&](int, int position) {
      ++begins[static_cast<std::size_t>(x.innerIndexPtr()[position]) + 1];
    });
    std::partial_sum(begins.begin(), begins.end(), begins.begin());
    entries.resize(begins.back());
    std::vector<std::size_t> next(begins.begin(), begins.end() - 1);
    for_each_entry(x, [&](int row, int position) {
      entries[next[static_cast<std::size_t>(x.innerIndexPtr()[position])]++] = {row, position};
    });
  }

  [[nodiscard]] std::span<const Entry> of(Index column) const {
    const auto c = static_cast<std::size_t>(column);
    return std::span(entries).subspan(begins[c], begins[c + 1] - begins[c]);
  }

  /// Where the entries of a row end.
  template <RealScalar S>
  [[nodiscard]] static int end_of(const SparseRows<S>& x, Index row) {
    const auto* const outer = x.outerIndexPtr();
    return x.isCompressed() ? outer[row + 1] : outer[row] + x.innerNonZeroPtr()[row];
  }

  std::vector<std::size_t> begins;  // of each column; one more
  std::vector<Entry> entries;

 private:
  template <RealScalar S, class Use>
  static void for_each_entry(const SparseRows<S>& x, const Use& use) {
    for (int row = 0; row < static_cast<int>(x.rows()); ++row) {
      for (int p = x.outerIndexPtr()[row]; p < end_of(x, row); ++p) use(row, p);
    }
  }
};

}  // namespace detail

/// The same for compressed sparse rows (their column numbers ascend within a row), with weights
/// s_i. Column after column of S, which stays in the cache while all rows write to it: row after row
/// every number would be fetched from memory. Each number of S sums in the order of the rows. Takes
/// 8 bytes of memory per entry; S is as it was where there are none.
/// @param row_weights  one a row, or null for all 1
template <RealScalar S>
void accumulate_second_moment(const SparseRows<S>& x, const S* row_weights,
                              Matrix<S>& second_moment, int threads, Sign sign = Sign::add) {
  using detail::EntriesByColumn;
  const auto add = [&](Index row, int position) {
    const int end = EntriesByColumn::end_of(x, row);
    const S weight = static_cast<S>(sign) * (row_weights != nullptr ? row_weights[row] : S(1));
    const S scaled = weight * x.valuePtr()[position];
    S* const column = second_moment.col(x.innerIndexPtr()[position]).data();
    for (int q = position; q < end; ++q) column[x.innerIndexPtr()[q]] += scaled * x.valuePtr()[q];
  };
  constexpr Index few_rows = 8;              // sorting their entries costs what it saves
  constexpr std::size_t in_cache = 1 << 21;  // and so where all of S stays in the cache
  if (x.rows() < few_rows ||
      sizeof(S) * static_cast<std::size_t>(second_moment.size()) < in_cache) {
    for (Index row = 0; row < x.rows(); ++row) {
      const int end = EntriesByColumn::end_of(x, row);
      for (int p = x.outerIndexPtr()[row]; p < end; ++p) add(row, p);
    }
    return;
  }
  double flops = 0;
  for (Index row = 0; row < x.rows(); ++row) {
    const double entries = EntriesByColumn::end_of(x, row) - x.outerIndexPtr()[row];
    flops += entries * entries;
  }
  const EntriesByColumn entries(x);
  constexpr Index chunk = 16;
  const Index chunks = (x.cols() + chunk - 1) / chunk;
  // a number that is looked up takes as long as eight of a dense product
  parallel_for(detail::team_for(8 * flops, threads), chunks, [&](Index c) {
    const Index end = std::min(x.cols(), (c + 1) * chunk);
    for (Index column = c * chunk; column < end; ++column) {
      for (const auto& [row, position] : entries.of(column)) add(row, position);
    }
  });
}

}  // namespace anyssr::inline ANYSSR_ABI
