// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Products, and the factorisation behind the router in float, compiled in linear_algebra.cpp:
/// templates that take long to compile have files of their own here, so that several compilers
/// share the work.

#include <anyssr/linalg/cholesky.hpp>
#include <anyssr/linalg/factor_update.hpp>

#define ANYSSR_INSTANTIATION extern template
#define ANYSSR_SCALAR float
#include <anyssr/instantiate/products.hpp>
#define ANYSSR_INSTANTIATION extern template
#define ANYSSR_SCALAR double
#include <anyssr/instantiate/products.hpp>

extern template bool anyssr::factor_shifted(anyssr::Matrix<float>&, float, anyssr::Vector<float>&,
                                            int);
extern template void anyssr::solve_forward(const anyssr::Matrix<float>&,
                                           const anyssr::Vector<float>&, anyssr::Matrix<float>&,
                                           int);
extern template void anyssr::solve_backward(const anyssr::Matrix<float>&,
                                            const anyssr::Vector<float>&, anyssr::Matrix<float>&,
                                            int);
extern template void anyssr::update_factor<float>(
    anyssr::Matrix<float>&, anyssr::Vector<float>&,
    Eigen::Ref<anyssr::RowMajorMatrix<float>, 0, Eigen::OuterStride<>>, int);
