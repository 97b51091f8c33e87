// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Rows of numbers in the type of a file (F64, F32, F16, BF16): widened, and their dot products
/// with a few rows of activations,
///
///   y_ji = sum_c x_jc w_ic,        i = a few rows of W, j = a few rows of X
///
/// A weight is read from memory once for all j. Lane l of a register sums the columns l, l + L,
/// l + 2 L, ...: compilers do not reorder a plain float sum, so they would not vectorise it. The
/// order is that of one row of X and one of W, however many are computed together.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "anyssr/core/concepts.hpp"
#include "anyssr/io/half.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Numbers of 16 bits as they stand in memory.
struct F16Bits {
  static constexpr std::uint16_t exponent = 0x7c00;  // all ones in NaN and infinity alone
  std::uint16_t bits;
};
struct Bf16Bits {
  static constexpr std::uint16_t exponent = 0x7f80;
  std::uint16_t bits;
};

template <class T, RealScalar S>
[[nodiscard]] constexpr S widened(T number) noexcept {
  if constexpr (std::is_same_v<T, F16Bits>) {
    return static_cast<S>(from_f16(number.bits));
  } else if constexpr (std::is_same_v<T, Bf16Bits>) {
    return static_cast<S>(from_bf16(number.bits));
  } else {
    return static_cast<S>(number);
  }
}

/// At most 32: a row of a mapped file begins anywhere, and reads of 64 bytes that cross two cache
/// lines reach two thirds of the memory's bandwidth.
#ifdef __AVX__
inline constexpr int register_bytes = 32;
#else
inline constexpr int register_bytes = 16;
#endif

/// N numbers in one register (or several): arithmetic is by element.
template <class T, int N>
struct LanesOf {
  using Type [[gnu::vector_size(N * sizeof(T))]] = T;
};
template <class T, int N>
using Lanes = typename LanesOf<T, N>::Type;

template <RealScalar S>
inline constexpr int lane_count = register_bytes / static_cast<int>(sizeof(S));

#ifdef __F16C__
inline constexpr bool has_f16_loads = true;
#else
inline constexpr bool has_f16_loads = false;
#endif

/// Bit patterns of F16 numbers in the upper halves of words, as floats.
template <int N>
inline void widen_upper_f16(const Lanes<std::uint32_t, N>& upper, Lanes<float, N>& to) noexcept {
  const Lanes<std::uint32_t, N> magnitude = (upper & 0x7FFF0000U) >> 3;
  Lanes<float, N> value;
  std::memcpy(&value, &magnitude, sizeof(value));
  value *= 0x1p112F;  // moves the bias from 15 to 127, exactly, and mends subnormal numbers
  Lanes<std::uint32_t, N> bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const Lanes<std::uint32_t, N> is_special(magnitude >= (0x7C000000U >> 3));  // infinity or NaN
  bits |= (upper & 0x80000000U) | (0x7F800000U & is_special);
  std::memcpy(&to, &bits, sizeof(to));
}

/// 2 N numbers of 16 bits: those at even places and those at odd ones, as floats. By word, since
/// compilers make a poor job of widening 16-bit elements.
template <int N, class T>
inline void load_pairs(const T* from, Lanes<float, N>& even, Lanes<float, N>& odd) noexcept {
  Lanes<std::uint32_t, N> words;
  std::memcpy(&words, from, sizeof(words));
  constexpr bool is_little = std::endian::native == std::endian::little;
  const Lanes<std::uint32_t, N> low = words << 16;
  const Lanes<std::uint32_t, N> high = words & 0xFFFF0000U;
  if constexpr (std::is_same_v<T, Bf16Bits>) {
    std::memcpy(is_little ? &even : &odd, &low, sizeof(low));
    std::memcpy(is_little ? &odd : &even, &high, sizeof(high));
  } else {
    widen_upper_f16<N>(low, is_little ? even : odd);
    widen_upper_f16<N>(high, is_little ? odd : even);
  }
}

/// 8 numbers of F16 by the machine's own instruction.
inline void load_f16(const F16Bits* from, Lanes<float, 8>& to) noexcept {
#ifdef __F16C__
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m256 wide = _mm256_cvtph_ps(bits);
  std::memcpy(&to, &wide, sizeof(to));
#else
  for (int l = 0; l < 8; ++l) to[l] = from_f16(from[l].bits);
#endif
}

/// How many numbers of T one step of the kernels takes, in registers of S: two where
/// load_pairs() reads, and X is then arranged in the same way.
template <class T, RealScalar S>
inline constexpr int step_registers = std::is_same_v<S, float> &&
                                              (std::is_same_v<T, Bf16Bits> ||
                                               (std::is_same_v<T, F16Bits> && !has_f16_loads))
                                          ? 2
                                          : 1;

/// One step's numbers at `from`, as S.
template <RealScalar S, class T, int Registers = step_registers<T, S>>
inline void load_step(const T* from, Lanes<S, lane_count<S>> (&to)[Registers]) noexcept {
  constexpr int N = lane_count<S>;
  if constexpr (Registers == 2) {
    load_pairs<N>(from, to[0], to[1]);
  } else if constexpr (std::is_same_v<T, S>) {
    std::memcpy(&to[0], from, sizeof(to[0]));
  } else if constexpr (std::is_same_v<T, F16Bits> && std::is_same_v<S, float>) {
    load_f16(from, to[0]);
  } else {
    for (int l = 0; l < N; ++l) to[0][l] = widened<T, S>(from[l]);
  }
}

/// Columns of one step.
template <class T, RealScalar S>
inline constexpr int step_columns = step_registers<T, S>* lane_count<S>;

/// n numbers, widened.
template <RealScalar S, class T>
void widen(const T* from, Index n, S* to) noexcept {
  for (Index i = 0; i < n; ++i) to[i] = widened<T, S>(from[i]);
}

/// Rows of numbers with a distance between them.
template <class T>
struct Strided {
  T* data;
  Index stride;
  [[nodiscard]] T* row(Index i) const noexcept { return data + i * stride; }
};

/// Rows of X in the order in which steps of the kernels take them, zeros at the end.
template <class T, RealScalar S>
void arrange(Strided<const S> x, Index rows, Index depth, Strided<S> to) noexcept {
  constexpr int registers = step_registers<T, S>;
  constexpr int N = lane_count<S>;
  for (Index j = 0; j < rows; ++j) {
    const S* const from = x.row(j);
    S* out = to.row(j);
    for (Index c = 0; c < depth; c += step_columns<T, S>) {
      for (int r = 0; r < registers; ++r) {
        for (int l = 0; l < N; ++l) {
          const Index at = c + registers * l + r;
          *out++ = at < depth ? from[at] : S(0);
        }
      }
    }
  }
}

/// The sum of all lanes, by halves.
template <RealScalar S, int N>
[[nodiscard]] inline S sum_of(const Lanes<S, N>& lanes) noexcept {
  if constexpr (N == 1) {
    return lanes[0];
  } else {
    Lanes<S, N / 2> halves[2];
    std::memcpy(halves, &lanes, sizeof(lanes));
    const Lanes<S, N / 2> half = halves[0] + halves[1];
    return sum_of<S, N / 2>(half);
  }
}

/// Sums of a few registers each: enough for the latency of a multiply-add.
inline constexpr int chains = 4;

/// Rows of X that are computed together: as many as keep their sums in registers.
#ifdef __AVX512VL__
inline constexpr int block_columns = 4;  // of 32 registers
#else
inline constexpr int block_columns = 2;  // of 16
#endif

/// y(j) = or += x(j, :) . w for j < Columns. Rows of W come one after another: memory is read
/// fastest in one stream.
/// @param x  arranged
/// @param y  of one row of W, y.stride apart
/// @param next  what to fetch into the caches meanwhile, as much as `w`; null: nothing
template <int Columns, RealScalar S, class T>
inline void dot_row(const T* w, const T* next, Strided<const S> x, Index depth, Strided<S> y,
                    bool add) noexcept {
  constexpr int N = lane_count<S>;
  constexpr int registers = step_registers<T, S>;
  constexpr Index step = step_columns<T, S>;
  Lanes<S, N> sums[chains][Columns] = {};
  const auto take = [&](const T* from, Index c, int first) {
    Lanes<S, N> numbers[registers];
    load_step<S>(from, numbers);
    for (int j = 0; j < Columns; ++j) {
      for (int r = 0; r < registers; ++r) {
        Lanes<S, N> right;
        std::memcpy(&right, x.row(j) + c + r * N, sizeof(right));
        sums[first + r][j] = sums[first + r][j] + numbers[r] * right;
      }
    }
  };
  constexpr int steps = chains / registers;
  Index c = 0;
  for (; c + steps * step <= depth; c += steps * step) {
    if (next != nullptr) {
      for (std::size_t at = 0; at < steps * step * sizeof(T); at += 64) {
        __builtin_prefetch(reinterpret_cast<const std::byte*>(next + c) + at);
      }
    }
    for (int s = 0; s < steps; ++s) {
      take(w + c + s * step, c + s * step, s * registers);
    }
  }
  for (; c + step <= depth; c += step) take(w + c, c, 0);
  if (c < depth) {
    T padded[step] = {};
    std::copy(w + c, w + depth, padded);
    take(padded, c, 0);
  }
  for (int j = 0; j < Columns; ++j) {
    const Lanes<S, N> all = (sums[0][j] + sums[1][j]) + (sums[2][j] + sums[3][j]);
    const S sum = sum_of<S, N>(all);
    S& to = *y.row(j);
    to = add ? to + sum : sum;
  }
}

/// y(j, i) = or += x(j, :) . w(i, :) for all rows of W and of X.
/// @param x  arranged
template <RealScalar S, class T>
void dot_rows(Strided<const T> w, Index w_rows, Strided<const S> x, Index x_rows, Index depth,
              Strided<S> y, bool add) noexcept {
  for (Index i = 0; i < w_rows; ++i) {
    // a second pass over a row would leave the memory idle
    const T* const following = i + 1 < w_rows ? w.row(i + 1) : nullptr;
    const auto run = [&]<int Columns>(std::integral_constant<int, Columns>, Index j) {
      dot_row<Columns, S, T>(w.row(i), j > 0 ? following : nullptr, {x.row(j), x.stride}, depth,
                             {y.row(j) + i, y.stride}, add);
    };
    Index j = 0;
    for (; j + block_columns <= x_rows; j += block_columns) {
      run(std::integral_constant<int, block_columns>{}, j);
    }
    for (; j + 2 <= x_rows; j += 2) run(std::integral_constant<int, 2>{}, j);
    if (j < x_rows) run(std::integral_constant<int, 1>{}, j);
  }
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
