// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The fast Walsh-Hadamard transform x <- H x in natural order, without a factor:
///
///   H_1 = [1]          H_2m = [H_m  H_m; H_m  -H_m]          H H = m I
///
/// Radix 4: two levels a pass over memory, m log2(m) additions.
/// Source: ours; the transform is textbook.

#include "anyssr/core/concepts.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// H_4 over four numbers, or over four short arrays at once.
template <class T, class P0, class P1, class P2, class P3>
void butterfly4(P0&& p0, P1&& p1, P2&& p2, P3&& p3) {
  const T sum01 = p0 + p1;
  const T difference01 = p0 - p1;
  const T sum23 = p2 + p3;
  const T difference23 = p2 - p3;
  p0 = sum01 + sum23;
  p1 = difference01 + difference23;
  p2 = sum01 - sum23;
  p3 = difference01 - difference23;
}

/// Levels h and 2h, in arrays of `Width`, which become vector registers without the optimiser's
/// help.
/// @param h  a multiple of Width
template <int Width, RealScalar S>
void hadamard_pass4(S* x, Index m, Index h) {
  using Lane = Eigen::Array<S, Width, 1>;
  using Place = Eigen::Map<Lane>;
  for (Index begin = 0; begin < m; begin += 4 * h) {
    S* const p = x + begin;
    for (Index i = 0; i < h; i += Width) {
      butterfly4<Lane>(Place(p + i), Place(p + h + i), Place(p + 2 * h + i), Place(p + 3 * h + i));
    }
  }
}

/// x <- H x.
/// @param x  m numbers
/// @param m  a power of two
template <RealScalar S>
void walsh_hadamard(S* x, Index m) {
  for (Index i = 0; i + 4 <= m; i += 4) butterfly4<S>(x[i], x[i + 1], x[i + 2], x[i + 3]);
  if (m >= 16) hadamard_pass4<4>(x, m, 4);
  Index h = m < 4 ? 1 : m < 16 ? 4 : 16;
  for (; 4 * h <= m; h *= 4) hadamard_pass4<16>(x, m, h);
  for (Index i = 0; 2 * h == m && i < h; ++i) {
    const S high = x[h + i];
    x[h + i] = x[i] - high;
    x[i] += high;
  }
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
