// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The expansion that changes nothing: h = x, d = D. Routers then work on the features themselves,
/// and sparse rows may stay sparse (AnyExpansion::visit_expanded).
/// Source: ours.

#include "anyssr/subspace/expansion.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// h = x.
template <RealScalar S>
class IdentityExpansion {
 public:
  using Scalar = S;

  /// @param in_dim  D >= 1
  /// @throws ArgumentError
  explicit IdentityExpansion(Index in_dim) : dim_{in_dim} { detail::expect_in_dim(in_dim); }

  /// out = features, made dense.
  /// @param features  n x D, dense or row-major sparse
  /// @param out       n x D
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  void expand_into(const X& features, Eigen::Ref<RowMajorMatrix<S>> out,
                   ExpansionWorkspace<S>& /*workspace*/) const {
    detail::expect_expansion_shapes(features, out, dim_, dim_);
    out = features;
  }

  /// The features, dense, n x D.
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  [[nodiscard]] RowMajorMatrix<S> expand(const X& features) const {
    detail::expect_cols("features", features, dim_);
    return RowMajorMatrix<S>(features);
  }

  [[nodiscard]] Index in_dim() const noexcept { return dim_; }
  [[nodiscard]] Index out_dim() const noexcept { return dim_; }
  [[nodiscard]] static constexpr bool passes_through() noexcept { return true; }

  /// Hash of kind and width.
  [[nodiscard]] std::uint64_t fingerprint() const noexcept {
    return detail::Fingerprint(
               dim_,
               {.kind = ExpansionKind::identity, .dim = dim_, .activation = Activation::identity})
        .value();
  }

 private:
  Index dim_;
};

}  // namespace anyssr::inline ANYSSR_ABI
