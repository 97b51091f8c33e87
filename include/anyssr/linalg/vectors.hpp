// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Operations on columns of numbers that stand next to each other in memory, for the inner loops of
/// factorisations. A column of a block of a view is a type of its own to Eigen, and a compiler's
/// time grows with the square of their number; here all are one.

#include <algorithm>
#include <cmath>
#include <limits>

#include "anyssr/core/concepts.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

template <RealScalar S>
using VectorMap = Eigen::Map<Vector<S>>;
template <RealScalar S>
using ConstVectorMap = Eigen::Map<const Vector<S>>;

/// x . y
template <RealScalar S>
[[nodiscard]] S dot(const S* x, const S* y, Index size) {
  return ConstVectorMap<S>(x, size).dot(ConstVectorMap<S>(y, size));
}

/// |x|, also where squares leave the range of S.
template <RealScalar S>
[[nodiscard]] S norm(const S* x, Index size) {
  using Limits = std::numeric_limits<S>;
  const S square = dot(x, x, size);
  if (square > Limits::min() / Limits::epsilon() && square <= Limits::max()) {
    return std::sqrt(square);
  }
  S largest = 0;
  for (Index i = 0; i < size; ++i) largest = std::max(largest, std::abs(x[i]));
  if (largest == S(0) || largest > Limits::max()) return std::sqrt(square);
  S sum = 0;
  for (Index i = 0; i < size; ++i) sum += (x[i] / largest) * (x[i] / largest);
  return largest * std::sqrt(sum);
}

/// y += factor x
template <RealScalar S>
void add_multiple(S factor, const S* x, S* y, Index size) {
  VectorMap<S>(y, size) += factor * ConstVectorMap<S>(x, size);
}

/// x *= factor
template <RealScalar S>
void scale(S factor, S* x, Index size) {
  VectorMap<S>(x, size) *= factor;
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
