// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Activations in place.

#include "anyssr/subspace/activation.hpp"

#define ANYSSR_INSTANTIATE_ACTIVATIONS(EXPLICIT, S)                                      \
  EXPLICIT void anyssr::activate_in_place(anyssr::Activation,                            \
                                          Eigen::DenseBase<anyssr::RowMajorMatrix<S>>&); \
  EXPLICIT void anyssr::activate_in_place(anyssr::Activation,                            \
                                          Eigen::DenseBase<Eigen::Map<anyssr::RowVector<S>>>&);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_ACTIVATIONS(extern template, float)
ANYSSR_INSTANTIATE_ACTIVATIONS(extern template, double)
#endif
