// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Tests for NaN and infinity that hold under every compiler option.
///
/// -ffast-math and -ffinite-math-only let a compiler assume that neither exists, so `std::isfinite`
/// becomes `true` and a comparison may answer either way for NaN. These tests read the bits: the
/// exponent of such a number, and of no other, is all ones.

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "anyssr/core/concepts.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

template <RealScalar S>
using NumberBits = std::conditional_t<sizeof(S) == 4, std::uint32_t, std::uint64_t>;

template <RealScalar S>
inline constexpr NumberBits<S> lowest_exponent_bit =
    NumberBits<S>{1} << (std::numeric_limits<S>::digits - 1);

template <RealScalar S>
inline constexpr NumberBits<S> exponent_bits = (std::numeric_limits<NumberBits<S>>::max() >> 1) &
                                               ~(lowest_exponent_bit<S> - 1);

/// Whether the number is neither NaN nor infinite.
template <RealScalar S>
[[nodiscard]] bool is_finite(S number) noexcept {
  // volatile: some compilers recognise the test of the bits and replace it by `true` as well.
  const volatile NumberBits<S> bits = std::bit_cast<NumberBits<S>>(number);
  return (bits & exponent_bits<S>) != exponent_bits<S>;
}

template <RealScalar S>
[[nodiscard]] bool is_nan(S number) noexcept {
  const volatile NumberBits<S> bits = std::bit_cast<NumberBits<S>>(number);
  return (bits & ~(NumberBits<S>{1} << (8 * sizeof(S) - 1))) > exponent_bits<S>;
}

/// Whether a number is finite and low <= number <= high.
template <RealScalar S>
[[nodiscard]] bool is_within(S number, std::type_identity_t<S> low,
                             std::type_identity_t<S> high) noexcept {
  return is_finite(number) && low <= number && number <= high;
}

/// An exponent of all ones, plus 1, carries into the top bit.
template <RealScalar S>
[[nodiscard]] constexpr bool has_no_carry(NumberBits<S> seen) noexcept {
  return (seen & ~(std::numeric_limits<NumberBits<S>>::max() >> 1)) == 0;
}

/// Whether all `count` numbers, `stride` apart, are finite.
template <RealScalar S>
[[nodiscard]] bool are_finite(const S* numbers, Index count, Index stride) noexcept {
  NumberBits<S> seen = 0;
  for (Index i = 0; i < count; ++i) {
    NumberBits<S> bits;
    std::memcpy(&bits, numbers + i * stride, sizeof bits);
    seen |= (bits & exponent_bits<S>)+lowest_exponent_bit<S>;
  }
  return has_no_carry<S>(seen);
}

/// As many lanes as compilers turn into a few registers, at -O2 too.
template <RealScalar S>
[[nodiscard]] bool are_finite(const S* numbers, Index count) noexcept {
  constexpr Index lanes = 16;
  NumberBits<S> seen[lanes] = {};
  Index i = 0;
  for (; i + lanes <= count; i += lanes) {
    NumberBits<S> bits[lanes];
    std::memcpy(bits, numbers + i, sizeof bits);
    for (Index k = 0; k < lanes; ++k)
      seen[k] |= (bits[k] & exponent_bits<S>)+lowest_exponent_bit<S>;
  }
  NumberBits<S> all = 0;
  for (const NumberBits<S> lane : seen) all |= lane;
  return has_no_carry<S>(all) && are_finite(numbers + i, count - i, Index{1});
}

/// Whether all numbers of a dense expression are finite.  Cost: one pass, vectorised where the
/// expression is a matrix, a map or a block of one.
template <class X>
[[nodiscard]] bool is_finite(const Eigen::DenseBase<X>& expression) {
  const X& x = expression.derived();
  if constexpr ((int(X::Flags) & int(Eigen::DirectAccessBit)) != 0) {
    if (x.innerStride() == 1 && (x.outerStride() == x.innerSize() || x.outerSize() == 1)) {
      return are_finite(x.data(), x.size());
    }
    bool finite = true;
    for (Index k = 0; finite && k < x.outerSize(); ++k) {
      const auto* const begin = x.data() + k * x.outerStride();
      finite = x.innerStride() == 1 ? are_finite(begin, x.innerSize())
                                    : are_finite(begin, x.innerSize(), x.innerStride());
    }
    return finite;
  } else {
    for (Index j = 0; j < x.cols(); ++j) {
      for (Index i = 0; i < x.rows(); ++i) {
        if (!is_finite(x.coeff(i, j))) return false;
      }
    }
    return true;
  }
}

/// Whether all stored numbers of a sparse expression are finite.
template <class X>
[[nodiscard]] bool is_finite(const Eigen::SparseMatrixBase<X>& expression) {
  const X& x = expression.derived();
  for (Index k = 0; k < x.outerSize(); ++k) {
    for (Eigen::InnerIterator<X> entry(x, k); entry; ++entry) {
      if (!is_finite(entry.value())) return false;
    }
  }
  return true;
}

template <RealScalar S>
[[nodiscard]] bool is_finite(const SparseRows<S>& x) {
  if (x.isCompressed()) return are_finite(x.valuePtr(), x.nonZeros());
  return is_finite(static_cast<const Eigen::SparseMatrixBase<SparseRows<S>>&>(x));
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
