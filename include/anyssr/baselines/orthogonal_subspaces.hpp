// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// One adapter that gains a block of rank for every task: earlier blocks stay as they are, all of
/// them act together, and the new one is kept from reading what earlier ones read.
///
///   A = [A_1; ...; A_t]   B = [B_1, ..., B_t]      gradient of blocks 1..t-1: 0
///   penalty(A_t) = strength sum_{s < t} |A_s A_t^T|^2
///
/// There is no router: the sum of all blocks answers every query.
/// Source: O-LoRA, Wang et al., arXiv 2310.14152.

#include <cstdint>
#include <string>
#include <utility>

#include "anyssr/core/error.hpp"
#include "anyssr/core/finite.hpp"
#include "anyssr/core/random.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/lora/adapter.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// The module with another block of `rank` rows of A at their random start and columns of zeros in
/// B. The scale of the change stays.
/// @throws ArgumentError  rank below 1, or a confined module
template <RealScalar S>
[[nodiscard]] LoraModule<S> with_another_block(const LoraModule<S>& module, Index rank,
                                               std::uint64_t seed) {
  detail::expect(rank >= 1, "rank is ", rank, ", expected at least 1");
  detail::expect(!module.is_confined(), "the module is confined to a basis, expected a plain one");
  const LoraModule<S> start(module.in_dim(), module.out_dim(), {.rank = rank}, seed);
  Matrix<S> a(module.rank() + rank, module.in_dim());
  a << module.a(), start.a();
  Matrix<S> b = Matrix<S>::Zero(module.out_dim(), module.rank() + rank);
  b.leftCols(module.rank()) = module.b();
  const double share = module.scale();
  return LoraModule<S>(std::move(a), std::move(b),
                       {.rank = module.rank() + rank,
                        .alpha = share * static_cast<double>(module.rank() + rank),
                        .rank_stabilised = false});
}

/// Keeps the earlier blocks of every module as they are, and the last one apart from them. Their
/// gradient is 0, so AdamW leaves them their bits as long as its weight decay is 0.
template <RealScalar S>
class OrthogonalSubspaces {
 public:
  /// @param strength  at least 0
  /// @param earlier   rank of all earlier blocks together, the same in every module, at least 0
  /// @throws ArgumentError
  OrthogonalSubspaces(double strength, Index earlier) : strength_(strength), earlier_(earlier) {
    detail::expect(detail::is_finite(strength) && strength >= 0, "strength is ", strength,
                   ", expected 0 or more");
    detail::expect(earlier >= 0, "earlier is ", earlier, ", expected 0 or more");
  }

  /// The penalty of an adapter.
  /// @throws ShapeError  a module of a smaller rank than that of the earlier blocks
  [[nodiscard]] double penalty(const Adapter<S>& adapter) const {
    expect_blocks(adapter);
    double sum = 0;
    for (const auto& [site, module] : adapter.modules) {
      sum += overlap(module.a()).template cast<double>().squaredNorm();
    }
    return strength_ * sum;
  }

  /// Adds the gradient of the penalty, and takes that of the earlier blocks away.
  /// @throws ShapeError  a module of a smaller rank than that of the earlier blocks, or a gradient
  ///                     that is not of the adapter's shapes; it has not changed then
  void add_gradient(const Adapter<S>& adapter, AdapterGradient<S>& gradient) const {
    expect_blocks(adapter);
    detail::expect_matching(adapter, gradient);
    if (earlier_ == 0) return;
    for (const auto& [site, module] : adapter.modules) {
      LoraGradient<S>& slope = gradient.modules.find(site)->second;
      const Matrix<S>& a = module.a();
      // d/dA_t |A_s A_t^T|^2 = 2 (A_t A_s^T) A_s
      slope.a.bottomRows(a.rows() - earlier_) +=
          static_cast<S>(2 * strength_) *
          detail::product_of<Matrix<S>>(overlap(a).transpose(), a.topRows(earlier_));
      slope.a.topRows(earlier_).setZero();
      slope.b.leftCols(earlier_).setZero();
    }
  }

 private:
  void expect_blocks(const Adapter<S>& adapter) const {
    for (const auto& [site, module] : adapter.modules) {
      detail::expect<ShapeError>(module.rank() >= earlier_, "module '", site, "' is of rank ",
                                 module.rank(), ", expected at least the ", earlier_,
                                 " of the earlier blocks");
    }
  }

  /// A_s A_t^T of all earlier rows s, earlier x (r - earlier).
  [[nodiscard]] Matrix<S> overlap(const Matrix<S>& a) const {
    return detail::product_of<Matrix<S>>(a.topRows(earlier_),
                                         a.bottomRows(a.rows() - earlier_).transpose());
  }

  double strength_;
  Index earlier_;
};

}  // namespace anyssr::inline ANYSSR_ABI
