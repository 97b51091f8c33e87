// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// How rows enter and leave the covariance form: steps of 256 rows, each of which may fail before
/// its first change and not after.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/lower_cholesky.hpp"
#include "anyssr/rls/covariance_form.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
void RecursiveLeastSquares<S, Covariance>::reserve_targets(Index count) {
  const Index before = targets();
  if (count <= before) return;
  Eigen::VectorXd energy = Eigen::VectorXd::Zero(count);
  energy.head(before) = target_energy_;
  if (sums_) sums_->reserve_targets(count);
  weights_.conservativeResize(Eigen::NoChange, count);
  weights_.rightCols(count - before).setZero();
  target_energy_.swap(energy);
}

template <RealScalar S>
template <class X, class Y>
std::uint64_t RecursiveLeastSquares<S, Covariance>::add_rows(const X& x, const Y& y, double norm,
                                                             const BatchOptions& options) {
  const detail::Batch<S> batch(x, y, norm, options, dim());
  batch.expect_no_overflow(trace_bound_, target_energy_.sum());
  const std::uint64_t digest = batch.digest(x, y, digest_keys_);
  const auto add_to_sums = [&](RecursiveLeastSquares& target) {
    if (target.sums_) target.sums_->add_rows(x, y, norm, options);
  };
  change(x, y, batch, Sign::add, add_to_sums);
  return digest;
}

template <RealScalar S>
template <class X, class Y>
void RecursiveLeastSquares<S, Covariance>::take_rows_out(const X& x, const Y& y, double norm,
                                                         const BatchOptions& options,
                                                         std::optional<std::uint64_t> digest) {
  const detail::Batch<S> batch(x, y, norm, options, dim());
  batch.expect_removable(x, y, rows_, targets(), digest, digest_keys_);
  const auto take_from_sums = [&](RecursiveLeastSquares& target) {
    if (target.sums_) target.sums_->take_rows_out(x, y, norm, options, {});
  };
  change(x, y, batch, Sign::subtract, take_from_sums);
}

/// Adds or takes out a checked batch, all of it or nothing.
/// @param change_sums  does the same to the sums, if they are kept. Adding cannot fail after the
///                     checks; taking out can, and so works on a copy.
template <RealScalar S>
template <class X, class Y, class ChangeSums>
void RecursiveLeastSquares<S, Covariance>::change(const X& x, const Y& y,
                                                  const detail::Batch<S>& batch, Sign sign,
                                                  const ChangeSums& change_sums) {
  const detail::SerialEigen serial;
  if (x.rows() <= batch_rows && (sign == Sign::add || !sums_)) {
    change_in_place(x, y, batch, sign);
    change_sums(*this);
  } else {
    RecursiveLeastSquares next = *this;
    next.change_in_place(x, y, batch, sign);
    change_sums(next);
    *this = std::move(next);
  }
}

template <RealScalar S>
template <class X, class Y>
void RecursiveLeastSquares<S, Covariance>::change_in_place(const X& x, const Y& y,
                                                           const detail::Batch<S>& batch,
                                                           Sign sign) {
  const Index cols = std::max(targets(), batch.columns_needed(y.cols()));
  for (Index begin = 0; begin < x.rows(); begin += batch_rows) {
    const Index count = std::min(batch_rows, x.rows() - begin);
    Matrix<S> h = x.middleRows(begin, count).transpose();
    Matrix<S> targets = Matrix<S>::Zero(count, cols);
    for (Index i = 0; i < count; ++i) {
      const S root = static_cast<S>(std::sqrt(batch.weight(begin + i)));
      if (batch.weighted()) h.col(i) *= root;
      detail::for_each_target(
          y, begin + i, [&](Index j, S value) { targets(i, batch.column(j)) = root * value; });
    }
    step(h, targets, sign);
    probe_.add(h, targets, sign);
    target_energy_ += static_cast<double>(sign) *
                      targets.template cast<double>().colwise().squaredNorm().transpose();
  }
  target_energy_ = target_energy_.cwiseMax(0);
  trace_bound_ += sign == Sign::add ? batch.feature_energy() : 0;
  rows_ += static_cast<Index>(sign) * x.rows();
  if (rows_ == 0) start_over();
}

/// One step of the recursion. Everything that may fail comes before the first change.
/// @param h        H^T, d x n
/// @param targets  n x T, T at least as it is now
template <RealScalar S>
void RecursiveLeastSquares<S, Covariance>::step(const Matrix<S>& h, const Matrix<S>& targets,
                                                Sign sign) {
  const Index n = h.cols();
  Matrix<S> k = inverse_gram_.times(h);  // P^T, then K^T
  Matrix<S> m = Matrix<S>::Identity(n, n);
  detail::add_triangle_of_product<Eigen::Lower>(m, h.transpose(), k, sign);
  if (!detail::factor_lower(m)) raise_indefinite(sign);
  solve_rows(m, k);
  Matrix<S> innovation = targets;
  detail::subtract_product(innovation.leftCols(this->targets()), h.transpose(), weights_);
  detail::solve_triangle<Eigen::Lower>(m, innovation);
  reserve_targets(targets.cols());
  inverse_gram_.make_room(n);
  detail::add_signed_product(weights_, k, innovation, sign);
  inverse_gram_.subtract(k, sign);
}

template <RealScalar S>
void RecursiveLeastSquares<S, Covariance>::raise_indefinite(Sign sign) {
  if (sign == Sign::subtract) {
    detail::raise<ArgumentError>(
        "the rows to remove were never learned: without them the Gram matrix would not be "
        "positive definite; nothing was removed");
  }
  detail::raise<NumericalError>(
      "the inverse Gram matrix has lost its definiteness to round-off in ",
      sizeof(S) == 4 ? "float" : "double",
      "; nothing was learned: rebuild() from the sums, raise the ridge, or use the information "
      "form");
}

/// K^T = P^T L^-T, shared out by rows.
template <RealScalar S>
void RecursiveLeastSquares<S, Covariance>::solve_rows(const Matrix<S>& m, Matrix<S>& k) const {
  constexpr Index chunk = 256;
  const double flops = static_cast<double>(m.size()) * static_cast<double>(k.rows());
  parallel_for(detail::team_for(flops, options_.threads), (k.rows() + chunk - 1) / chunk,
               [&](Index c) {
                 auto part = k.middleRows(c * chunk, std::min(chunk, k.rows() - c * chunk));
                 m.template triangularView<Eigen::Lower>()
                     .transpose()
                     .template solveInPlace<Eigen::OnTheRight>(part);
               });
}

/// R and W before the first row.
template <RealScalar S>
void RecursiveLeastSquares<S, Covariance>::start_over() {
  inverse_gram_.start_over(options_.ridge);
  weights_.setZero();
  target_energy_.setZero();
  trace_bound_ = 0;
  probe_ = detail::CovarianceProbe<S>(dim(), options_.ridge);
}

}  // namespace anyssr::inline ANYSSR_ABI
