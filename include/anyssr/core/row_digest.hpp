// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A number that names rows, so that the very rows which were learned can be asked for when they
/// are to be unlearned:
///
///   digest = sum_i mix( sum_j key_j bits(x_ij) + sum_c key'_c bits(y_ic) + key'' bits(s_i) )
///
/// modulo 2^64. It does not depend on the order of the rows, their storage, or zeros that are
/// stored: the digest of several batches is the sum of theirs. It finds mistakes; it is no
/// signature against someone who looks for two sets of rows with one digest. Part of the formats.

#include <bit>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/random.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

/// Sums the hashes of the rows of one batch.
template <RealScalar S>
class RowDigest {
 public:
  /// @param keys  one a feature: digest_keys(d)
  RowDigest(Index rows, const std::vector<std::uint64_t>& keys)
      : keys_(keys), rows_(static_cast<std::size_t>(rows), 0) {}

  template <DenseFeatures X>
  void add_features(const X& x) {
    if constexpr (bool(X::IsRowMajor)) {
      for (Index i = 0; i < x.rows(); ++i) {
        std::uint64_t sum = 0;
        for (Index j = 0; j < x.cols(); ++j) {
          sum += keys_[static_cast<std::size_t>(j)] * bits(x.coeff(i, j));
        }
        rows_[static_cast<std::size_t>(i)] += sum;
      }
    } else {
      for (Index j = 0; j < x.cols(); ++j) {
        const std::uint64_t key = keys_[static_cast<std::size_t>(j)];
        for (Index i = 0; i < x.rows(); ++i) {
          rows_[static_cast<std::size_t>(i)] += key * bits(x.coeff(i, j));
        }
      }
    }
  }
  void add_features(const SparseRows<S>& x) {
    for (Index i = 0; i < x.rows(); ++i) {
      for (typename SparseRows<S>::InnerIterator it(x, i); it; ++it) {
        rows_[static_cast<std::size_t>(i)] +=
            keys_[static_cast<std::size_t>(it.index())] * bits(it.value());
      }
    }
  }
  void add_target(Index row, Index column, S value) {
    rows_[static_cast<std::size_t>(row)] +=
        digest_key(target_stream + static_cast<std::uint64_t>(column)) * bits(value);
  }
  /// A weight of 1 counts as none.
  void add_weight(Index row, double weight) {
    rows_[static_cast<std::size_t>(row)] +=
        digest_key(weight_stream) *
        (std::bit_cast<std::uint64_t>(weight) ^ std::bit_cast<std::uint64_t>(1.0));
  }

  [[nodiscard]] std::uint64_t value() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t row : rows_) sum += mix_bits(row);
    return sum;
  }

  [[nodiscard]] static std::vector<std::uint64_t> digest_keys(Index count) {
    std::vector<std::uint64_t> keys(static_cast<std::size_t>(count));
    for (std::size_t j = 0; j < keys.size(); ++j) keys[j] = digest_key(j);
    return keys;
  }

 private:
  static constexpr std::uint64_t target_stream = std::uint64_t{1} << 40;
  static constexpr std::uint64_t weight_stream = std::uint64_t{1} << 41;

  [[nodiscard]] static std::uint64_t digest_key(std::uint64_t number) noexcept {
    return mix_bits((number + 1) * 0x9E3779B97F4A7C15U) | 1U;
  }
  [[nodiscard]] static std::uint64_t bits(S value) noexcept {
    using Bits = std::conditional_t<sizeof(S) == 4, std::uint32_t, std::uint64_t>;
    return std::bit_cast<Bits>(value + S(0));  // -0 counts as 0
  }

  const std::vector<std::uint64_t>& keys_;
  std::vector<std::uint64_t> rows_;
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
