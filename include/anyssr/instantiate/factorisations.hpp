// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Cholesky factorisation in place and the solves by it.

#include "anyssr/linalg/cholesky.hpp"

#define ANYSSR_INSTANTIATE_FACTORISATIONS(EXPLICIT, S)                                         \
  EXPLICIT bool anyssr::factor_shifted(anyssr::Matrix<S>&, S, anyssr::Vector<S>&, int);        \
  EXPLICIT void anyssr::solve_forward(const anyssr::Matrix<S>&, const anyssr::Vector<S>&,      \
                                      anyssr::Matrix<S>&, int);                                \
  EXPLICIT void anyssr::solve_backward(const anyssr::Matrix<S>&, const anyssr::Vector<S>&,     \
                                       anyssr::Matrix<S>&, int);                               \
  EXPLICIT anyssr::Vector<double> anyssr::inverse_diagonal(const anyssr::Matrix<S>&,           \
                                                           const anyssr::Vector<S>&, int);     \
  EXPLICIT double anyssr::trace_of_inverse(const anyssr::Matrix<S>&, const anyssr::Vector<S>&, \
                                           int);                                               \
  EXPLICIT bool anyssr::detail::factor_lower(anyssr::detail::MatrixMap<S>);

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_FACTORISATIONS(extern template, float)
ANYSSR_INSTANTIATE_FACTORISATIONS(extern template, double)
#endif
