// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Activations in place.

#include "anyssr/subspace/activation.hpp"

#define ANYSSR_INSTANTIATE_ACTIVATIONS(EXPLICIT, S) \
  EXPLICIT void anyssr::detail::activate_row(anyssr::Activation, S*, anyssr::Index, anyssr::Index);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_ACTIVATIONS(extern template, float)
ANYSSR_INSTANTIATE_ACTIVATIONS(extern template, double)
#endif
