// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A product C = A B whose tiles are shared out over threads where it takes long enough. The tiles
/// depend on the shapes alone, so the bits are the same for any number of threads.
/// Source: ours.

#include <algorithm>

#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/blas.hpp"
#include "anyssr/linalg/product.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// The tiles of a product of matrices in memory. Packing what a tile reads costs a tenth of it.
template <MatrixInMemory C, MatrixInMemory A, MatrixInMemory B>
void set_product_by_tiles(C& c, const A& a, const B& b, int threads) {
  constexpr Index most_rows = 128;
  constexpr Index most_cols = 256;
  const Index across = (b.cols() + most_cols - 1) / most_cols;
  const Index down = (a.rows() + most_rows - 1) / most_rows;
  parallel_for(threads, across * down, [&](Index tile) {
    const Index top = tile / across * most_rows;
    const Index left = tile % across * most_cols;
    const Index rows = std::min(most_rows, a.rows() - top);
    const Index cols = std::min(most_cols, b.cols() - left);
    set_product(c.block(top, left, rows, cols), a.middleRows(top, rows), b.middleCols(left, cols));
  });
}

/// c = a b, for a c that shares no number with a and b; a matrix gets the size of the product. One
/// row alone stays on the calling thread, since it reads b from end to end; so do operands that do
/// not stand in memory.
template <class C, class A, class B>
void set_shared_product(C& c, const A& a, const B& b, int threads) {
  const double flops = 2 * static_cast<double>(a.rows()) * static_cast<double>(b.size());
  if constexpr (ProductInMemory<C, A, B>) {
    if (a.rows() > 1 && is_worth_sharing(flops)) {
      give_shape(c, a.rows(), b.cols());
      set_product_by_tiles(c, a, b, threads);
      return;
    }
  }
  const SerialEigen serial;
  set_product(c, a, b);
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
