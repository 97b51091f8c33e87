// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// An expansion whose kind is chosen at run time, by ExpansionOptions::kind.
/// Source: ours.

#include <utility>
#include <variant>

#include "anyssr/subspace/dense_expansion.hpp"
#include "anyssr/subspace/hadamard_expansion.hpp"
#include "anyssr/subspace/identity_expansion.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// One of IdentityExpansion, DenseExpansion and HadamardExpansion.
template <RealScalar S>
class AnyExpansion {
 public:
  using Scalar = S;
  using Variant = std::variant<IdentityExpansion<S>, DenseExpansion<S>, HadamardExpansion<S>>;

  /// @param in_dim  D >= 1
  /// @throws ArgumentError  an option out of range
  AnyExpansion(Index in_dim, const ExpansionOptions& options)
      : expansion_{make(in_dim, options)}, options_{options} {
    if (passes_through()) options_.dim = in_dim;
  }

  /// Writes the expanded features.
  /// @param features   n x D, dense in any storage order or row-major sparse
  /// @param out        n x d, rows in one piece; must not overlap the features
  /// @param workspace  grows to what the call needs
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  void expand_into(const X& features, Eigen::Ref<RowMajorMatrix<S>> out,
                   ExpansionWorkspace<S>& workspace) const {
    std::visit([&](const auto& chosen) { chosen.expand_into(features, out, workspace); },
               expansion_);
  }

  /// The expanded features, dense, n x d.
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  [[nodiscard]] RowMajorMatrix<S> expand(const X& features) const {
    return std::visit([&](const auto& chosen) { return chosen.expand(features); }, expansion_);
  }

  /// Calls f(features) where the expansion passes them through (no copy, sparse stays sparse), else
  /// f(expanded) with a `const RowMajorMatrix<S>&`, n x d, that lives as long as the call.
  /// @return what f returns, of one type for both
  /// @throws ShapeError
  template <FeatureMatrix<S> X, class F>
  decltype(auto) visit_expanded(const X& features, F&& f) const {
    ExpansionWorkspace<S> workspace;
    return visit_expanded(features, workspace, std::forward<F>(f));
  }

  /// The same with the memory of earlier calls: allocates nothing where the last call had as many
  /// rows. The expanded features stay in workspace.expanded.
  template <FeatureMatrix<S> X, class F>
  decltype(auto) visit_expanded(const X& features, ExpansionWorkspace<S>& workspace, F&& f) const {
    detail::expect_cols("features", features, in_dim());
    if (passes_through()) return std::forward<F>(f)(features);
    workspace.expanded.resize(features.rows(), out_dim());
    expand_into(features, workspace.expanded, workspace);
    return std::forward<F>(f)(std::as_const(workspace.expanded));
  }

  [[nodiscard]] Index in_dim() const noexcept {
    return std::visit([](const auto& chosen) { return chosen.in_dim(); }, expansion_);
  }
  [[nodiscard]] Index out_dim() const noexcept {
    return std::visit([](const auto& chosen) { return chosen.out_dim(); }, expansion_);
  }

  /// Whether the expanded features are the features themselves.
  [[nodiscard]] bool passes_through() const noexcept {
    return std::holds_alternative<IdentityExpansion<S>>(expansion_);
  }

  /// What it was built from; dim is out_dim().
  [[nodiscard]] const ExpansionOptions& options() const noexcept { return options_; }

  /// Hash of kind, widths, options and a few random parameters: equal where the expansions are.
  [[nodiscard]] std::uint64_t fingerprint() const noexcept {
    return std::visit([](const auto& chosen) { return chosen.fingerprint(); }, expansion_);
  }

  /// The expansion itself, for what only one kind has.
  [[nodiscard]] const Variant& variant() const noexcept { return expansion_; }

 private:
  static Variant make(Index in_dim, const ExpansionOptions& options) {
    switch (options.kind) {
      case ExpansionKind::identity:
        return IdentityExpansion<S>(in_dim);
      case ExpansionKind::dense:
        return DenseExpansion<S>(in_dim, options);
      case ExpansionKind::hadamard:
        return HadamardExpansion<S>(in_dim, options);
    }
    (void)to_string(options.kind);  // throws: no enumerator
    return IdentityExpansion<S>(in_dim);
  }

  Variant expansion_;
  ExpansionOptions options_;
};

}  // namespace anyssr::inline ANYSSR_ABI
