// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Cholesky factorisation in place, its update, and the solves by it.

#include "anyssr/linalg/cholesky.hpp"
#include "anyssr/linalg/factor_update.hpp"
#include "anyssr/linalg/lower_cholesky.hpp"
#include "anyssr/linalg/second_moment.hpp"
#include "anyssr/linalg/symmetric_product.hpp"

#define ANYSSR_INSTANTIATE_FACTORISATIONS(EXPLICIT, S)                                         \
  EXPLICIT bool anyssr::factor_shifted(anyssr::Matrix<S>&, S, anyssr::Vector<S>&, int);        \
  EXPLICIT void anyssr::solve_forward(const anyssr::Matrix<S>&, const anyssr::Vector<S>&,      \
                                      anyssr::Matrix<S>&, int);                                \
  EXPLICIT void anyssr::solve_backward(const anyssr::Matrix<S>&, const anyssr::Vector<S>&,     \
                                       anyssr::Matrix<S>&, int);                               \
  EXPLICIT double anyssr::trace_of_inverse(const anyssr::Matrix<S>&, const anyssr::Vector<S>&, \
                                           int);                                               \
  EXPLICIT void anyssr::update_factor<S>(                                                      \
      anyssr::Matrix<S>&, anyssr::Vector<S>&,                                                  \
      Eigen::Ref<anyssr::RowMajorMatrix<S>, 0, Eigen::OuterStride<>>, int);                    \
  EXPLICIT bool anyssr::detail::factor_lower(anyssr::detail::MatrixMap<S>);                    \
  EXPLICIT void anyssr::detail::solve_by_lower(const anyssr::Matrix<S>&, anyssr::Matrix<S>&);  \
  EXPLICIT void anyssr::multiply_symmetric(const anyssr::Matrix<S>&, const anyssr::Matrix<S>&, \
                                           anyssr::Matrix<S>&, int);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_FACTORISATIONS(extern template, float)
ANYSSR_INSTANTIATE_FACTORISATIONS(extern template, double)
#endif
