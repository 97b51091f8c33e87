// SPDX-License-Identifier: MIT

/// @file
/// The dense products of one scalar, compiled once for a whole program: elsewhere they cost a
/// second per file. One file says
///
///   #define ANYSSR_INSTANTIATION template
///   #define ANYSSR_SCALAR float
///   #include <anyssr/instantiate/products.hpp>
///
/// and the others the same with `extern template`. The include undefines both names, and without
/// them it does nothing.

#include "anyssr/linalg/product.hpp"

#if defined(ANYSSR_INSTANTIATION) && defined(ANYSSR_SCALAR)
ANYSSR_INSTANTIATION void anyssr::detail::add_mapped_product(
    anyssr::detail::MatrixMap<ANYSSR_SCALAR>,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::ColMajor>&,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::ColMajor>&, anyssr::Sign);
ANYSSR_INSTANTIATION void anyssr::detail::add_mapped_product(
    anyssr::detail::MatrixMap<ANYSSR_SCALAR>,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::ColMajor>&,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::RowMajor>&, anyssr::Sign);
ANYSSR_INSTANTIATION void anyssr::detail::add_mapped_product(
    anyssr::detail::MatrixMap<ANYSSR_SCALAR>,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::RowMajor>&,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::ColMajor>&, anyssr::Sign);
ANYSSR_INSTANTIATION void anyssr::detail::add_mapped_product(
    anyssr::detail::MatrixMap<ANYSSR_SCALAR>,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::RowMajor>&,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::RowMajor>&, anyssr::Sign);
ANYSSR_INSTANTIATION void anyssr::detail::add_mapped_triangle<Eigen::Lower>(
    anyssr::detail::MatrixMap<ANYSSR_SCALAR>,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::RowMajor>&,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::ColMajor>&, anyssr::Sign);
ANYSSR_INSTANTIATION void anyssr::detail::add_mapped_triangle<Eigen::Lower>(
    anyssr::detail::MatrixMap<ANYSSR_SCALAR>,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::ColMajor>&,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::RowMajor>&, anyssr::Sign);
ANYSSR_INSTANTIATION void anyssr::detail::add_mapped_triangle<Eigen::Upper>(
    anyssr::detail::MatrixMap<ANYSSR_SCALAR>,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::RowMajor>&,
    const anyssr::detail::ConstMatrixMap<ANYSSR_SCALAR, Eigen::ColMajor>&, anyssr::Sign);

#undef ANYSSR_INSTANTIATION
#undef ANYSSR_SCALAR
#endif
