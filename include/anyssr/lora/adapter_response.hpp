// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How strongly an adapter acts on queries, the model in front of its sites as it is without it:
///
///   response = sqrt( sum_sites |c X A^T B^T|_F^2 / n )      X: n x in, the site's base inputs
///
/// On another task's queries that is interference: what the adapter would change there if it were
/// active. Over its response to its own task's queries it is a number without a unit.
/// Source: ours.

#include <cmath>
#include <string>
#include <string_view>

#include "anyssr/lora/adaptable_backbone.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// Calls visit(site, module, rows) for each module of the adapter with what enters its site in the
/// base model.
/// @return rows a site
template <AdaptableBackbone B, class Visit>
Index visit_base_inputs(const B& backbone, const typename B::Trunk& trunk,
                        const Adapter<typename B::Scalar>& adapter, const Visit& visit) {
  expect(static_cast<Index>(backbone.rows(trunk)) > 0, "trunk has no row, expected at least 1");
  Adapter<typename B::Scalar> at_rest;  // the same sites, and no change
  for (const auto& [site, module] : adapter.modules) {
    at_rest.modules.insert_or_assign(site, module).first->second.mutable_b().setZero();
  }
  Index rows = 0;
  backbone.visit_site_inputs(trunk, at_rest, [&](std::string_view site, const auto& x) {
    const auto found = adapter.modules.find(std::string(site));
    if (found == adapter.modules.end()) return;
    visit(found->first, found->second, x);
    rows = static_cast<Index>(x.rows());
  });
  return rows;
}

}  // namespace detail

/// @param trunk  at least one row
/// @return root of the squared change a row of the sites' inputs (a language model: a token), over
///         all sites; 0 for an adapter without modules
/// @throws ArgumentError  the trunk has no row
template <AdaptableBackbone B>
[[nodiscard]] double adapter_response(const B& backbone, const typename B::Trunk& trunk,
                                      const Adapter<typename B::Scalar>& adapter) {
  using S = typename B::Scalar;
  double squares = 0;
  const Index rows = detail::visit_base_inputs(
      backbone, trunk, adapter,
      [&](const std::string& /*site*/, const LoraModule<S>& module, const auto& x) {
        RowMajorMatrix<S> change = RowMajorMatrix<S>::Zero(x.rows(), module.out_dim());
        module.add_forward(x, change);
        squares += change.template cast<double>().squaredNorm();
      });
  return rows == 0 ? 0 : std::sqrt(squares / static_cast<double>(rows));
}

}  // namespace anyssr::inline ANYSSR_ABI
