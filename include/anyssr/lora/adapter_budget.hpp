// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Adapters that together fit a budget of bytes: which rank each module keeps, so that as little as
/// possible of the changes is lost.
///
///   minimise  sum_modules sum_{i > r} s_i^2 / |dW|_adapter^2
///   such that sum_modules bytes(r) <= budget
///
/// s_i are the singular values of a module's change dW, from the factors alone; cutting a change to
/// its first r loses exactly the squares of the others (Eckart and Young). Ranks are taken in the
/// order of energy per byte. Optimal where all ranks cost the same; otherwise at least as good
/// as any choice for a budget one step smaller (a rank, or several that pay for a basis together).
/// Source: ours.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/thin_svd.hpp"
#include "anyssr/linalg/vectors.hpp"
#include "anyssr/lora/adapter_algebra.hpp"

namespace anyssr::inline ANYSSR_ABI {

struct BudgetOptions {
  /// Losses count as shares of each adapter's own squared norm, so that none starves for having
  /// small numbers; false: as they are.
  bool relative = true;
  bool may_drop = false;  ///< a module may go altogether; false: each keeps rank 1 at least
};

/// One module before and after.
struct ModuleBudget {
  Index rank_before = 0;
  Index rank_after = 0;          ///< 0: the module goes
  double norm = 0;               ///< |dW|_F before
  double error = 0;              ///< |dW - dW'|_F
  std::size_t bytes_before = 0;  ///< of both factors and the basis of a confined module
  std::size_t bytes_after = 0;
};

/// One adapter before and after.
struct AdapterBudget {
  std::map<std::string, ModuleBudget> modules;  ///< by site
  double norm = 0;                              ///< of all changes, as if in one matrix
  double error = 0;                             ///< likewise
  std::size_t bytes_before = 0;                 ///< of the modules
  std::size_t bytes_after = 0;
  std::size_t head_bytes = 0;  ///< of the heads, which stay as they are
};

/// What becomes of every adapter, in their order.
struct ConsolidationPlan {
  std::vector<AdapterBudget> adapters;
  std::size_t bytes_before = 0;  ///< of all modules
  std::size_t bytes_after = 0;
  std::size_t head_bytes = 0;
};

/// Adapters of lower rank, and what was measured.
template <RealScalar S>
struct Consolidation {
  std::vector<Adapter<S>> adapters;
  ConsolidationPlan
      report;  ///< the plan with the errors of the new modules, rounding to S included
};

/// The singular values of c B A, descending, min(r, in, out) of them (k for in where confined).
/// @throws NonFiniteError
/// Cost: O((in + out) r^2 + r^3) in double.
template <RealScalar S>
[[nodiscard]] Vector<double> change_singular_values(const LoraModule<S>& module) {
  detail::expect_finite("a", module.a());
  detail::expect_finite("b", module.b());
  const Matrix<double> stored = module.a().template cast<double>();
  const detail::ThinQr left(module.b().template cast<double>());
  const detail::ThinQr right(stored.transpose());
  const auto core = detail::product_of<Matrix<double>>(left.r(), right.r().transpose());
  return module.scale() * detail::singular_values(core);
}

namespace detail {

/// One module while ranks are shared out.
struct RankedModule {
  ModuleBudget* budget;
  Vector<double> energies;  // s_i^2 without those that are round-off, descending
  double unit = 1;          // what an energy is divided by before adapters are compared
  std::size_t basis_bytes = 0;
  std::size_t rank_bytes = 0;
  Index least = 1;  // rank that stays in any case

  [[nodiscard]] std::size_t bytes(Index rank) const {
    return rank == 0 ? 0 : basis_bytes + static_cast<std::size_t>(rank) * rank_bytes;
  }
  [[nodiscard]] Index most() const { return std::max(least, energies.size()); }
  [[nodiscard]] double energy(Index from, Index to) const {
    return from >= to ? 0 : energies.segment(from, to - from).sum();
  }
};

/// Ranks of one module that are taken together: several only where the first of them pays for the
/// basis too.
struct RankStep {
  std::size_t module;
  Index from;
  Index to;
  double density;  // energy a byte
};

/// The steps of one module from its least rank up, along the upper hull of energy over bytes: their
/// densities never rise.
inline void add_steps(const RankedModule& module, std::size_t number,
                      std::vector<RankStep>& steps) {
  double limit = std::numeric_limits<double>::max();  // against round-off
  for (Index from = module.least; from < module.energies.size();) {
    RankStep best{number, from, from, -1};
    for (Index to = from + 1; to <= module.energies.size(); ++to) {
      const auto bytes = static_cast<double>(module.bytes(to) - module.bytes(from));
      const double density = module.energy(from, to) / module.unit / bytes;
      if (density > best.density) best = {number, from, to, density};
    }
    limit = best.density = std::min(limit, best.density);
    steps.push_back(best);
    from = best.to;
  }
}

template <RealScalar S>
[[nodiscard]] RankedModule ranked(const LoraModule<S>& module, const BudgetOptions& options,
                                  ModuleBudget& budget) {
  const Vector<double> values = change_singular_values(module);
  budget.rank_before = module.rank();
  budget.bytes_before = module.bytes();
  budget.norm = norm(values.data(), values.size());
  const double round_off = 64 * std::numeric_limits<double>::epsilon() * budget.norm;
  Index count = 0;
  while (count < values.size() && values(count) > round_off) ++count;
  RankedModule result{.budget = &budget, .energies = values.head(count).cwiseAbs2()};
  result.basis_bytes = static_cast<std::size_t>(module.basis().size()) * sizeof(S);
  result.rank_bytes = static_cast<std::size_t>(module.a().cols() + module.out_dim()) * sizeof(S);
  result.least = options.may_drop ? 0 : 1;
  return result;
}

/// Checks the adapters and measures their modules.
template <RealScalar S>
[[nodiscard]] std::vector<RankedModule> ranked_modules(std::span<const Adapter<S>* const> adapters,
                                                       const BudgetOptions& options,
                                                       ConsolidationPlan& plan) {
  expect(!adapters.empty(), "there are 0 adapters, expected at least 1");
  plan.adapters.resize(adapters.size());
  std::vector<RankedModule> modules;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    expect(adapters[i] != nullptr, "adapter ", i, " is null, expected one to consolidate");
    AdapterBudget& budget = plan.adapters[i];
    const std::size_t first = modules.size();
    for (const auto& [site, module] : adapters[i]->modules) {
      modules.push_back(ranked(module, options, budget.modules[site]));
      budget.norm = std::hypot(budget.norm, modules.back().budget->norm);
    }
    for (std::size_t m = first; options.relative && m < modules.size(); ++m) {
      if (budget.norm > 0) modules[m].unit = budget.norm * budget.norm;
    }
    for (const auto& [name, head] : adapters[i]->heads) budget.head_bytes += head.bytes();
  }
  return modules;
}

/// All steps, those that keep most a byte first.
[[nodiscard]] inline std::vector<RankStep> ordered_steps(const std::vector<RankedModule>& modules) {
  std::vector<RankStep> steps;
  for (std::size_t m = 0; m < modules.size(); ++m) add_steps(modules[m], m, steps);
  std::stable_sort(steps.begin(), steps.end(), [](const RankStep& left, const RankStep& right) {
    return left.density > right.density;
  });
  return steps;
}

/// Adds up what the modules say.
inline void add_up(ConsolidationPlan& plan) {
  plan.bytes_before = plan.bytes_after = plan.head_bytes = 0;
  for (AdapterBudget& adapter : plan.adapters) {
    adapter.error = 0;
    adapter.bytes_before = adapter.bytes_after = 0;
    for (const auto& [site, module] : adapter.modules) {
      adapter.error = std::hypot(adapter.error, module.error);
      adapter.bytes_before += module.bytes_before;
      adapter.bytes_after += module.bytes_after;
    }
    plan.bytes_before += adapter.bytes_before;
    plan.bytes_after += adapter.bytes_after;
    plan.head_bytes += adapter.head_bytes;
  }
}

/// Errors and bytes of the ranks that were chosen.
inline void finish(const std::vector<RankedModule>& modules, ConsolidationPlan& plan) {
  for (const RankedModule& module : modules) {
    ModuleBudget& budget = *module.budget;
    budget.error = std::sqrt(module.energy(budget.rank_after, module.energies.size()));
    budget.bytes_after = budget.rank_after == budget.rank_before ? budget.bytes_before
                                                                 : module.bytes(budget.rank_after);
  }
  add_up(plan);
}

}  // namespace detail

/// The ranks that lose least among those that fit. Adapters that fit as they are stay bit for bit.
/// @param adapters      at least one, none null
/// @param budget_bytes  for the modules of all adapters, bases of confined ones included; heads
///                      come on top
/// @throws ArgumentError   no adapter, a null one, or a budget that the least ranks pass
/// @throws NonFiniteError  a module with NaN or infinity
/// Cost: O((in + out) r^2 + r^3) a module.
template <RealScalar S>
[[nodiscard]] ConsolidationPlan plan_ranks(std::span<const Adapter<S>* const> adapters,
                                           std::size_t budget_bytes,
                                           const BudgetOptions& options = {}) {
  ConsolidationPlan plan;
  const std::vector<detail::RankedModule> modules =
      detail::ranked_modules<S>(adapters, options, plan);
  std::size_t before = 0;
  std::size_t spent = 0;
  for (const detail::RankedModule& module : modules) {
    before += module.budget->bytes_before;
    spent += module.bytes(module.least);
    module.budget->rank_after = module.least;
  }
  if (before <= budget_bytes) {
    for (const auto& module : modules) module.budget->rank_after = module.budget->rank_before;
    detail::finish(modules, plan);
    return plan;
  }
  detail::expect(spent <= budget_bytes, "budget_bytes is ", budget_bytes, ", expected at least ",
                 spent, ", what rank ", options.may_drop ? 0 : 1, " at each of ", modules.size(),
                 " modules needs");
  for (const detail::RankStep& step : detail::ordered_steps(modules)) {
    const detail::RankedModule& module = modules[step.module];
    Index& rank = module.budget->rank_after;
    if (rank != step.from) continue;  // what comes before it did not fit
    Index to = step.to;
    const auto left = budget_bytes - spent + module.bytes(step.from);
    while (to > step.from && module.bytes(to) > left) --to;
    spent += module.bytes(to) - module.bytes(step.from);
    rank = to;
  }
  detail::finish(modules, plan);
  return plan;
}

/// Few bytes for an error: each adapter by itself loses the ranks that keep least per byte, as long
/// as
///
///   |dW - dW'|_F <= relative_error |dW|_F    over all its sites
///
/// @param relative_error  0 or more, below 1; 0 lets go only of what is round-off
/// @param options         `relative` makes no difference
/// @throws as plan_ranks, and ArgumentError for a relative_error out of range
template <RealScalar S>
[[nodiscard]] ConsolidationPlan plan_error(std::span<const Adapter<S>* const> adapters,
                                           double relative_error,
                                           const BudgetOptions& options = {}) {
  detail::expect(detail::is_finite(relative_error) && relative_error >= 0 && relative_error < 1,
                 "relative_error is ", relative_error, ", expected 0 or more, below 1");
  ConsolidationPlan plan;
  for (const Adapter<S>* const& adapter : adapters) {
    ConsolidationPlan own;
    const std::vector<detail::RankedModule> modules =
        detail::ranked_modules<S>({&adapter, 1}, options, own);
    for (const detail::RankedModule& module : modules) module.budget->rank_after = module.most();
    double allowed = std::pow(relative_error * own.adapters[0].norm, 2);
    const std::vector<detail::RankStep> steps = detail::ordered_steps(modules);
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      const detail::RankedModule& module = modules[step->module];
      const double energy = module.energy(step->from, step->to);
      if (module.budget->rank_after != step->to || energy > allowed) continue;
      allowed -= energy;
      module.budget->rank_after = step->from;
    }
    detail::finish(modules, own);
    plan.adapters.push_back(std::move(own.adapters[0]));
  }
  detail::expect(!plan.adapters.empty(), "there are 0 adapters, expected at least 1");
  detail::add_up(plan);
  return plan;
}

namespace detail {

/// Refuses a plan that was made for other adapters.
template <RealScalar S>
void expect_planned(std::span<const Adapter<S>* const> adapters, const ConsolidationPlan& plan) {
  expect<ShapeError>(plan.adapters.size() == adapters.size(), "plan is of ", plan.adapters.size(),
                     " adapters, expected ", adapters.size());
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    expect(adapters[i] != nullptr, "adapter ", i, " is null, expected one to consolidate");
    const auto& modules = adapters[i]->modules;
    const auto& planned = plan.adapters[i].modules;
    expect<ShapeError>(planned.size() == modules.size(), "plan has ", planned.size(),
                       " sites for adapter ", i, ", expected ", modules.size());
    for (const auto& [site, module] : modules) {
      const auto found = planned.find(site);
      expect(found != planned.end(), "plan has no site '", site, "' for adapter ", i,
             ", expected one for each module");
      const ModuleBudget& budget = found->second;
      expect(budget.rank_before == module.rank() && budget.rank_after >= 0 &&
                 budget.rank_after <= module.rank(),
             "plan takes adapter ", i, " at '", site, "' from rank ", budget.rank_before, " to ",
             budget.rank_after, ", expected from ", module.rank(), " to 0..", module.rank());
      expect_finite("a of '" + site + "'", module.a());
      expect_finite("b of '" + site + "'", module.b());
    }
  }
}

}  // namespace detail

/// New adapters as the plan says, each module by compress(): one that keeps its rank keeps its
/// bits, and so do heads and metadata.
/// @param plan  of these adapters; its rank_after may have been changed by hand
/// @throws ShapeError, ArgumentError  a plan of other adapters; NonFiniteError as plan_ranks
/// Cost: that of compress, a module.
template <RealScalar S>
[[nodiscard]] Consolidation<S> consolidate(std::span<const Adapter<S>* const> adapters,
                                           const ConsolidationPlan& plan) {
  detail::expect_planned<S>(adapters, plan);
  Consolidation<S> result{.adapters = {}, .report = plan};
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    Adapter<S> adapter{
        .modules = {}, .heads = adapters[i]->heads, .metadata = adapters[i]->metadata};
    for (const auto& [site, module] : adapters[i]->modules) {
      ModuleBudget& budget = result.report.adapters[i].modules.at(site);
      budget.norm = change_norm(module);
      budget.error = budget.norm;
      budget.bytes_before = module.bytes();
      budget.bytes_after = 0;
      if (budget.rank_after == 0) continue;
      CompressedModule<S> compressed = compress(module, budget.rank_after);
      budget.rank_after = compressed.module.rank();
      budget.error = compressed.error;
      budget.bytes_after = compressed.module.bytes();
      adapter.modules.emplace(site, std::move(compressed.module));
    }
    result.adapters.push_back(std::move(adapter));
  }
  detail::add_up(result.report);
  return result;
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/adapter_budgets.hpp"
#endif
