// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Adapters compressed to a budget.

#include "anyssr/lora/adapter_budget.hpp"

#define ANYSSR_INSTANTIATE_ADAPTER_BUDGETS(EXPLICIT, S)                                         \
  EXPLICIT anyssr::Vector<double> anyssr::change_singular_values(const anyssr::LoraModule<S>&); \
  EXPLICIT anyssr::Consolidation<S> anyssr::consolidate<S>(                                     \
      std::span<const anyssr::Adapter<S>* const>, const anyssr::ConsolidationPlan&);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_ADAPTER_BUDGETS(extern template, float)
ANYSSR_INSTANTIATE_ADAPTER_BUDGETS(extern template, double)
#endif
