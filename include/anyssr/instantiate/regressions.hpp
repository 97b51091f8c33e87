// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Ridge regression by recursive least squares, both forms.

#include "anyssr/rls/recursive_least_squares.hpp"

#define ANYSSR_INSTANTIATE_REGRESSIONS(EXPLICIT, S)                                            \
  EXPLICIT class anyssr::RecursiveLeastSquares<S, anyssr::Information>;                        \
  EXPLICIT class anyssr::RecursiveLeastSquares<S, anyssr::Covariance>;                         \
  EXPLICIT class anyssr::detail::RegressionSums<S>;                                            \
  EXPLICIT std::uint64_t anyssr::RecursiveLeastSquares<S, anyssr::Information>::add_rows(      \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&,                               \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, double,                       \
      const anyssr::BatchOptions&);                                                            \
  EXPLICIT void anyssr::RecursiveLeastSquares<S, anyssr::Information>::take_rows_out(          \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&,                               \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&, double,                       \
      const anyssr::BatchOptions&, std::optional<std::uint64_t>);                              \
  EXPLICIT std::uint64_t anyssr::RecursiveLeastSquares<S, anyssr::Information>::add_rows(      \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&,                               \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, double,                       \
      const anyssr::BatchOptions&);                                                            \
  EXPLICIT void anyssr::RecursiveLeastSquares<S, anyssr::Information>::take_rows_out(          \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&,                               \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, double,                       \
      const anyssr::BatchOptions&, std::optional<std::uint64_t>);                              \
  EXPLICIT std::uint64_t anyssr::RecursiveLeastSquares<S, anyssr::Information>::add_rows(      \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, const anyssr::SparseRows<S>&, \
      double, const anyssr::BatchOptions&);                                                    \
  EXPLICIT void anyssr::RecursiveLeastSquares<S, anyssr::Information>::take_rows_out(          \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&, const anyssr::SparseRows<S>&, \
      double, const anyssr::BatchOptions&, std::optional<std::uint64_t>);                      \
  EXPLICIT std::uint64_t anyssr::RecursiveLeastSquares<S, anyssr::Information>::add_rows(      \
      const anyssr::SparseRows<S>&, const anyssr::SparseRows<S>&, double,                      \
      const anyssr::BatchOptions&);                                                            \
  EXPLICIT void anyssr::RecursiveLeastSquares<S, anyssr::Information>::take_rows_out(          \
      const anyssr::SparseRows<S>&, const anyssr::SparseRows<S>&, double,                      \
      const anyssr::BatchOptions&, std::optional<std::uint64_t>);                              \
  EXPLICIT anyssr::Matrix<S>                                                                   \
  anyssr::RecursiveLeastSquares<S, anyssr::Information>::products_with_weights(                \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&) const;                        \
  EXPLICIT anyssr::Vector<S> anyssr::RecursiveLeastSquares<S, anyssr::Information>::leverages( \
      const anyssr::detail::ConstMatrixMap<S, Eigen::ColMajor>&) const;                        \
  EXPLICIT anyssr::Matrix<S>                                                                   \
  anyssr::RecursiveLeastSquares<S, anyssr::Information>::products_with_weights(                \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&) const;                        \
  EXPLICIT anyssr::Vector<S> anyssr::RecursiveLeastSquares<S, anyssr::Information>::leverages( \
      const anyssr::detail::ConstMatrixMap<S, Eigen::RowMajor>&) const;                        \
  EXPLICIT anyssr::Matrix<S>                                                                   \
  anyssr::RecursiveLeastSquares<S, anyssr::Information>::products_with_weights(                \
      const anyssr::SparseRows<S>&) const;                                                     \
  EXPLICIT anyssr::Vector<S> anyssr::RecursiveLeastSquares<S, anyssr::Information>::leverages( \
      const anyssr::SparseRows<S>&) const;

#ifdef ANYSSR_COMPILED
ANYSSR_INSTANTIATE_REGRESSIONS(extern template, float)
ANYSSR_INSTANTIATE_REGRESSIONS(extern template, double)
#endif
