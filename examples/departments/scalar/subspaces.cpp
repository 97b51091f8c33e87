// SPDX-License-Identifier: MIT
#include "departments/scalar/subspaces.hpp"

template anyssr::ComplementBasis<departments::Scalar> anyssr::complement_basis(
    const anyssr::SparseRows<departments::Scalar>&,
    const Eigen::MatrixBase<anyssr::Matrix<departments::Scalar>>&, const anyssr::SubspaceOptions&);
