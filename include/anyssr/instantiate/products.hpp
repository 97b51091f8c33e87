// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The dense products of a scalar: what compiles longest in most programs.

#include "anyssr/linalg/product.hpp"

#define ANYSSR_INSTANTIATE_PRODUCTS(EXPLICIT, S)                                               \
  EXPLICIT void anyssr::detail::add_mapped_product(                                            \
      anyssr::detail::MatrixMap<S>, const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, anyssr::Sign);                \
  EXPLICIT void anyssr::detail::add_mapped_product(                                            \
      anyssr::detail::MatrixMap<S>, const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, anyssr::Sign);                \
  EXPLICIT void anyssr::detail::add_mapped_product(                                            \
      anyssr::detail::MatrixMap<S>, const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, anyssr::Sign);                \
  EXPLICIT void anyssr::detail::add_mapped_product(                                            \
      anyssr::detail::MatrixMap<S>, const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, anyssr::Sign);                \
  EXPLICIT void anyssr::detail::add_mapped_triangle<Eigen::Lower>(                             \
      anyssr::detail::MatrixMap<S>, const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, anyssr::Sign);                \
  EXPLICIT void anyssr::detail::add_mapped_triangle<Eigen::Lower>(                             \
      anyssr::detail::MatrixMap<S>, const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, anyssr::Sign);                \
  EXPLICIT void anyssr::detail::add_mapped_triangle<Eigen::Upper>(                             \
      anyssr::detail::MatrixMap<S>, const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, anyssr::Sign);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_PRODUCTS(extern template, float)
ANYSSR_INSTANTIATE_PRODUCTS(extern template, double)
#endif
