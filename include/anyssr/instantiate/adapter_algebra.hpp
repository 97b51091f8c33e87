// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Sums, compression and norms of adapters.

#include "anyssr/lora/adapter_algebra.hpp"

#define ANYSSR_INSTANTIATE_ADAPTER_ALGEBRA(EXPLICIT, S)                                           \
  EXPLICIT anyssr::Adapter<S> anyssr::merge_adapters<S>(                                          \
      std::span<const anyssr::AdapterMix<S>::Entry>);                                             \
  EXPLICIT anyssr::CompressedModule<S> anyssr::compress(const anyssr::LoraModule<S>&,             \
                                                        anyssr::Index);                           \
  EXPLICIT double anyssr::change_norm(const anyssr::LoraModule<S>&);                              \
  EXPLICIT double anyssr::change_norm(const anyssr::Adapter<S>&);                                 \
  EXPLICIT double anyssr::similarity(const anyssr::LoraModule<S>&, const anyssr::LoraModule<S>&); \
  EXPLICIT double anyssr::similarity(const anyssr::Adapter<S>&, const anyssr::Adapter<S>&);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_ADAPTER_ALGEBRA(extern template, float)
ANYSSR_INSTANTIATE_ADAPTER_ALGEBRA(extern template, double)
#endif
