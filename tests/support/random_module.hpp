// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// LoRA modules with random factors, and the change that one makes, written out.

#include "anyssr/lora/lora_module.hpp"
#include "support/reference.hpp"

namespace anyssr::test {

/// in x k with orthonormal columns, by QR in double.
template <class S>
RowMajorMatrix<S> random_basis(Index in, Index k, std::uint64_t seed) {
  return orthonormal_columns_of(random_normal<double>(in, k, seed, 11)).template cast<S>();
}

/// A module with both factors random: plain for k = 0, else confined to k directions.
template <class S>
LoraModule<S> random_module(Index in, Index out, Index rank, Index k, std::uint64_t seed,
                            double alpha = 3) {
  const Matrix<S> a = random_normal<S>(rank, k == 0 ? in : k, seed, 1);
  const Matrix<S> b = random_normal<S>(out, rank, seed, 2);
  const LoraOptions options{.rank = rank, .alpha = alpha, .rank_stabilised = seed % 2 == 1};
  if (k == 0) return LoraModule<S>(a, b, options);
  return LoraModule<S>(a, b, random_basis<S>(in, k, seed), options);
}

/// c B A (Q U^T for A) written out in double.
template <class S>
Eigen::MatrixXd explicit_delta(const LoraModule<S>& m) {
  Eigen::MatrixXd a = m.a().template cast<double>();
  if (m.is_confined()) a = a * m.basis().template cast<double>().transpose();
  const auto r = static_cast<double>(m.rank());
  const double c = m.alpha() / (m.rank_stabilised() ? std::sqrt(r) : r);
  return c * m.b().template cast<double>() * a;
}

}  // namespace anyssr::test
