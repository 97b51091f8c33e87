// SPDX-License-Identifier: MIT
#pragma once

#include <anyssr/subspace/complement.hpp>

#include "departments/scalar/scalar.hpp"

extern template anyssr::ComplementBasis<departments::Scalar> anyssr::complement_basis(
    const anyssr::SparseRows<departments::Scalar>&,
    const Eigen::MatrixBase<anyssr::Matrix<departments::Scalar>>&, const anyssr::SubspaceOptions&);
