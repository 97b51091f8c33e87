// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The matrix types of the library. Samples are rows everywhere.

#include <Eigen/Core>
#include <Eigen/SparseCore>

#include "anyssr/core/abi.hpp"

namespace anyssr::inline ANYSSR_ABI {

using Eigen::Index;

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

template <class Scalar>
using RowMajorMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class Scalar>
using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

template <class Scalar>
using RowVector = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;

/// Compressed rows: what text hashing produces, one sample a row.
template <class Scalar>
using SparseRows = Eigen::SparseMatrix<Scalar, Eigen::RowMajor>;

}  // namespace anyssr::inline ANYSSR_ABI
