// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Subspaces of features and what lies outside of earlier ones.

#include "anyssr/subspace/complement.hpp"

#define ANYSSR_INSTANTIATE_SUBSPACES(EXPLICIT, S)                                    \
  EXPLICIT anyssr::SubspaceProjector<S> anyssr::SubspaceProjector<S>::fit(           \
      const anyssr::RowMajorMatrix<S>&, const anyssr::SubspaceOptions&);             \
  EXPLICIT anyssr::ComplementBasis<S> anyssr::complement_basis(                      \
      const anyssr::RowMajorMatrix<S>&, const Eigen::MatrixBase<anyssr::Matrix<S>>&, \
      const anyssr::SubspaceOptions&);                                               \
  EXPLICIT anyssr::SubspaceProjector<S> anyssr::SubspaceProjector<S>::fit(           \
      const anyssr::SparseRows<S>&, const anyssr::SubspaceOptions&);                 \
  EXPLICIT anyssr::ComplementBasis<S> anyssr::complement_basis(                      \
      const anyssr::SparseRows<S>&, const Eigen::MatrixBase<anyssr::Matrix<S>>&,     \
      const anyssr::SubspaceOptions&);                                               \
  EXPLICIT anyssr::Matrix<S> anyssr::append_basis(                                   \
      const Eigen::MatrixBase<anyssr::Matrix<S>>&,                                   \
      const Eigen::MatrixBase<anyssr::RowMajorMatrix<S>>&);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_SUBSPACES(extern template, float)
ANYSSR_INSTANTIATE_SUBSPACES(extern template, double)
#endif
