// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The subspaces of adapters in float, compiled in subspaces.cpp.

#include <anyssr/subspace/complement.hpp>
#include <anyssr/subspace/subspace_projector.hpp>

#include "departments/leaves/linear_algebra.hpp"

extern template anyssr::SubspaceProjector<float> anyssr::SubspaceProjector<float>::fit(
    const anyssr::SparseRows<float>&, const anyssr::SubspaceOptions&);
extern template anyssr::ComplementBasis<float> anyssr::complement_basis(
    const anyssr::SparseRows<float>&, const Eigen::MatrixBase<anyssr::Matrix<float>>&,
    const anyssr::SubspaceOptions&);
extern template anyssr::Matrix<float> anyssr::append_basis(
    const Eigen::MatrixBase<anyssr::Matrix<float>>&,
    const Eigen::MatrixBase<anyssr::RowMajorMatrix<float>>&);
