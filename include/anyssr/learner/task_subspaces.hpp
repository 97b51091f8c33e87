// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Confines the LoRA modules of a new task to a subspace of its site inputs (MATH: A = Q U^T).
///
///   own         U spans the leading directions of this task's rows X_t at the site
///   complement  U spans (I - U_<t U_<t^T) X_t^T: what the earlier tasks' spans do not hold, so
///   that
///               B A x = 0, to round-off, for every x in those spans (InfLoRA, arXiv 2404.00228)

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "anyssr/core/enum_names.hpp"
#include "anyssr/lora/adapter_algebra.hpp"
#include "anyssr/lora/adapter_response.hpp"
#include "anyssr/subspace/complement.hpp"
#include "anyssr/subspace/subspace_projector.hpp"

namespace anyssr::inline ANYSSR_ABI {

enum class SubspaceChoice : std::uint8_t { none, own, complement };

namespace detail {
template <>
inline constexpr SubspaceChoice last_enumerator<SubspaceChoice> = SubspaceChoice::complement;
}  // namespace detail

/// @throws ArgumentError  for a value that is no enumerator
[[nodiscard]] constexpr std::string_view to_string(SubspaceChoice choice) {
  switch (choice) {
    case SubspaceChoice::none:
      return "none";
    case SubspaceChoice::own:
      return "own";
    case SubspaceChoice::complement:
      return "complement";
  }
  detail::raise_no_enumerator("subspace", choice);
}

/// @param name  none, own or complement
/// @param what  how a message names it
/// @throws ArgumentError  which lists the known names
[[nodiscard]] inline SubspaceChoice parse_subspace_choice(std::string_view name,
                                                          std::string_view what = "subspace") {
  return detail::parse_enumerator<SubspaceChoice>(what, name);
}

/// What became of one site.
struct SiteSubspace {
  Index rank = 0;     ///< directions that the module may read
  double energy = 1;  ///< own: share of the site inputs inside them; complement: share outside
                      ///< the earlier spans
  Index capacity_left = -1;  ///< complement: directions that no task uses yet; else -1
};

/// The spans of the tasks learned, by site. Only the choice `complement` fills it.
template <RealScalar S>
class TaskSubspaces {
 public:
  TaskSubspaces() = default;
  /// @param spans  site -> in x K, orthonormal columns, as spans() gave them
  /// @throws ArgumentError, NonFiniteError  for columns that are not orthonormal
  explicit TaskSubspaces(std::map<std::string, Matrix<S>> spans) {
    for (const auto& [site, span] : spans)
      detail::expect_orthonormal("span of '" + site + "'", span);
    spans_ = std::move(spans);
  }

  /// Confines every module of `adapter` and gives what became of each site; a module goes where the
  /// rows span no direction, being zero. Changes nothing here.
  /// @throws NumericalError  where nothing of the new rows is left (complement)
  template <AdaptableBackbone B>
  std::map<std::string, SiteSubspace> confine(const B& backbone, const typename B::Trunk& trunk,
                                              SubspaceChoice choice, const SubspaceOptions& options,
                                              Adapter<S>& adapter) const {
    std::map<std::string, SiteSubspace> report;
    if (choice == SubspaceChoice::none || adapter.modules.empty()) return report;
    backbone.visit_site_inputs(trunk, adapter, [&](std::string_view site, const auto& rows) {
      const auto module = adapter.modules.find(std::string(site));
      if (module == adapter.modules.end()) return;
      const auto earlier = spans_.find(module->first);
      SiteSubspace& entry = report[module->first];
      if (detail::energy_of(rows) == 0) return;
      Matrix<S> basis;
      if (choice == SubspaceChoice::complement && earlier != spans_.end()) {
        ComplementBasis<S> found = outside(rows, earlier->second, options, module->first);
        entry.energy = found.outside_share;
        entry.capacity_left = found.capacity - found.basis.cols();
        basis = std::move(found.basis);
      } else {
        const auto projector = SubspaceProjector<S>::fit(rows, options);
        entry.energy = projector.energy_kept();
        if (choice == SubspaceChoice::complement)
          entry.capacity_left = projector.dim() - projector.rank();
        basis = projector.basis();
      }
      entry.rank = basis.cols();
      fit_rank(module->second, basis.cols());
      module->second.confine(std::move(basis));
    });
    for (const auto& [site, entry] : report) {
      if (entry.rank == 0) adapter.modules.erase(site);
    }
    return report;
  }

  /// This object with the confined modules' spans added: what the next task stays outside of.
  [[nodiscard]] TaskSubspaces with(const Adapter<S>& adapter) const {
    TaskSubspaces result = *this;
    for (const auto& [site, module] : adapter.modules) {
      if (!module.is_confined()) continue;
      Matrix<S>& span = result.spans_[site];
      span = span.size() == 0 ? Matrix<S>(module.basis()) : append_basis(span, module.basis());
    }
    return result;
  }

  /// How large the response of an adapter that stays outside these spans can be, to queries whose
  /// site inputs X (n x in) the spans hold but for a residual:
  ///   sqrt( sum_sites |c B A|_F^2 |X - X U U^T|_F^2 / n )
  /// @return a bound, to round-off, of adapter_response(backbone, trunk, adapter)
  /// @throws ArgumentError  the trunk has no row
  template <AdaptableBackbone B>
  [[nodiscard]] double response_bound(const B& backbone, const typename B::Trunk& trunk,
                                      const Adapter<S>& adapter) const {
    double squares = 0;
    const Index rows = detail::visit_base_inputs(
        backbone, trunk, adapter,
        [&](const std::string& site, const LoraModule<S>& module, const auto& x) {
          const double size = change_norm(module);
          const double energy = detail::energy_of(x);
          const auto span = spans_.find(site);
          squares +=
              size * size *
              (span == spans_.end() ? energy : detail::residual_energy(x, span->second, energy));
        });
    return rows == 0 ? 0 : std::sqrt(squares / static_cast<double>(rows));
  }

  [[nodiscard]] const std::map<std::string, Matrix<S>>& spans() const noexcept { return spans_; }

  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t total = 0;
    for (const auto& [site, span] : spans_)
      total += static_cast<std::size_t>(span.size()) * sizeof(S);
    return total;
  }

 private:
  template <class X>
  static ComplementBasis<S> outside(const X& rows, const Matrix<S>& span,
                                    const SubspaceOptions& options, const std::string& site) {
    try {
      return complement_basis(rows, span, options);
    } catch (const NumericalError& error) {
      detail::raise<NumericalError>(
          "site '", site, "': ", error.what(),
          "; give each task fewer directions (subspace_fit.rank), take a wider "
          "site, or the choice own");
    }
  }

  /// A task of few rows may span fewer directions than the rank asked for: the module gets as many,
  /// with the same scale.
  static void fit_rank(LoraModule<S>& module, Index directions) {
    if (directions >= module.rank()) return;
    const auto r = static_cast<double>(directions);
    const double alpha = module.scale() * (module.rank_stabilised() ? std::sqrt(r) : r);
    module = LoraModule<S>(
        module.in_dim(), module.out_dim(),
        {.rank = directions, .alpha = alpha, .rank_stabilised = module.rank_stabilised()});
  }

  std::map<std::string, Matrix<S>> spans_;  // site -> in x K, orthonormal
};

}  // namespace anyssr::inline ANYSSR_ABI
