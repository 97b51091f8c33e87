// SPDX-License-Identifier: MIT
#include "departments/leaves/linear_algebra.hpp"

#define ANYSSR_INSTANTIATION template
#define ANYSSR_SCALAR float
#include <anyssr/instantiate/products.hpp>
#define ANYSSR_INSTANTIATION template
#define ANYSSR_SCALAR double
#include <anyssr/instantiate/products.hpp>

template bool anyssr::factor_shifted(anyssr::Matrix<float>&, float, anyssr::Vector<float>&, int);
template void anyssr::solve_forward(const anyssr::Matrix<float>&, const anyssr::Vector<float>&,
                                    anyssr::Matrix<float>&, int);
template void anyssr::solve_backward(const anyssr::Matrix<float>&, const anyssr::Vector<float>&,
                                     anyssr::Matrix<float>&, int);
template void anyssr::update_factor<float>(
    anyssr::Matrix<float>&, anyssr::Vector<float>&,
    Eigen::Ref<anyssr::RowMajorMatrix<float>, 0, Eigen::OuterStride<>>, int);
