// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// A backbone with a fixed random expansion of its features on top: what a router does with all
/// features (RouterOptions::expansion), for one backbone among several (joined_backbone.hpp).
///
///   ExpandedBackbone expanded(BertBackbone<float>(folder), {.dim = 2048});   // ReLU features

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"
#include "anyssr/lora/optional_members.hpp"
#include "anyssr/subspace/any_expansion.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Copies share the expansion. Calls from several threads are as safe as the backbone's own.
template <Backbone B>
class ExpandedBackbone {
 public:
  using Scalar = typename B::Scalar;
  using Input = typename B::Input;

  /// @throws ArgumentError  an option out of range
  explicit ExpandedBackbone(B backbone, const ExpansionOptions& options = {})
      : backbone_(std::move(backbone)),
        expansion_(std::make_shared<const AnyExpansion<Scalar>>(
            static_cast<Index>(backbone_.feature_dim()), options)) {}

  [[nodiscard]] const B& base() const noexcept { return backbone_; }
  [[nodiscard]] Index feature_dim() const noexcept { return expansion_->out_dim(); }

  /// n x feature_dim()
  /// @throws ShapeError  the backbone gives another shape;  what the backbone throws
  [[nodiscard]] RowMajorMatrix<Scalar> features(std::span<const Input> inputs) const {
    const auto features = backbone_.features(inputs);
    detail::expect_shape("features of the backbone", features, static_cast<Index>(inputs.size()),
                         expansion_->in_dim());
    return expansion_->expand(features);
  }

  /// None where the backbone has none.
  [[nodiscard]] std::optional<std::string> fingerprint() const {
    const auto base = fingerprint_of(backbone_);
    if (!base) return std::nullopt;
    return detail::concat(*base, "|expanded-1:", expansion_->fingerprint());
  }
  [[nodiscard]] std::optional<Input> probe_input() const { return probe_input_of(backbone_); }

 private:
  B backbone_;
  std::shared_ptr<const AnyExpansion<Scalar>> expansion_;  // never null
};

}  // namespace anyssr::inline ANYSSR_ABI
