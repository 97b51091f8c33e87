// SPDX-License-Identifier: MIT
#include "departments/leaves/subspaces.hpp"

template anyssr::SubspaceProjector<float> anyssr::SubspaceProjector<float>::fit(
    const anyssr::SparseRows<float>&, const anyssr::SubspaceOptions&);
template anyssr::ComplementBasis<float> anyssr::complement_basis(
    const anyssr::SparseRows<float>&, const Eigen::MatrixBase<anyssr::Matrix<float>>&,
    const anyssr::SubspaceOptions&);
template anyssr::Matrix<float> anyssr::append_basis(
    const Eigen::MatrixBase<anyssr::Matrix<float>>&,
    const Eigen::MatrixBase<anyssr::RowMajorMatrix<float>>&);
