// SPDX-License-Identifier: MIT
#pragma once

#include <anyssr/linalg/cholesky.hpp>
#include <anyssr/linalg/factor_update.hpp>

#include "departments/scalar/scalar.hpp"

namespace departments {

using Column = anyssr::Vector<Scalar>;
using Square = anyssr::Matrix<Scalar>;
using RowsView = Eigen::Ref<anyssr::RowMajorMatrix<Scalar>, 0, Eigen::OuterStride<>>;

}  // namespace departments

extern template bool anyssr::factor_shifted(departments::Square&, departments::Scalar,
                                            departments::Column&, int);
extern template void anyssr::solve_forward(const departments::Square&, const departments::Column&,
                                           departments::Square&, int);
extern template void anyssr::solve_backward(const departments::Square&, const departments::Column&,
                                            departments::Square&, int);
extern template void anyssr::update_factor<departments::Scalar>(departments::Square&,
                                                                departments::Column&,
                                                                departments::RowsView, int);
