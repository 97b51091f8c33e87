// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The two 16-bit number formats of model files, as bit patterns:
///
///   F16   1 sign, 5 exponent, 10 mantissa bits (IEEE 754 binary16)
///   BF16  1 sign, 8 exponent,  7 mantissa bits: the upper half of an F32
///
/// Widening is exact. Narrowing rounds once, to nearest, ties to even, from float and from double
/// alike; beyond the largest number lies infinity; NaN keeps its sign and upper payload bits.

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "anyssr/core/concepts.hpp"

namespace anyssr::inline ANYSSR_ABI {
namespace detail {

/// The 16-bit pattern with Exponent and Mantissa bits that is nearest to `value`.
template <int Exponent, int Mantissa, RealScalar S>
[[nodiscard]] constexpr std::uint16_t round_to_16_bits(S value) noexcept {
  using Bits = std::conditional_t<sizeof(S) == 4, std::uint32_t, std::uint64_t>;
  constexpr int from_mantissa = std::numeric_limits<S>::digits - 1;
  constexpr int from_bias = std::numeric_limits<S>::max_exponent - 1;
  constexpr int bias = (1 << (Exponent - 1)) - 1;
  constexpr unsigned infinity = ((1U << Exponent) - 1) << Mantissa;
  const Bits bits = std::bit_cast<Bits>(value);
  const Bits magnitude = bits & (~Bits{0} >> 1);
  const unsigned sign = bits == magnitude ? 0 : 0x8000U;
  const Bits fraction = magnitude & ((Bits{1} << from_mantissa) - 1);
  int exponent = static_cast<int>(magnitude >> from_mantissa) - from_bias;
  if (exponent > from_bias && fraction != 0) {
    const auto payload = static_cast<unsigned>(fraction >> (from_mantissa - Mantissa));
    const unsigned quiet = 1U << (Mantissa - 1);  // where the kept bits alone would be infinity's
    return static_cast<std::uint16_t>(sign | infinity | (payload != 0 ? payload : quiet));
  }
  if (exponent > bias) return static_cast<std::uint16_t>(sign | infinity);
  // |value| = significand * 2^(exponent - from_mantissa)
  Bits significand = fraction | (Bits{1} << from_mantissa);
  if (exponent == -from_bias) {  // zero or subnormal: no leading 1
    significand = fraction;
    exponent = 1 - from_bias;
  }
  const int to_exponent = exponent < 1 - bias ? 1 - bias : exponent;
  const int shift = from_mantissa - Mantissa + (to_exponent - exponent);
  if (shift > from_mantissa + 1) return static_cast<std::uint16_t>(sign);  // below half the least
  const Bits half = Bits{1} << (shift - 1);
  const Bits rest = significand & ((half << 1) - 1);
  auto rounded = static_cast<unsigned>(significand >> shift);
  if (rest > half || (rest == half && rounded % 2 != 0)) ++rounded;
  // the leading 1 of `rounded` adds 1 to the exponent field, and so does a carry, up to infinity
  const unsigned field = static_cast<unsigned>(to_exponent + bias - 1) << Mantissa;
  return static_cast<std::uint16_t>(sign | (field + rounded));
}

}  // namespace detail

/// The F16 nearest to `value`.
template <RealScalar S>
[[nodiscard]] constexpr std::uint16_t to_f16(S value) noexcept {
  return detail::round_to_16_bits<5, 10>(value);
}

/// The BF16 nearest to `value`.
template <RealScalar S>
[[nodiscard]] constexpr std::uint16_t to_bf16(S value) noexcept {
  return detail::round_to_16_bits<8, 7>(value);
}

/// The number that an F16 pattern stands for. NaN keeps its payload.
[[nodiscard]] constexpr float from_f16(std::uint16_t bits) noexcept {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000U} << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU;
  const std::uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  const std::uint32_t wide = exponent == 0x1F ? 0xFFU : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

/// The number that a BF16 pattern stands for. NaN keeps its payload.
[[nodiscard]] constexpr float from_bf16(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

}  // namespace anyssr::inline ANYSSR_ABI
