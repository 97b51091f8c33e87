// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Features that stand far from zero, moved there:  x -> [x - s, c]
///
/// An offset m costs a sum of x^T x the digits of what varies around m: at |m| = 1e6 times the
/// spread all of them in float, and no later correction brings them back. So a constant s is
/// subtracted before any sum is formed, and a constant column c takes over what the offset was to
/// the regression: an intercept that the ridge hardly weighs on.
///
/// s and c are chosen once, before the first row is learned, and are from then on part of the fixed
/// map from a query to its features, like the seed of an expansion: keep them with the model. For
/// any such map the sums are sums over rows, so batches, order, merge and removal change nothing
/// and learning in sequence equals the joint fit exactly as without a shift. Another s gives the
/// same regression up to the ridge on the intercept, lambda / (n c^2), since it only moves weight
/// between the intercept and the rest. Behind an expansion that is not linear, s matters as a seed
/// does.
/// Source: ours.

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "anyssr/core/concepts.hpp"
#include "anyssr/core/error.hpp"

namespace anyssr::inline ANYSSR_ABI {

template <RealScalar S>
class FeatureShift {
 public:
  using Scalar = S;

  /// Columns whose mean exceeds so many times their spread are moved: the sums of the others keep
  /// digits enough in float.
  static constexpr double default_limit = 128;

  /// @param shift     s, D numbers
  /// @param constant  c; 0: no constant column
  /// @throws ShapeError, NonFiniteError
  explicit FeatureShift(RowVector<S> shift, S constant = 0)
      : shift_(std::move(shift)), constant_(constant) {
    detail::expect<ShapeError>(shift_.size() >= 1, "shift has 0 entries, expected one per column");
    detail::expect_finite("shift", shift_);
    detail::expect<NonFiniteError>(detail::is_finite(constant), "constant is ", constant,
                                   ", expected a finite number");
  }

  /// The shift for features like these: s_j is the mean of column j, rounded to a power of two near
  /// the spread, where it exceeds `limit` times the spread, else 0. c is about 16 times the largest
  /// spread, 0 where no column moves: features near zero pass as they are.
  /// @param rows   n x D, dense or row-major sparse, the first that come; fewer than 8 say too
  ///               little of the spread, and nothing moves
  /// @param limit  above 0
  /// @throws ShapeError, NonFiniteError, ArgumentError
  /// Cost: O(n D)
  template <FeatureMatrix<S> X>
  [[nodiscard]] static FeatureShift fitted(const X& rows, double limit = default_limit) {
    detail::expect<ShapeError>(rows.rows() > 0 && rows.cols() > 0, "rows are ", rows.rows(), " x ",
                               rows.cols(), ", expected at least one row and one column");
    detail::expect_finite("rows", rows);
    detail::expect_positive("limit", limit);
    const Eigen::MatrixXd wide = RowMajorMatrix<S>(rows).template cast<double>();
    const Eigen::RowVectorXd mean = wide.colwise().mean();
    const Eigen::RowVectorXd spread =
        ((wide.rowwise() - mean).colwise().squaredNorm() / static_cast<double>(rows.rows()))
            .cwiseSqrt();
    const double typical = std::sqrt(spread.squaredNorm() / static_cast<double>(spread.size()));
    RowVector<S> shift = RowVector<S>::Zero(rows.cols());
    if (rows.rows() < 8) return FeatureShift(std::move(shift));
    for (Index j = 0; j < rows.cols(); ++j) {
      const double size = std::abs(mean(j));
      // A column that does not vary here may vary later, as the others do.
      const double around = spread(j) > 0 ? spread(j) : typical;
      if (!(size > limit * around)) continue;
      shift(j) = static_cast<S>(rounded(mean(j), around));
    }
    if (shift.isZero(0)) return FeatureShift(std::move(shift));
    const double unit = typical > 0 ? spread.maxCoeff() : mean.cwiseAbs().maxCoeff();
    return FeatureShift(std::move(shift),
                        static_cast<S>(std::exp2(4 + std::round(std::log2(unit)))));
  }

  /// Without the constant column: for an expansion that has one of its own, or none to gain from.
  [[nodiscard]] FeatureShift without_constant() const { return FeatureShift(shift_, 0); }

  /// Whether features pass as they are.
  [[nodiscard]] bool is_none() const noexcept { return constant_ == 0 && shift_.isZero(0); }
  [[nodiscard]] Index in_dim() const noexcept { return shift_.size(); }
  [[nodiscard]] Index out_dim() const noexcept { return in_dim() + (constant_ != 0 ? 1 : 0); }
  [[nodiscard]] const RowVector<S>& shift() const noexcept { return shift_; }
  [[nodiscard]] S constant() const noexcept { return constant_; }
  /// Columns that are moved.
  [[nodiscard]] Index moved_columns() const noexcept { return (shift_.array() != S(0)).count(); }

  /// [x - s, c] of each row, n x out_dim(), dense. The difference is exact where x is near s.
  /// @param features  n x in_dim(), dense or row-major sparse
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  [[nodiscard]] RowMajorMatrix<S> apply(const X& features) const {
    detail::expect_cols("features", features, in_dim());
    RowMajorMatrix<S> moved(features.rows(), out_dim());
    moved.leftCols(in_dim()) = features;
    moved.leftCols(in_dim()).rowwise() -= shift_;
    if (constant_ != 0) moved.col(in_dim()).setConstant(constant_);
    return moved;
  }

 private:
  /// The same number from rows that differ a little, with few digits.
  [[nodiscard]] static double rounded(double mean, double spread) {
    const double finest = std::max(std::ldexp(std::abs(mean), -20),
                                   std::numeric_limits<double>::min());  // log2(0) helps nobody
    const double unit = std::exp2(std::ceil(std::log2(std::max(spread, finest))));
    return std::round(mean / unit) * unit;
  }

  RowVector<S> shift_;  // 1 x D
  S constant_;
};

}  // namespace anyssr::inline ANYSSR_ABI
