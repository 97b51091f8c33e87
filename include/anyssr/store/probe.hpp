// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Sixteen numbers that tell whether a backbone or an expansion still computes what it did when the
/// state was saved: sums of its output for a fixed input, under fixed signs.

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "anyssr/core/random.hpp"
#include "anyssr/lora/optional_members.hpp"
#include "anyssr/subspace/any_expansion.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

inline constexpr std::size_t probe_numbers = 16;

/// sum_j sign_kj x_j for k = 0..15 of one row, dense or sparse, in double.
template <class X>
[[nodiscard]] std::vector<double> signed_sums(const X& row) {
  std::vector<double> sums(probe_numbers, 0);
  const auto add = [&](Index j, double value) {
    const std::uint64_t bits = mix_bits(static_cast<std::uint64_t>(j) + 1);
    for (std::size_t k = 0; k < probe_numbers; ++k) {
      sums[k] += ((bits >> k) & 1U) != 0 ? value : -value;
    }
  };
  if constexpr (SparseFeatures<X>) {
    for (typename X::InnerIterator it(row, 0); it; ++it) {
      add(it.index(), static_cast<double>(it.value()));
    }
  } else {
    for (Index j = 0; j < row.cols(); ++j) add(j, static_cast<double>(row(0, j)));
  }
  return sums;
}

template <RealScalar S>
[[nodiscard]] std::vector<double> probe_expansion(const AnyExpansion<S>& expansion) {
  const RowMajorMatrix<S> input = random_normal<S, Eigen::RowMajor>(1, expansion.in_dim(), 16);
  return signed_sums(expansion.expand(input));
}

/// The features of a backbone's own probe input; empty where it offers none.
template <AdaptableBackbone B>
[[nodiscard]] std::vector<double> probe_backbone(const B& backbone) {
  const std::optional<typename B::Input> input = probe_input_of(backbone);
  if (!input) return {};
  const typename B::Trunk trunk = backbone.trunk(std::span<const typename B::Input>(&*input, 1));
  return signed_sums(backbone.features(trunk));
}

/// |a - b| / |b|; the largest double where they are not of one size.
[[nodiscard]] inline double probe_difference(const std::vector<double>& a,
                                             const std::vector<double>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::max();
  double missed = 0;
  double norm = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    missed += (a[k] - b[k]) * (a[k] - b[k]);
    norm += b[k] * b[k];
  }
  return missed == 0 ? 0 : std::sqrt(missed / norm);
}

/// What names a backbone; "unnamed" where it names itself not.
template <class B>
[[nodiscard]] std::string stored_fingerprint(const B& backbone) {
  return fingerprint_of(backbone).value_or("unnamed");
}

}  // namespace anyssr::inline ANYSSR_ABI::detail
