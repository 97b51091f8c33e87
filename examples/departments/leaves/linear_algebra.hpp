// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Products, and the factorisation behind the router in float, compiled in linear_algebra.cpp:
/// templates that take long to compile have files of their own here, so that several compilers
/// share the work.

#include <anyssr/instantiate/factorisations.hpp>
#include <anyssr/instantiate/products.hpp>
#include <anyssr/linalg/factor_update.hpp>

ANYSSR_INSTANTIATE_PRODUCTS(extern template, float)
ANYSSR_INSTANTIATE_PRODUCTS(extern template, double)
ANYSSR_INSTANTIATE_FACTORISATIONS(extern template, float)

extern template void anyssr::update_factor<float>(
    anyssr::Matrix<float>&, anyssr::Vector<float>&,
    Eigen::Ref<anyssr::RowMajorMatrix<float>, 0, Eigen::OuterStride<>>, int);
