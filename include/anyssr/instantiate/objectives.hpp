// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Losses of classifiers and activations.

#include "anyssr/train/objective.hpp"

#define ANYSSR_INSTANTIATE_OBJECTIVES(EXPLICIT, S)                                                 \
  EXPLICIT double anyssr::softmax_cross_entropy(                                                   \
      const Eigen::MatrixBase<anyssr::RowMajorMatrix<S>>&, std::span<const anyssr::Index>, double, \
      anyssr::RowMajorMatrix<S>*);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_OBJECTIVES(extern template, float)
ANYSSR_INSTANTIATE_OBJECTIVES(extern template, double)
#endif
