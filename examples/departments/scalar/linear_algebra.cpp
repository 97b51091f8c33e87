// SPDX-License-Identifier: MIT
#include "departments/scalar/linear_algebra.hpp"

template bool anyssr::factor_shifted(departments::Square&, departments::Scalar,
                                     departments::Column&, int);
template void anyssr::solve_forward(const departments::Square&, const departments::Column&,
                                    departments::Square&, int);
template void anyssr::solve_backward(const departments::Square&, const departments::Column&,
                                     departments::Square&, int);
template void anyssr::update_factor<departments::Scalar>(departments::Square&, departments::Column&,
                                                         departments::RowsView, int);
