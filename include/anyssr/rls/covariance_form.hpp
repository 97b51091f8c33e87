// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Recursive least squares for streams: it keeps R = (S + lambda I)^-1 and W, so the weights are
/// current after every batch. With the rows of a batch H (n x d) and their targets Y (n x T):
///
///   P = H R      M = I + P H^T = L L^T      K = L^-1 P
///   R <- R - K^T K                          W <- W + K^T L^-1 (Y - H W)
///
/// R is symmetric by construction and small batches wait in it (inverse_gram.hpp); M is factored,
/// never pseudo-inverted. How rows come and go is in covariance_form_rows.hpp.
///
/// How far R and W have drifted is measured by probes that run along (covariance_probe.hpp).
/// Source: Any-SSR, arXiv 2503.13575 and ACIL, arXiv 2205.14922 evaluate the same update in another
/// order; the block form is the matrix inversion lemma.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/rls/covariance_probe.hpp"
#include "anyssr/rls/information_form.hpp"
#include "anyssr/rls/inverse_gram.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Ridge regression with current weights. An ordinary value; const calls cache, so one thread owns
/// it. The ridge is inside R: it must be absolute, and to change it, to merge or to rebuild, the
/// form must have kept the sums (RlsOptions::keep_sums).
template <RealScalar S>
class RecursiveLeastSquares<S, Covariance> {
 public:
  using Scalar = S;
  using Sums = RecursiveLeastSquares<S, Information>;

  /// @param dim  d, width of a row, at least 1
  /// @throws ArgumentError  for a dimension or option out of range, or a relative ridge
  RecursiveLeastSquares(Index dim, const RlsOptions& options);

  [[nodiscard]] Index dim() const noexcept { return inverse_gram_.dim(); }
  [[nodiscard]] Index targets() const noexcept { return weights_.cols(); }
  [[nodiscard]] Index rows() const noexcept { return rows_; }
  [[nodiscard]] const RlsOptions& options() const noexcept { return options_; }
  [[nodiscard]] double ridge() const noexcept { return options_.ridge; }

  /// Adds zero columns on the right until there are `count`.
  void reserve_targets(Index count);

  /// Learns a batch; arguments, result and errors as in the information form.
  /// @throws NumericalError  where R has lost its definiteness to round-off (status() is broken);
  ///         the state is as it was: rebuild it, or use the information form
  /// Cost: about 2 d^2 flops for a single row, 3 n d^2 for a large batch. A batch of more than 256
  /// rows works on a copy, so that a failure half-way changes nothing.
  template <FeatureMatrix<S> X, FeatureMatrix<S> Y>
  std::uint64_t update(const X& x, const Y& y, const BatchOptions& options = {}) {
    return detail::visit_rows(x, y, [&](const auto& features, const auto& targets, double norm) {
      return add_rows(features, targets, norm, options);
    });
  }

  /// Takes rows out again; arguments and errors as in the information form. Without the sums it
  /// refuses what R proves impossible: rows that would leave no positive definite Gram.
  template <FeatureMatrix<S> X, FeatureMatrix<S> Y>
  void downdate(const X& x, const Y& y, const BatchOptions& options = {},
                std::optional<std::uint64_t> digest = {}) {
    detail::visit_rows(x, y, [&](const auto& features, const auto& targets, double norm) {
      take_rows_out(features, targets, norm, options, digest);
    });
  }

  /// W, d x T, of everything seen so far.
  [[nodiscard]] const Matrix<S>& weights() const noexcept { return weights_; }

  /// X W, n x T.
  template <FeatureMatrix<S> X>
  [[nodiscard]] Matrix<S> predict(const X& x) const {
    return products_with_weights(detail::as_map(x));
  }

  /// h_i R h_i^T, one number a row.  Cost: 2 n d^2 flops, in chunks of 256 rows.
  template <FeatureMatrix<S> X>
  [[nodiscard]] Vector<S> leverage(const X& x) const {
    return leverages(detail::as_map(x));
  }

  /// R, full and symmetric (a copy).
  [[nodiscard]] Matrix<S> inverse_gram() const { return inverse_gram_.full(); }

  /// Upper estimate of cond(S + lambda I): (lambda + tr S) times the largest eigenvalue of R, that
  /// by power iteration.  Cost: 20 products of R with a vector.
  [[nodiscard]] double condition() const;

  /// Relative error of R and W as the probes see it: never much below that of W, up to 200 times
  /// above it where S + lambda I is badly conditioned.  Cost: 4 d^2 flops.
  [[nodiscard]] double measured_error() const;

  /// Whether the state can be trusted.  Cost: 4 d^2 flops.
  [[nodiscard]] RlsStatus status() const;

  /// Makes R and W anew from the sums: what the information form computes.
  /// @throws ArgumentError   the sums were not kept
  /// @throws NumericalError  where S + lambda I is not positive definite in this scalar; the state
  ///         is then as it was
  /// Cost: about 5/3 d^3 flops.
  void rebuild();

  /// Another ridge, as if it had been used from the start. Needs the sums; errors as in rebuild.
  void set_ridge(double ridge);

  /// Adds the rows of another regression of the same ridge. Needs both sums; errors as in rebuild.
  void merge(const RecursiveLeastSquares& other);

  /// Generalised cross-validation from the sums, as in the information form.
  [[nodiscard]] RidgeSelection select_ridge(std::span<const double> ridges) const {
    return kept_sums("select_ridge").select_ridge(ridges);
  }
  [[nodiscard]] RidgeSelection select_ridge() const {
    return kept_sums("select_ridge").select_ridge();
  }

  /// The sums, where they are kept.
  /// @throws ArgumentError  where they are not
  [[nodiscard]] const Sums& sums() const { return kept_sums("sums"); }
  [[nodiscard]] const Eigen::VectorXd& target_energy() const noexcept { return target_energy_; }

  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  static constexpr Index batch_rows = 256;  // rows that one step takes

  [[nodiscard]] static RlsOptions checked(Index dim, RlsOptions options);
  [[nodiscard]] const Sums& kept_sums(std::string_view what) const;
  [[nodiscard]] Sums& kept_sums(std::string_view what) {
    return const_cast<Sums&>(std::as_const(*this).kept_sums(what));
  }

  // Features and targets as visit_rows gives them.
  template <class X, class Y>
  std::uint64_t add_rows(const X& x, const Y& y, double norm, const BatchOptions& options);
  template <class X, class Y>
  void take_rows_out(const X& x, const Y& y, double norm, const BatchOptions& options,
                     std::optional<std::uint64_t> digest);
  template <class X, class Y, class ChangeSums>
  void change(const X& x, const Y& y, const detail::Batch<S>& batch, Sign sign,
              const ChangeSums& change_sums);
  template <class X, class Y>
  void change_in_place(const X& x, const Y& y, const detail::Batch<S>& batch, Sign sign);
  template <class X>
  [[nodiscard]] Matrix<S> products_with_weights(const X& x) const;
  template <class X>
  [[nodiscard]] Vector<S> leverages(const X& x) const;

  void start_over();
  void step(const Matrix<S>& h, const Matrix<S>& targets, Sign sign);
  void solve_rows(const Matrix<S>& m, Matrix<S>& k) const;
  [[noreturn]] static void raise_indefinite(Sign sign);
  [[nodiscard]] double inverse_gram_error() const;
  [[nodiscard]] double weights_error() const;

  RlsOptions options_;
  detail::InverseGram<S> inverse_gram_;
  Matrix<S> weights_;              // d x T
  Eigen::VectorXd target_energy_;  // T
  detail::CovarianceProbe<S> probe_;
  std::optional<Sums> sums_;  // where keep_sums
  std::vector<std::uint64_t> digest_keys_;
  double trace_bound_ = 0;
  Index rows_ = 0;
};

template <RealScalar S>
RlsOptions RecursiveLeastSquares<S, Covariance>::checked(Index dim, RlsOptions options) {
  detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
  detail::expect_positive("ridge", options.ridge);
  detail::expect(options.ridge_scale == RidgeScale::absolute,
                 "ridge_scale is relative, expected absolute: the covariance form fixes lambda "
                 "before the first row comes");
  detail::expect(detail::is_finite(static_cast<S>(1 / options.ridge)), "ridge is ", options.ridge,
                 ", expected one whose inverse is finite in this scalar");
  options.threads = resolve_threads(options.threads);
  return options;
}

template <RealScalar S>
RecursiveLeastSquares<S, Covariance>::RecursiveLeastSquares(Index dim, const RlsOptions& options)
    : options_(checked(dim, options)),
      inverse_gram_(dim, options.ridge, options_.threads),
      weights_(dim, 0),
      probe_(dim, options.ridge),
      digest_keys_(detail::RowDigest<S>::digest_keys(dim)) {
  if (options.keep_sums) sums_.emplace(dim, options_);
}

template <RealScalar S>
const typename RecursiveLeastSquares<S, Covariance>::Sums&
RecursiveLeastSquares<S, Covariance>::kept_sums(std::string_view what) const {
  detail::expect(sums_.has_value(), what, " needs the sums S and C, which this covariance form ",
                 "does not hold: build it with keep_sums, or use the information form");
  return *sums_;
}

template <RealScalar S>
template <class X>
Matrix<S> RecursiveLeastSquares<S, Covariance>::products_with_weights(const X& x) const {
  detail::expect_cols("features", x, dim());
  const detail::SerialEigen serial;
  return detail::product_of<Matrix<S>>(x, weights_);
}

template <RealScalar S>
template <class X>
Vector<S> RecursiveLeastSquares<S, Covariance>::leverages(const X& x) const {
  detail::expect_cols("features", x, dim());
  const detail::SerialEigen serial;
  Vector<S> result(x.rows());
  for (Index begin = 0; begin < x.rows(); begin += batch_rows) {
    const Index count = std::min(batch_rows, x.rows() - begin);
    const Matrix<S> h = x.middleRows(begin, count).transpose();
    result.segment(begin, count) =
        h.cwiseProduct(inverse_gram_.times(h)).colwise().sum().transpose();
  }
  return result;
}

template <RealScalar S>
double RecursiveLeastSquares<S, Covariance>::condition() const {
  return (options_.ridge + trace_bound_) * inverse_gram_.largest_eigenvalue();
}

template <RealScalar S>
double RecursiveLeastSquares<S, Covariance>::inverse_gram_error() const {
  return probe_.inverse_error(
      [this](const Eigen::VectorXd& z) { return inverse_gram_.times_in_double(z); });
}

template <RealScalar S>
double RecursiveLeastSquares<S, Covariance>::weights_error() const {
  return probe_.weights_error(
      [this](const Eigen::VectorXd& z) { return inverse_gram_.times_in_double(z); }, weights_);
}

template <RealScalar S>
double RecursiveLeastSquares<S, Covariance>::measured_error() const {
  return std::max(inverse_gram_error(), weights_error());
}

template <RealScalar S>
RlsStatus RecursiveLeastSquares<S, Covariance>::status() const {
  const Vector<S> diagonal = inverse_gram_.diagonal();
  const double most = (1 + 1e-3) / options_.ridge;
  const bool holds = detail::is_finite(diagonal) && detail::is_finite(weights_) &&
                     diagonal.minCoeff() > S(0) && static_cast<double>(diagonal.maxCoeff()) <= most;
  const double error = weights_error();
  if (!holds || !detail::is_finite(error) || error >= 0.5) return RlsStatus::broken;
  return std::max(error, inverse_gram_error()) < 1e-2 ? RlsStatus::accurate : RlsStatus::doubtful;
}

template <RealScalar S>
void RecursiveLeastSquares<S, Covariance>::rebuild() {
  const Sums& sums = kept_sums("rebuild");
  Matrix<S> weights = sums.weights();
  inverse_gram_.rewrite([&](Matrix<S>& lower) { sums.write_inverse_gram(lower); });
  weights_.swap(weights);
}

template <RealScalar S>
void RecursiveLeastSquares<S, Covariance>::set_ridge(double ridge) {
  Sums& sums = kept_sums("set_ridge");
  const double before = options_.ridge;
  sums.set_ridge(ridge);
  try {
    rebuild();
  } catch (...) {
    sums.set_ridge(before);
    throw;
  }
  options_.ridge = ridge;
  probe_.add_ridge(ridge - before);
}

template <RealScalar S>
void RecursiveLeastSquares<S, Covariance>::merge(const RecursiveLeastSquares& other) {
  Sums merged = kept_sums("merge");
  merged.merge(other.kept_sums("merge"));
  RecursiveLeastSquares next(dim(), options_);
  next.sums_ = std::move(merged);
  next.rows_ = rows_ + other.rows_;
  next.trace_bound_ = trace_bound_ + other.trace_bound_;
  next.target_energy_ = next.sums_->target_energy();
  next.probe_ = probe_;
  next.probe_.merge(other.probe_, other.options_.ridge);
  next.rebuild();
  *this = std::move(next);
}

template <RealScalar S>
std::size_t RecursiveLeastSquares<S, Covariance>::bytes() const noexcept {
  return inverse_gram_.bytes() + static_cast<std::size_t>(weights_.size()) * sizeof(S) +
         (sums_ ? sums_->bytes() : 0) +
         static_cast<std::size_t>(target_energy_.size()) * sizeof(double) + probe_.bytes() +
         digest_keys_.size() * sizeof(std::uint64_t);
}

}  // namespace anyssr::inline ANYSSR_ABI

#include "anyssr/rls/covariance_form_rows.hpp"
