// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Reproducible random numbers: one seed names the same bits on every compiler and platform,
/// because no result passes through libm or through a floating-point expression that a compiler may
/// fuse.
///
/// Bits come from Philox4x32-10 (Salmon et al., SC 2011), a counter-based generator: number i of a
/// stream is a function of (seed, stream, i), so any thread can make any part of a sequence.
/// Normal numbers are quantiles of the standard normal distribution at (i + 1/2) / 2^16, indexed by
/// 16 random bits; the table is integrated in 64-bit integer arithmetic.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Philox4x32-10: 128 random bits for a 128-bit counter and a 64-bit key.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox(
    std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) noexcept {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

namespace detail {

/// High 64 bits of the product of two 64-bit numbers: the product of two fractions in units of
/// 2^-64.
[[nodiscard]] constexpr std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) noexcept {
  const std::uint64_t low_mask = 0xFFFFFFFFU;
  const std::uint64_t cross =
      (a >> 32) * (b & low_mask) + (((a & low_mask) * (b & low_mask)) >> 32);
  const std::uint64_t middle = (a & low_mask) * (b >> 32) + (cross & low_mask);
  return (a >> 32) * (b >> 32) + (cross >> 32) + (middle >> 32);
}

/// Upper half of the quantile table: entry i is the x with Phi(x) = 1/2 + (i + 1/2) / 2^16.
/// Phi is integrated by the midpoint rule in steps of h = 2^-16; the density obeys
/// phi(x + h) = phi(x) exp(-h x - h^2 / 2), so each step takes two products. The table agrees with
/// the true quantiles to 1e-7.
[[nodiscard]] inline std::vector<float> make_normal_table() {
  std::vector<float> table(std::size_t{1} << 15);
  std::uint64_t density = 0x662114CF44151F9AU;  // phi(h / 2) * 2^64
  std::uint64_t ratio = 0xFFFFFFFF00000000U;    // exp(-h^2) * 2^64
  const std::uint64_t ratio_step = ratio;
  std::uint64_t area = 0;  // (Phi(k h) - 1/2) * 2^64
  std::uint64_t k = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::uint64_t target = (std::uint64_t{2} * i + 1) << 47;
    while (area + (density >> 16) <= target) {
      area += density >> 16;
      density = multiply_high(density, ratio);
      ratio = multiply_high(ratio, ratio_step);
      ++k;
    }
    const std::uint64_t fraction = ((target - area) << 16) / (density >> 16);
    table[i] = static_cast<float>(static_cast<double>((k << 16) + fraction) / 4294967296.0);
  }
  return table;
}

[[nodiscard]] inline const std::vector<float>& normal_table() {
  static const std::vector<float> table = make_normal_table();
  return table;
}

}  // namespace detail

/// Standard normal number for 16 random bits: the quantile at (bits + 1/2) / 2^16.
/// |x| <= 4.33; mean 0, variance 1 - 2e-5; exactly representable in float.
[[nodiscard]] inline float normal_quantile(std::uint16_t bits) {
  const std::vector<float>& table = detail::normal_table();
  const unsigned value = bits;
  return value >= 0x8000U ? table[value - 0x8000U] : -table[0x7FFFU - value];
}

/// A sequence of random numbers named by a seed and a stream. Streams of one seed are independent.
class RandomStream {
 public:
  explicit RandomStream(std::uint64_t seed, std::uint64_t stream = 0) noexcept
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        stream_{stream} {}

  /// 32 random bits.
  [[nodiscard]] std::uint32_t bits() noexcept {
    if (used_ == 4) {
      block_ = philox(
          {static_cast<std::uint32_t>(position_), static_cast<std::uint32_t>(position_ >> 32),
           static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
          key_);
      ++position_;
      used_ = 0;
    }
    return block_[used_++];
  }

  /// Goes to block `position`: the next number is the first of the 4 that counter `position` gives.
  void seek(std::uint64_t position) noexcept {
    position_ = position;
    used_ = 4;
  }

  /// Uniform in [0, 1), a multiple of 2^-24: the same number in float and double.
  [[nodiscard]] float uniform() noexcept { return static_cast<float>(bits() >> 8) / 16777216.0F; }

  /// Standard normal (normal_quantile).
  [[nodiscard]] float normal() { return normal_quantile(static_cast<std::uint16_t>(bits() >> 16)); }

  /// +1 or -1.
  [[nodiscard]] int sign() noexcept { return (bits() >> 31) != 0 ? -1 : 1; }

  /// Uniform in 0..bound-1, without bias.
  /// @param bound  1..2^32-1
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) {
    detail::expect(bound > 0, "bound is 0, expected at least 1");
    const std::uint32_t reject = (0U - bound) % bound;  // Lemire: 2^32 mod bound
    for (;;) {
      const std::uint64_t product = std::uint64_t{bits()} * bound;
      if (static_cast<std::uint32_t>(product) >= reject)
        return static_cast<std::uint32_t>(product >> 32);
    }
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t stream_;
  std::uint64_t position_ = 0;
  std::array<std::uint32_t, 4> block_{};
  std::size_t used_ = 4;  // numbers of block_ handed out
};

/// rows x cols standard normal numbers. Row i comes from block i * ceil(cols / 8) on, so the
/// entries do not depend on storage order or on the number of threads.
template <RealScalar S, int Order = Eigen::ColMajor>
[[nodiscard]] Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Order> random_normal(
    Index rows, Index cols, std::uint64_t seed, std::uint64_t stream = 0) {
  Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Order> result(rows, cols);
  RandomStream random(seed, stream);
  const auto blocks = static_cast<std::uint64_t>((cols + 7) / 8);
  for (Index i = 0; i < rows; ++i) {
    random.seek(static_cast<std::uint64_t>(i) * blocks);
    for (Index j = 0; j < cols; j += 2) {
      const std::uint32_t bits = random.bits();
      result(i, j) = static_cast<S>(normal_quantile(static_cast<std::uint16_t>(bits)));
      if (j + 1 < cols)
        result(i, j + 1) = static_cast<S>(normal_quantile(static_cast<std::uint16_t>(bits >> 16)));
    }
  }
  return result;
}

/// Puts 0..count-1 into a random order (Fisher-Yates).
[[nodiscard]] inline std::vector<Index> random_permutation(Index count, RandomStream& random) {
  std::vector<Index> order(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<Index>(i);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

/// Hash of bytes: FNV-1a (64 bits) and the finaliser of SplitMix64, which spreads short strings
/// over all bits. It is part of the formats: it never changes.
[[nodiscard]] constexpr std::uint64_t mix_bits(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

[[nodiscard]] constexpr std::uint64_t hash_bytes(std::string_view bytes,
                                                 std::uint64_t seed = 0) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325U ^ seed;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  return mix_bits(hash);
}

}  // namespace anyssr::inline ANYSSR_ABI
