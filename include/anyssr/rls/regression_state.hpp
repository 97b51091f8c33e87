// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What a regression has learned, as numbers: enough to go on elsewhere as if it had never stopped.
/// Source: ours.

#include <string_view>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// What overflow and round-off are judged by.
struct RegressionBounds {
  double trace = 0;           ///< at least tr(S)
  double largest_trace = 0;   ///< tr(S) before any removal of rows; 0 without one
  double largest_energy = 0;  ///< sum of squared targets, likewise
};

template <RealScalar S>
struct RegressionState {
  Matrix<S> second_moment;        ///< S, d x d: lower triangle with diagonal; the rest is not read
  Matrix<S> cross_correlation;    ///< C, d x T
  Eigen::VectorXd target_energy;  ///< sum of s_i y_i^2, one per column
  Index rows = 0;
  RegressionBounds bounds;
};

namespace detail {

/// Refuses numbers that no regression can have.
/// @throws ShapeError, NonFiniteError, ArgumentError
template <RealScalar S>
void expect_possible_state(const RegressionState<S>& state) {
  const Index d = state.second_moment.rows();
  expect<ShapeError>(d >= 1 && state.second_moment.cols() == d, "second_moment is ", d, " x ",
                     state.second_moment.cols(), ", expected square and not empty");
  expect_rows("cross_correlation", state.cross_correlation, d);
  expect<ShapeError>(state.target_energy.size() == state.cross_correlation.cols(),
                     "target_energy has ", state.target_energy.size(), " entries, expected ",
                     state.cross_correlation.cols(), ", one per column of cross_correlation");
  for (Index j = 0; j < d; ++j) {
    const auto column = state.second_moment.col(j).tail(d - j);
    if (!is_finite(column)) expect_finite("second_moment", column);
    expect(column(0) >= S(0), "second_moment has ", column(0), " on its diagonal at ", j,
           ", expected 0 or more");
  }
  expect_finite("cross_correlation", state.cross_correlation);
  expect_finite("target_energy", state.target_energy);
  for (Index j = 0; j < state.target_energy.size(); ++j) {
    expect(state.target_energy(j) >= 0, "target_energy has ", state.target_energy(j), " at ", j,
           ", expected 0 or more");
  }
  expect(state.rows >= 0, "rows are ", state.rows, ", expected 0 or more");
  const auto expect_bound = [](std::string_view name, double bound) {
    expect(is_finite(bound) && bound >= 0, name, " is ", bound,
           ", expected a finite number, 0 or more");
  };
  expect_bound("bounds.trace", state.bounds.trace);
  expect_bound("bounds.largest_trace", state.bounds.largest_trace);
  expect_bound("bounds.largest_energy", state.bounds.largest_energy);
}

}  // namespace detail
}  // namespace anyssr::inline ANYSSR_ABI
