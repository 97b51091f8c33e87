// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The concepts that the library asks of its parameters: scalars, feature matrices, backbones.

#include <concepts>
#include <span>
#include <string>
#include <type_traits>

#include "anyssr/core/types.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <class S>
concept RealScalar = std::same_as<S, float> || std::same_as<S, double>;

/// Row-major sparse: the storage of hashed text.
template <class X>
concept SparseFeatures =
    std::derived_from<std::remove_cvref_t<X>, Eigen::SparseMatrixBase<std::remove_cvref_t<X>>> &&
    bool(std::remove_cvref_t<X>::IsRowMajor);

/// Any dense Eigen expression, either storage order.
template <class X>
concept DenseFeatures =
    std::derived_from<std::remove_cvref_t<X>, Eigen::MatrixBase<std::remove_cvref_t<X>>>;

/// n x D, one row a sample, dense or row-major sparse.
template <class X, class Scalar>
concept FeatureMatrix =
    (DenseFeatures<X> ||
     SparseFeatures<X>)&&std::same_as<typename std::remove_cvref_t<X>::Scalar, Scalar>;

/// A frozen model. const all through: the library reads it and never writes it.
template <class B>
concept Backbone = RealScalar<typename B::Scalar> &&
    requires(const B& backbone, std::span<const typename B::Input> inputs) {
  { backbone.feature_dim() } -> std::convertible_to<Index>;
  { backbone.features(inputs) } -> FeatureMatrix<typename B::Scalar>;
};

/// A part of a feature that has a name to people: an n-gram of a text.
struct FeaturePart {
  Index feature = 0;  ///< column of the features
  double value = 0;   ///< its part of the number there
  std::string name;
};

}  // namespace anyssr::inline ANYSSR_ABI
