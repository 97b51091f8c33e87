// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Recursive least squares for streams: it keeps R = (S + lambda I)^-1 and W, so the weights are
/// current after every batch. With the rows of a batch H (n x d) and their targets Y (n x T):
///
///   P = H R      M = I + P H^T = L L^T      K = L^-1 P
///   R <- R - K^T K                          W <- W + K^T L^-1 (Y - H W)
///
/// R is symmetric by construction (one triangle) and M is factored, never pseudo-inverted. The rows
/// K of small batches wait, R = R_0 - K^T K, and are folded into R_0 64 at a time: a single row so
/// reads R_0 once and writes nothing of order d^2.
///
/// How far R and W have drifted is measured by probes that run along (covariance_probe.hpp).
/// Source: Any-SSR, arXiv 2503.13575 and ACIL, arXiv 2205.14922 evaluate the same update in another
/// order; the block form is the matrix inversion lemma.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "anyssr/core/threads.hpp"
#include "anyssr/linalg/lower_cholesky.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/linalg/symmetric_product.hpp"
#include "anyssr/rls/covariance_probe.hpp"
#include "anyssr/rls/information_form.hpp"

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
  RecursiveLeastSquares(Index dim, const RlsOptions& options) : options_(options), probe_(0, 0) {
    detail::expect(dim >= 1, "dim is ", dim, ", expected at least 1");
    detail::expect_positive("ridge", options.ridge);
    detail::expect(options.ridge_scale == RidgeScale::absolute,
                   "ridge_scale is relative, expected absolute: the covariance form fixes lambda "
                   "before the first row comes");
    detail::expect(detail::is_finite(static_cast<S>(1 / options.ridge)), "ridge is ", options.ridge,
                   ", expected one whose inverse is finite in this scalar");
    options_.threads = resolve_threads(options.threads);
    inverse_gram_.resize(dim, dim);
    weights_.resize(dim, 0);
    start_over();
    digest_keys_ = detail::RowDigest<S>::digest_keys(dim);
    if (options.keep_sums) sums_.emplace(dim, options_);
  }

  [[nodiscard]] Index dim() const noexcept { return inverse_gram_.rows(); }
  [[nodiscard]] Index targets() const noexcept { return weights_.cols(); }
  [[nodiscard]] Index rows() const noexcept { return rows_; }
  [[nodiscard]] const RlsOptions& options() const noexcept { return options_; }
  [[nodiscard]] double ridge() const noexcept { return options_.ridge; }

  /// Adds zero columns on the right until there are `count`.
  void reserve_targets(Index count) {
    const Index before = targets();
    if (count <= before) return;
    Eigen::VectorXd energy = Eigen::VectorXd::Zero(count);
    energy.head(before) = target_energy_;
    if (sums_) sums_->reserve_targets(count);
    weights_.conservativeResize(Eigen::NoChange, count);
    weights_.rightCols(count - before).setZero();
    target_energy_.swap(energy);
  }

  /// Learns a batch; arguments, result and errors as in the information form.
  /// @throws NumericalError  where R has lost its definiteness to round-off (status() is broken);
  ///         the state is as it was: rebuild it, or use the information form
  /// Cost: about 2 d^2 flops for a single row, 3 n d^2 for a large batch. A batch of more than 256
  /// rows works on a copy, so that a failure half-way changes nothing.
  template <FeatureMatrix<S> X, FeatureMatrix<S> Y>
  std::uint64_t update(const X& x, const Y& y, const BatchOptions& options = {}) {
    if constexpr (!detail::is_direct<X>) {
      return update(detail::evaluated(x), y, options);
    } else if constexpr (!detail::is_direct<Y>) {
      return update(x, detail::evaluated(y), options);
    } else {
      const detail::Batch<S> batch(x, y, options, dim());
      batch.expect_no_overflow(trace_bound_, target_energy_.sum());
      const std::uint64_t digest = batch.digest(x, y, digest_keys_);
      change(x, y, batch, Sign::add, [&](RecursiveLeastSquares& target) {
        if (target.sums_) target.sums_->update(x, y, options);
      });
      return digest;
    }
  }

  /// Takes rows out again; arguments and errors as in the information form. Without the sums it
  /// refuses what R proves impossible: rows that would leave no positive definite Gram.
  template <FeatureMatrix<S> X, FeatureMatrix<S> Y>
  void downdate(const X& x, const Y& y, const BatchOptions& options = {},
                std::optional<std::uint64_t> digest = {}) {
    if constexpr (!detail::is_direct<X>) {
      downdate(detail::evaluated(x), y, options, digest);
    } else if constexpr (!detail::is_direct<Y>) {
      downdate(x, detail::evaluated(y), options, digest);
    } else {
      const detail::Batch<S> batch(x, y, options, dim());
      batch.expect_removable(x, y, rows_, targets(), digest, digest_keys_);
      change(x, y, batch, Sign::subtract, [&](RecursiveLeastSquares& target) {
        if (target.sums_) target.sums_->downdate(x, y, options);
      });
    }
  }

  /// W, d x T, of everything seen so far.
  [[nodiscard]] const Matrix<S>& weights() const noexcept { return weights_; }

  /// X W, n x T.
  template <FeatureMatrix<S> X>
  [[nodiscard]] Matrix<S> predict(const X& x) const {
    detail::expect_cols("features", x, dim());
    const detail::SerialEigen serial;
    return detail::product_of<Matrix<S>>(x, weights_);
  }

  /// h_i R h_i^T, one number a row.  Cost: 2 n d^2 flops, in chunks of 256 rows.
  template <FeatureMatrix<S> X>
  [[nodiscard]] Vector<S> leverage(const X& x) const {
    detail::expect_cols("features", x, dim());
    const detail::SerialEigen serial;
    Vector<S> result(x.rows());
    for (Index begin = 0; begin < x.rows(); begin += batch_rows) {
      const Index count = std::min(batch_rows, x.rows() - begin);
      const Matrix<S> h = x.middleRows(begin, count).transpose();
      result.segment(begin, count) =
          h.cwiseProduct(times_inverse_gram(h)).colwise().sum().transpose();
    }
    return result;
  }

  /// R, full and symmetric (a copy).
  [[nodiscard]] Matrix<S> inverse_gram() const {
    Matrix<S> lower = inverse_gram_;
    accumulate_second_moment(waiting_.leftCols(waiting_count_).transpose(), lower, options_.threads,
                             Sign::subtract);
    return lower.template selfadjointView<Eigen::Lower>();
  }

  /// Upper estimate of cond(S + lambda I): (lambda + tr S) times the largest eigenvalue of R, that
  /// by power iteration.  Cost: 20 products of R with a vector.
  [[nodiscard]] double condition() const {
    Matrix<S> z = random_normal<S>(dim(), 1, 0x636F6E64);  // any start that is no eigenvector
    double largest = 0;
    for (int step = 0; step < 20; ++step) {
      z /= z.norm();
      z = times_inverse_gram(z);
      largest = static_cast<double>(z.norm());
    }
    return (options_.ridge + trace_bound_) * largest;
  }

  /// Relative error of R and W as the probes see it: never much below that of W, up to 200 times
  /// above it where S + lambda I is badly conditioned.  Cost: 4 d^2 flops.
  [[nodiscard]] double measured_error() const {
    return std::max(inverse_gram_error(), weights_error());
  }

  /// Whether the state can be trusted.  Cost: 4 d^2 flops.
  [[nodiscard]] RlsStatus status() const {
    Vector<S> diagonal = inverse_gram_.diagonal();
    if (waiting_count_ > 0) diagonal -= waiting_.leftCols(waiting_count_).rowwise().squaredNorm();
    const double most = (1 + 1e-3) / options_.ridge;
    const bool holds = detail::is_finite(diagonal) && detail::is_finite(weights_) &&
                       diagonal.minCoeff() > S(0) &&
                       static_cast<double>(diagonal.maxCoeff()) <= most;
    const double error = weights_error();
    if (!holds || !detail::is_finite(error) || error >= 0.5) return RlsStatus::broken;
    return std::max(error, inverse_gram_error()) < 1e-2 ? RlsStatus::accurate : RlsStatus::doubtful;
  }

  /// Makes R and W anew from the sums: what the information form computes.
  /// @throws ArgumentError   the sums were not kept
  /// @throws NumericalError  where S + lambda I is not positive definite in this scalar; the state
  ///         is then as it was
  /// Cost: about 5/3 d^3 flops.
  void rebuild() {
    const Sums& sums = kept_sums("rebuild");
    Matrix<S> weights = sums.weights();
    sums.write_inverse_gram(inverse_gram_);
    weights_.swap(weights);
    waiting_count_ = 0;
  }

  /// Another ridge, as if it had been used from the start. Needs the sums; errors as in rebuild.
  void set_ridge(double ridge) {
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

  /// Adds the rows of another regression of the same ridge. Needs both sums; errors as in rebuild.
  void merge(const RecursiveLeastSquares& other) {
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

  [[nodiscard]] std::size_t bytes() const noexcept {
    const Index numbers = inverse_gram_.size() + weights_.size() + waiting_.size();
    return static_cast<std::size_t>(numbers) * sizeof(S) + (sums_ ? sums_->bytes() : 0) +
           static_cast<std::size_t>(target_energy_.size()) * sizeof(double) + probe_.bytes() +
           digest_keys_.size() * sizeof(std::uint64_t);
  }

 private:
  static constexpr Index batch_rows = 256;  // rows that one step takes
  static constexpr Index most_waiting = 64;

  [[nodiscard]] const Sums& kept_sums(std::string_view what) const {
    detail::expect(sums_.has_value(), what, " needs the sums S and C, which this covariance form ",
                   "does not hold: build it with keep_sums, or use the information form");
    return *sums_;
  }
  [[nodiscard]] Sums& kept_sums(std::string_view what) {
    return const_cast<Sums&>(std::as_const(*this).kept_sums(what));
  }

  /// R Z for Z (d x n).
  [[nodiscard]] Matrix<S> times_inverse_gram(const Matrix<S>& z) const {
    Matrix<S> product(z.rows(), z.cols());
    multiply_symmetric(inverse_gram_, z, product, options_.threads);
    if (waiting_count_ > 0) {
      const auto waiting = waiting_.leftCols(waiting_count_);
      detail::subtract_product(product, waiting,
                               detail::product_of<Matrix<S>>(waiting.transpose(), z));
    }
    return product;
  }

  /// R z in double, for the probes.
  [[nodiscard]] Eigen::VectorXd times_inverse_gram_in_double(const Eigen::VectorXd& z) const {
    Eigen::VectorXd product = Eigen::VectorXd::Zero(dim());
    for (Index j = 0; j < dim(); ++j) {
      const Index below = dim() - j - 1;
      const auto column = inverse_gram_.col(j).tail(below).template cast<double>();
      product(j) += static_cast<double>(inverse_gram_(j, j)) * z(j) + column.dot(z.tail(below));
      product.tail(below) += z(j) * column;
    }
    for (Index j = 0; j < waiting_count_; ++j) {
      const auto column = waiting_.col(j).template cast<double>();
      product -= column.dot(z) * column;
    }
    return product;
  }

  [[nodiscard]] double inverse_gram_error() const {
    return probe_.inverse_error(
        [this](const Eigen::VectorXd& z) { return times_inverse_gram_in_double(z); });
  }
  [[nodiscard]] double weights_error() const {
    return probe_.weights_error(
        [this](const Eigen::VectorXd& z) { return times_inverse_gram_in_double(z); }, weights_);
  }

  /// Adds or takes out a checked batch, all of it or nothing.
  /// @param change_sums  does the same to the sums, if they are kept. Adding cannot fail after the
  ///                     checks; taking out can, and so works on a copy.
  template <class X, class Y, class ChangeSums>
  void change(const X& x, const Y& y, const detail::Batch<S>& batch, Sign sign,
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

  template <class X, class Y>
  void change_in_place(const X& x, const Y& y, const detail::Batch<S>& batch, Sign sign) {
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

  /// R and W before the first row.
  void start_over() {
    inverse_gram_.setZero();
    inverse_gram_.diagonal().setConstant(static_cast<S>(1 / options_.ridge));
    weights_.setZero();
    target_energy_.setZero();
    waiting_count_ = 0;
    trace_bound_ = 0;
    probe_ = detail::CovarianceProbe<S>(dim(), options_.ridge);
  }

  /// One step of the recursion. Everything that may fail comes before the first change.
  /// @param h        H^T, d x n
  /// @param targets  n x T, T at least as it is now
  void step(const Matrix<S>& h, const Matrix<S>& targets, Sign sign) {
    const Index n = h.cols();
    Matrix<S> k = times_inverse_gram(h);  // P^T, then K^T
    Matrix<S> m = Matrix<S>::Identity(n, n);
    detail::add_triangle_of_product<Eigen::Lower>(m, h.transpose(), k, sign);
    if (!detail::factor_lower(m)) raise_indefinite(sign);
    solve_rows(m, k);
    Matrix<S> innovation = targets;
    detail::subtract_product(innovation.leftCols(this->targets()), h.transpose(), weights_);
    detail::solve_triangle<Eigen::Lower>(m, innovation);
    reserve_targets(targets.cols());
    make_room(n);
    detail::add_signed_product(weights_, k, innovation, sign);
    if (sign == Sign::add && n <= most_waiting) {
      waiting_.middleCols(waiting_count_, n) = k;
      waiting_count_ += n;
    } else {
      accumulate_second_moment(k.transpose(), inverse_gram_, options_.threads,
                               sign == Sign::add ? Sign::subtract : Sign::add);
    }
  }

  [[noreturn]] static void raise_indefinite(Sign sign) {
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
  void solve_rows(const Matrix<S>& m, Matrix<S>& k) const {
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

  /// Folds the waiting rows into R where n more would not fit.
  void make_room(Index n) {
    if (waiting_.size() == 0) waiting_.resize(dim(), most_waiting);
    if (waiting_count_ + n <= most_waiting) return;
    accumulate_second_moment(waiting_.leftCols(waiting_count_).transpose(), inverse_gram_,
                             options_.threads, Sign::subtract);
    waiting_count_ = 0;
  }

  RlsOptions options_;
  Matrix<S> inverse_gram_;  // lower: R_0
  Matrix<S> waiting_;       // d x 64: K^T in its first columns, R = R_0 - K^T K
  Index waiting_count_ = 0;
  Matrix<S> weights_;              // d x T
  Eigen::VectorXd target_energy_;  // T
  detail::CovarianceProbe<S> probe_;
  std::optional<Sums> sums_;  // where keep_sums
  std::vector<std::uint64_t> digest_keys_;
  double trace_bound_ = 0;
  Index rows_ = 0;
};

}  // namespace anyssr::inline ANYSSR_ABI
