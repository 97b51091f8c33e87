// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Second moments of the rows X (n x in) that enter the sites of an adapter:
///
///   whole      S = X^T X                  in x in
///   subspace   S ~ U (U^T X^T X U) U^T    U in x k orthonormal: k^2 numbers for wide inputs
///
/// They are sums over rows: those of batches add up. What the subspace form leaves out is counted.
/// Source: RegMean, arXiv 2212.09849, for the whole form; the subspace form is ours.

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/lora/adaptable_backbone.hpp"
#include "anyssr/subspace/subspace_projector.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// The inputs of one site.
template <RealScalar S>
struct SiteMoment {
  Matrix<double> moment;  ///< S, or U^T S U: lower triangle with diagonal; the rest is not read
  Matrix<S> basis{};      ///< U, in x k, orthonormal columns; empty: the moment is whole
  Index rows = 0;         ///< n
  double energy = 0;      ///< |X|_F^2, what lies outside U included

  [[nodiscard]] bool is_whole() const noexcept { return basis.size() == 0; }
  [[nodiscard]] Index in_dim() const noexcept { return is_whole() ? moment.rows() : basis.rows(); }
  /// Share of the energy that the moment holds, 0..1; 1 where there is none.
  [[nodiscard]] double energy_kept() const {
    return energy <= 0 ? 1 : std::min(1.0, moment.diagonal().sum() / energy);
  }
};

/// By site.
template <RealScalar S>
using SiteMoments = std::map<std::string, SiteMoment<S>>;

struct MomentOptions {
  Index whole_limit = 1024;  ///< widest inputs whose moment is kept whole: in^2 doubles
  /// Leading directions of the first rows that wider inputs are reduced to, where the module has no
  /// basis of its own; at least 1.
  Index directions = 128;
};

namespace detail {

/// Adds rows to a moment whose basis is chosen.
template <class X, RealScalar S>
void add_rows(const X& x, SiteMoment<S>& site) {
  Matrix<double> gram;
  if (site.is_whole()) {
    gram = PlainRows<X>(x).gram_of_columns();
  } else {
    const RowMajorMatrix<S> inside = x * site.basis;
    gram = gram_in_double(inside);
  }
  expect<NonFiniteError>(is_finite(gram), "the inputs of a site are too large to square in their ",
                         "directions");
  if (site.moment.size() == 0) site.moment.setZero(gram.rows(), gram.cols());
  site.moment += Matrix<double>(gram.template selfadjointView<Eigen::Lower>());
  site.rows += x.rows();
  site.energy += energy_of(x);
}

/// A moment of no rows, in the form that the module's inputs ask for.
template <class X, RealScalar S>
[[nodiscard]] SiteMoment<S> empty_moment(const X& x, const LoraModule<S>& module,
                                         const MomentOptions& options) {
  SiteMoment<S> site;
  const Index in = module.in_dim();
  if (in <= options.whole_limit) {
    site.moment.setZero(in, in);
    return site;
  }
  site.basis =
      module.is_confined()
          ? Matrix<S>(module.basis())
          : SubspaceProjector<S>::fit(x, {.rank = std::min(options.directions, in)}).basis();
  expect<ArgumentError>(site.basis.size() > 0, "the first inputs of a site are all zero, expected ",
                        "rows to find directions of");
  return site;
}

}  // namespace detail

/// Adds the rows that enter the sites where `adapter` has modules, under that adapter.
/// @param moments  of the same adapter, from an earlier batch or empty; a basis there stays
/// @throws NonFiniteError  inputs with NaN or infinity, or too large to square
/// @throws ShapeError      moments of another width; all before `moments` changes
/// @throws ArgumentError   directions below 1, or a first batch without any input
/// Cost: n in^2 a site, or n in k in the subspace form.
template <AdaptableBackbone B>
void add_site_moments(const B& backbone, const typename B::Trunk& trunk,
                      const Adapter<typename B::Scalar>& adapter,
                      SiteMoments<typename B::Scalar>& moments, const MomentOptions& options = {}) {
  using S = typename B::Scalar;
  detail::expect(options.directions >= 1, "directions are ", options.directions,
                 ", expected at least 1");
  SiteMoments<S> fresh;
  backbone.visit_site_inputs(trunk, adapter, [&](std::string_view name, const auto& rows) {
    const auto module = adapter.modules.find(std::string(name));
    if (module == adapter.modules.end() || rows.rows() == 0) return;
    detail::with_plain_rows(rows, [&](const auto& x) {
      detail::expect_cols("inputs of '" + module->first + "'", x, module->second.in_dim());
      detail::expect<NonFiniteError>(detail::is_finite(detail::energy_of(x)), "inputs of '", name,
                                     "' hold NaN, infinity or numbers too large to square");
      auto site = fresh.find(module->first);
      if (site == fresh.end()) {
        SiteMoment<S> start;
        const auto earlier = moments.find(module->first);
        if (earlier != moments.end()) {
          const Index in = earlier->second.in_dim();
          detail::expect<ShapeError>(in == x.cols(), "moments of '", name, "' are of ", in,
                                     " inputs, expected ", x.cols());
          start.basis = earlier->second.basis;
        } else {
          start = detail::empty_moment(x, module->second, options);
        }
        site = fresh.emplace(module->first, std::move(start)).first;
      }
      detail::add_rows(x, site->second);
    });
  });
  for (auto& [name, site] : fresh) {
    const auto [sum, is_new] = moments.try_emplace(name, std::move(site));
    if (is_new) continue;
    sum->second.moment += site.moment;
    sum->second.rows += site.rows;
    sum->second.energy += site.energy;
  }
}

/// The moments of one batch.
template <AdaptableBackbone B>
[[nodiscard]] SiteMoments<typename B::Scalar> site_moments(
    const B& backbone, const typename B::Trunk& trunk, const Adapter<typename B::Scalar>& adapter,
    const MomentOptions& options = {}) {
  SiteMoments<typename B::Scalar> moments;
  add_site_moments(backbone, trunk, adapter, moments, options);
  return moments;
}

}  // namespace anyssr::inline ANYSSR_ABI
