// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Heads by ridge regression.

#include "anyssr/train/ridge_head.hpp"

#define ANYSSR_INSTANTIATE_RIDGE_HEADS(EXPLICIT, S)                                              \
  EXPLICIT anyssr::Head<S> anyssr::fit_ridge_head(                                               \
      const anyssr::RowMajorMatrix<S>&, const anyssr::RowMajorMatrix<S>&,                        \
      std::span<const anyssr::Index>, anyssr::Index, const anyssr::RidgeHeadOptions&);           \
  EXPLICIT anyssr::Head<S> anyssr::fit_ridge_head(                                               \
      const anyssr::RowMajorMatrix<S>&, const anyssr::SparseRows<S>&,                            \
      std::span<const anyssr::Index>, anyssr::Index, const anyssr::RidgeHeadOptions&);           \
  EXPLICIT anyssr::Head<S> anyssr::fit_ridge_head(const anyssr::RowMajorMatrix<S>&,              \
                                                  std::span<const anyssr::Index>, anyssr::Index, \
                                                  const anyssr::RidgeHeadOptions&);              \
  EXPLICIT anyssr::Head<S> anyssr::fit_ridge_head(const anyssr::SparseRows<S>&,                  \
                                                  std::span<const anyssr::Index>, anyssr::Index, \
                                                  const anyssr::RidgeHeadOptions&);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_RIDGE_HEADS(extern template, float)
ANYSSR_INSTANTIATE_RIDGE_HEADS(extern template, double)
#endif
