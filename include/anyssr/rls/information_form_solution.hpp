// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// What the information form computes from its sums: the factor of S + lambda I, weights, leverages,
/// the inverse, and which ridge fits.

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/cholesky.hpp"
#include "anyssr/linalg/factor_update.hpp"
#include "anyssr/rls/information_form.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
RecursiveLeastSquares<S, Information>::RecursiveLeastSquares(Index dim, const RlsOptions& options)
    : options_(checked(dim, options)), sums_(dim, options_.threads) {}

template <RealScalar S>
RecursiveLeastSquares<S, Information>::RecursiveLeastSquares(const RlsOptions& options,
                                                             RegressionState<S> state)
    : options_(checked(state.second_moment.rows(), options)),
      sums_(possible(std::move(state)), options_.threads) {}

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::expect_ridge(double ridge) {
  detail::expect_positive("ridge", ridge);
  const auto most = static_cast<double>(std::numeric_limits<S>::max());
  detail::expect(ridge <= most, "ridge is ", ridge, ", expected at most ", most,
                 ", which the scalar can hold");
}

template <RealScalar S>
RlsOptions RecursiveLeastSquares<S, Information>::checked(Index dim, RlsOptions options) {
  detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
  expect_ridge(options.ridge);
  options.threads = resolve_threads(options.threads);
  return options;
}

template <RealScalar S>
RegressionState<S> RecursiveLeastSquares<S, Information>::possible(RegressionState<S> state) {
  detail::expect_possible_state(state);
  return state;
}

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::set_ridge(double ridge, RidgeScale scale) {
  expect_ridge(ridge);
  if (ridge == options_.ridge && scale == options_.ridge_scale) return;
  options_.ridge = ridge;
  options_.ridge_scale = scale;
  factor_current_ = false;
  weights_current_ = false;
}

template <RealScalar S>
double RecursiveLeastSquares<S, Information>::lambda_of(double ridge) const {
  if (options_.ridge_scale == RidgeScale::absolute) return ridge;
  sums_.flush();
  const double trace = sums_.trace();
  return trace <= 0 ? ridge : ridge * trace / static_cast<double>(dim());
}

template <RealScalar S>
const Matrix<S>& RecursiveLeastSquares<S, Information>::weights() const {
  if (!weights_current_) {
    factor();
    if (weights_.cols() != targets()) {
      weights_ = Matrix<S>(dim(), targets());  // Eigen's resize that fails leaves a freed pointer
    }
    weights_ = sums_.cross_correlation();
    solve_forward(sums_.square(), factor_diagonal_, weights_, options_.threads);
    solve_backward(sums_.square(), factor_diagonal_, weights_, options_.threads);
    weights_current_ = true;
  }
  return weights_;
}

template <RealScalar S>
template <class X>
Matrix<S> RecursiveLeastSquares<S, Information>::products_with_weights(const X& x) const {
  detail::expect_cols("features", x, dim());
  const detail::SerialEigen serial;
  return detail::product_of<Matrix<S>>(x, weights());
}

template <RealScalar S>
template <class X>
Vector<S> RecursiveLeastSquares<S, Information>::leverages(const X& x) const {
  detail::expect_cols("features", x, dim());
  factor();
  constexpr Index chunk = 512;
  Vector<S> result(x.rows());
  for (Index begin = 0; begin < x.rows(); begin += chunk) {
    const Index count = std::min(chunk, x.rows() - begin);
    Matrix<S> z = x.middleRows(begin, count).transpose();
    solve_forward(sums_.square(), factor_diagonal_, z, options_.threads);
    result.segment(begin, count) = z.colwise().squaredNorm().transpose();
  }
  return result;
}

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::factor() const {
  if (has_factor() && sums_.buffered() == 0) return;
  const Index fresh = sums_.buffered();
  // Each update adds round-off of its own to the factor: a new one is due after d / 2 rows, and
  // after 64 updates, since single rows add the most.
  if (has_factor() && options_.ridge_scale == RidgeScale::absolute && 10 * fresh <= dim() &&
      2 * (rows_since_factor_ + fresh) <= dim() && updates_since_factor_ < 64) {
    sums_.flush_through([this](auto rows) {
      update_factor<S>(sums_.square(), factor_diagonal_, rows, options_.threads);
    });
    rows_since_factor_ += fresh;
    ++updates_since_factor_;
  } else {
    sums_.flush();
    factor_current_ =
        factor_shifted(sums_.square(), static_cast<S>(ridge()), factor_diagonal_, options_.threads);
    if (!factor_current_) raise_indefinite();
    rows_since_factor_ = 0;
    updates_since_factor_ = 0;
  }
  factor_version_ = sums_.version();
}

/// Whether U is of S, the buffer aside.
template <RealScalar S>
bool RecursiveLeastSquares<S, Information>::has_factor() const noexcept {
  return factor_current_ && factor_version_ == sums_.version();
}

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::raise_indefinite() const {
  detail::raise<NumericalError>("the Gram matrix is not positive definite at ridge ", ridge(),
                                " in ", sizeof(S) == 4 ? "float" : "double", ": raise the ridge",
                                sizeof(S) == 4 ? " or use double" : "");
}

template <RealScalar S>
GramFactor<S> RecursiveLeastSquares<S, Information>::gram_factor() const {
  factor();
  return {.square = sums_.square(), .diagonal = factor_diagonal_, .threads = options_.threads};
}

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::write_inverse_gram(Matrix<S>& inverse) const {
  factor();
  constexpr Index chunk = 256;
  for (Index begin = 0; begin < dim(); begin += chunk) {
    Matrix<S> z = Matrix<S>::Zero(dim(), std::min(chunk, dim() - begin));
    z.middleRows(begin, z.cols()).setIdentity();
    solve_forward(sums_.square(), factor_diagonal_, z, options_.threads);
    solve_backward(sums_.square(), factor_diagonal_, z, options_.threads);
    for (Index j = 0; j < z.cols(); ++j) {
      inverse.col(begin + j).tail(dim() - begin - j) = z.col(j).tail(dim() - begin - j);
    }
  }
}

template <RealScalar S>
double RecursiveLeastSquares<S, Information>::smallest_pivot() const {
  factor();
  return detail::smallest_pivot<S>(sums_.square().diagonal(), ridge(), factor_diagonal_);
}

template <RealScalar S>
void RecursiveLeastSquares<S, Information>::expect_rows_to_select_by() const {
  detail::expect(rows() > 0, "no rows are learned yet, expected some to select a ridge by");
  sums_.flush();
}

template <RealScalar S>
detail::JudgedRidge RecursiveLeastSquares<S, Information>::cross_validate(double ridge) const {
  factor_current_ = false;  // its place serves the candidates
  return detail::cross_validate(sums_, ridge, lambda_of(ridge), factor_diagonal_, options_.threads);
}

template <RealScalar S>
RidgeSelection RecursiveLeastSquares<S, Information>::select_ridge(
    std::span<const double> ridges) const {
  detail::expect(!ridges.empty(), "ridges are empty, expected at least one candidate");
  for (const double ridge : ridges) detail::expect_positive("ridge", ridge);
  expect_rows_to_select_by();
  RidgeSelection selection;
  for (const double ridge : ridges) {
    selection.candidates.push_back(cross_validate(ridge).candidate);
  }
  detail::expect<NumericalError>(detail::choose_ridge(selection),
                                 "no candidate ridge can be judged: all of them leave fewer than "
                                 "2 % of ",
                                 rows(),
                                 " rows as degrees of freedom, or drown in round-off; add larger "
                                 "ones");
  return selection;
}

template <RealScalar S>
RidgeSelection RecursiveLeastSquares<S, Information>::select_ridge() const {
  expect_rows_to_select_by();
  const auto scale = options_.ridge_scale;
  return detail::search_ridge(detail::ridge_decades<S>(sums_.square().diagonal(), scale),
                              [this](double ridge) { return cross_validate(ridge); });
}

template <RealScalar S>
Matrix<S> RecursiveLeastSquares<S, Information>::second_moment() const {
  sums_.flush();
  return sums_.square().template selfadjointView<Eigen::Lower>();
}

template <RealScalar S>
const Matrix<S>& RecursiveLeastSquares<S, Information>::lower_second_moment() const {
  sums_.flush();
  return sums_.square();
}

template <RealScalar S>
const Matrix<S>& RecursiveLeastSquares<S, Information>::cross_correlation() const {
  sums_.flush();
  return sums_.cross_correlation();
}

template <RealScalar S>
std::size_t RecursiveLeastSquares<S, Information>::bytes() const noexcept {
  return sums_.bytes() +
         static_cast<std::size_t>(factor_diagonal_.size() + weights_.size()) * sizeof(S);
}

}  // namespace anyssr::inline ANYSSR_ABI
