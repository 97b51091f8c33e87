// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Two probes that measure how far R = (S + lambda I)^-1 and W = R C have drifted:
///
///   R ((S + lambda I) u) = u        R (C v) = W v        for fixed signs u and v
///
/// The right products are sums over rows and run along in double; a miss is the error of R or W.
/// They find what no condition number tells: round-off of the first rows, while R falls from
/// 1 / lambda, stays in R for ever.
/// Source: ours.

#include <cstdint>

#include "anyssr/core/random.hpp"
#include "anyssr/linalg/second_moment.hpp"

namespace anyssr::inline ANYSSR_ABI::detail {

template <RealScalar S>
class CovarianceProbe {
 public:
  CovarianceProbe(Index dim, double ridge) : signs_(dim), cross_(Eigen::VectorXd::Zero(dim)) {
    for (Index j = 0; j < dim; ++j) signs_(j) = sign_of(j);
    gram_ = ridge * signs_;
  }

  /// Rows that come or go.
  /// @param h  d x n, targets: n x T
  void add(const Matrix<S>& h, const Matrix<S>& targets, Sign sign) {
    for (Index i = 0; i < h.cols(); ++i) {
      const auto row = h.col(i).template cast<double>();
      double target = 0;
      for (Index j = 0; j < targets.cols(); ++j) {
        target += sign_of(j) * static_cast<double>(targets(i, j));
      }
      gram_ += static_cast<double>(sign) * row.dot(signs_) * row;
      cross_ += static_cast<double>(sign) * target * row;
    }
  }
  void add_ridge(double difference) { gram_ += difference * signs_; }
  /// The rows of another probe, whose ridge is not added.
  void merge(const CovarianceProbe& other, double other_ridge) {
    gram_ += other.gram_ - other_ridge * signs_;
    cross_ += other.cross_;
  }

  /// |R (S + lambda I) u - u| / |u|
  /// @param times_inverse  z -> R z, both in double: in float, round-off of the product would be
  ///                       larger than what it is to find
  template <class TimesInverse>
  [[nodiscard]] double inverse_error(const TimesInverse& times_inverse) const {
    return (times_inverse(gram_) - signs_).norm() / signs_.norm();
  }

  /// |R C v - W v| / |W v|
  template <class TimesInverse>
  [[nodiscard]] double weights_error(const TimesInverse& times_inverse,
                                     const Matrix<S>& weights) const {
    Eigen::VectorXd expected = Eigen::VectorXd::Zero(weights.rows());
    for (Index j = 0; j < weights.cols(); ++j) {
      expected += sign_of(j) * weights.col(j).template cast<double>();
    }
    const double missed = (times_inverse(cross_) - expected).norm();
    return missed == 0 ? 0 : missed / expected.norm();
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(3 * signs_.size()) * sizeof(double);
  }

 private:
  /// Entry j of u and v: 1 or -1.
  [[nodiscard]] static double sign_of(Index j) noexcept {
    return (mix_bits(static_cast<std::uint64_t>(j) + 1) & 1U) != 0 ? 1 : -1;
  }

  Eigen::VectorXd signs_;  // u, d
  Eigen::VectorXd gram_;   // (S + lambda I) u, d
  Eigen::VectorXd cross_;  // C v, d
};

}  // namespace anyssr::inline ANYSSR_ABI::detail
