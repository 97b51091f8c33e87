// SPDX-License-Identifier: MIT
#include "departments/leaves/linear_algebra.hpp"

ANYSSR_INSTANTIATE_PRODUCTS(template, float)
ANYSSR_INSTANTIATE_PRODUCTS(template, double)
ANYSSR_INSTANTIATE_FACTORISATIONS(template, float)

template void anyssr::update_factor<float>(
    anyssr::Matrix<float>&, anyssr::Vector<float>&,
    Eigen::Ref<anyssr::RowMajorMatrix<float>, 0, Eigen::OuterStride<>>, int);
