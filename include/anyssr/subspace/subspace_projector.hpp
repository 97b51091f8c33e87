// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The subspace of a task's features: an orthonormal basis U (D x k) of the leading directions of
/// its rows, and the singular values s of the rows along them.
///
///   project = X U          reconstruct = X U U^T          residual = X - X U U^T
///
/// New rows are folded in by the basis of [diag(s) U^T; X_new]: U and s stand for all rows so far.
/// Stacking the residual alone would lose what the new rows add inside U.
/// Source: ours; the update is the incremental SVD of Brand, Linear Algebra Appl. 415, 20 (2006).

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "anyssr/linalg/product.hpp"
#include "anyssr/subspace/leading_directions.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// Refuses columns that are clearly not orthonormal: U^T U v = v for a v of signs.
/// Cost: two products with one vector.
template <class U>
void expect_orthonormal(std::string_view name, const Eigen::MatrixBase<U>& u) {
  using Scalar = typename U::Scalar;
  expect_finite(name, u);
  if (u.cols() == 0) return;
  expect<ShapeError>(u.cols() <= u.rows(), name, " has ", u.rows(), " x ", u.cols(),
                     " numbers, expected no more columns than rows");
  RandomStream random(0, sketch_stream);
  Vector<Scalar> v(u.cols());
  for (Scalar& sign : v) sign = static_cast<Scalar>(random.sign());
  const auto lifted = product_of<Vector<Scalar>>(u.derived(), v);
  const auto back = product_of<Vector<Scalar>>(u.derived().transpose(), lifted);
  const double error = static_cast<double>((back - v).norm() / v.norm());
  const double most = std::sqrt(static_cast<double>(std::numeric_limits<Scalar>::epsilon()));
  expect(is_within(error, 0.0, most), name, " is off by ", error, ", expected orthonormal columns");
}

/// Refuses features whose squares leave the range of double.
template <class X>
void expect_representable(double energy, const X& features) {
  expect<NumericalError>(is_finite(energy), "features of ", features.rows(), " x ", features.cols(),
                         " are too large: their squares overflow");
}

/// X U for a dense U (D x k); sparse rows read U by rows, which pays once they have many numbers.
template <class X, class U>
[[nodiscard]] RowMajorMatrix<typename X::Scalar> times_basis(const X& x, const U& u) {
  using Scalar = typename X::Scalar;
  if (u.cols() == 0) return RowMajorMatrix<Scalar>(x.rows(), 0);
  if constexpr (SparseFeatures<X> && !bool(U::IsRowMajor)) {
    if (x.rows() >= 64) {
      const RowMajorMatrix<Scalar> by_rows = u;
      return product_of<RowMajorMatrix<Scalar>>(x, by_rows);
    }
  }
  return product_of<RowMajorMatrix<Scalar>>(x, u);
}

}  // namespace detail

/// An orthonormal basis of features and how much of them it keeps. A value; const calls may run on
/// any number of threads.
template <RealScalar S>
class SubspaceProjector {
 public:
  using Scalar = S;

  /// From stored parts.
  /// @param basis            D x k, D >= 1, orthonormal columns
  /// @param singular_values  k numbers >= 0
  /// @param total_energy     |X|^2 of the rows that the basis was made from
  /// @throws ShapeError, NonFiniteError, ArgumentError  the basis is not orthonormal, or the
  ///   singular values hold more energy than there is
  SubspaceProjector(Matrix<S> basis, Vector<double> singular_values, double total_energy)
      : basis_{std::move(basis)},
        singular_values_{std::move(singular_values)},
        total_energy_{total_energy} {
    detail::expect<ShapeError>(basis_.rows() >= 1, "basis has 0 rows, expected at least 1");
    detail::expect_count("singular_values", static_cast<std::size_t>(singular_values_.size()),
                         basis_.cols());
    detail::expect_finite("singular_values", singular_values_);
    detail::expect((singular_values_.array() >= 0).all(),
                   "singular_values hold a negative number, expected none");
    detail::expect_orthonormal("basis", basis_);
    detail::expect(detail::is_finite(total_energy_) && total_energy_ * 1.001 >= kept(),
                   "total_energy is ", total_energy_, ", expected at least the ", kept(),
                   " that the singular values hold");
  }

  /// The leading directions of the rows of `features`. Directions below 1e-6 of the largest
  /// singular value count as round-off and are dropped; so are, in float under method randomised,
  /// about those below 3e-4 (1e-7 of the energy). Zero rows give rank 0.
  /// @param features  n x D, n and D >= 1, dense in any storage order or row-major sparse
  /// @throws ShapeError, NonFiniteError, ArgumentError
  /// Cost: exact: a Gram and O(min(n, D)^3), with D x min(n, D) numbers of memory; randomised: 6
  /// products with rank + oversampling columns. 1500 x 8192 sparse rows of 140 numbers at rank 512
  /// in float: 0.25 s on one core with AVX-512, 0.75 s with SSE2.
  template <FeatureMatrix<S> X>
  [[nodiscard]] static SubspaceProjector fit(const X& features,
                                             const SubspaceOptions& options = {});

  /// Folds in new rows: what fit would find in the old rows and the new ones, but for what the
  /// earlier truncation discarded.
  /// @param features  n x dim()
  /// @param options   rank and energy of the whole; the share is one of all rows so far
  /// @throws ShapeError, NonFiniteError, ArgumentError  before any state changes
  /// Cost: that of fit on rank() + n dense rows.
  template <FeatureMatrix<S> X>
  void update(const X& features, const SubspaceOptions& options = {}) {
    detail::expect_valid(options);
    detail::expect_cols("features", features, dim());
    RowMajorMatrix<S> stacked(rank() + features.rows(), dim());
    stacked.topRows(rank()) = singular_values_.template cast<S>().asDiagonal() * basis_.transpose();
    stacked.bottomRows(features.rows()) = features;
    detail::expect_finite("features", stacked.bottomRows(features.rows()));
    const double added = detail::energy_of(stacked.bottomRows(features.rows()));
    if (stacked.rows() == 0) return;
    *this = detail::with_plain_rows(
        stacked, [&](const auto& rows) { return fit_plain(rows, options, total_energy_ + added); });
  }

  /// X U, n x rank(): coordinates in the subspace.
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  [[nodiscard]] RowMajorMatrix<S> project(const X& features) const {
    detail::expect_cols("features", features, dim());
    return detail::times_basis(features, basis_);
  }

  /// X U U^T, n x dim(): the nearest rows inside the subspace.
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  [[nodiscard]] RowMajorMatrix<S> reconstruct(const X& features) const {
    const RowMajorMatrix<S> inside = project(features);
    if (rank() == 0) return RowMajorMatrix<S>::Zero(features.rows(), dim());
    return detail::product_of<RowMajorMatrix<S>>(inside, basis_.transpose());
  }

  /// X - X U U^T, n x dim(), dense: what the subspace cannot say.
  /// @throws ShapeError
  template <FeatureMatrix<S> X>
  [[nodiscard]] RowMajorMatrix<S> residual(const X& features) const {
    RowMajorMatrix<S> rest = -reconstruct(features);
    rest += features;
    return rest;
  }

  /// U, dim() x rank(), ordered by decreasing singular value.
  [[nodiscard]] const Matrix<S>& basis() const noexcept { return basis_; }
  /// Singular values of the rows along the columns of U.
  [[nodiscard]] const Vector<double>& singular_values() const noexcept { return singular_values_; }
  [[nodiscard]] Index dim() const noexcept { return basis_.rows(); }
  [[nodiscard]] Index rank() const noexcept { return basis_.cols(); }
  /// |X|^2 of all rows so far.
  [[nodiscard]] double total_energy() const noexcept { return total_energy_; }
  /// Share of the energy that the basis keeps, 0..1 (a lower bound under method randomised); 1
  /// where there was none.
  [[nodiscard]] double energy_kept() const noexcept {
    return total_energy_ > 0 ? std::min(1.0, kept() / total_energy_) : 1.0;
  }
  /// The energy outside the basis, >= 0.
  [[nodiscard]] double discarded_energy() const noexcept {
    return std::max(0.0, total_energy_ - kept());
  }

 private:
  SubspaceProjector() = default;

  template <class X>
  static void expect_rows_and_columns(const X& features) {
    detail::expect<ShapeError>(features.rows() >= 1 && features.cols() >= 1, "features are ",
                               features.rows(), " x ", features.cols(),
                               ", expected at least one row and one column");
  }

  template <class X>
  static SubspaceProjector fit_plain(const X& rows, const SubspaceOptions& options,
                                     double total_energy) {
    detail::expect_representable(total_energy, rows);
    const detail::DirectionLimits limits{.total_energy = total_energy};
    const detail::PlainRows<X> map(rows);
    detail::LeadingDirections<S> found = detail::is_randomised(options, rows.rows(), rows.cols())
                                             ? detail::randomised_directions(map, options, limits)
                                             : detail::exact_directions(map, options, limits);
    SubspaceProjector result;
    result.basis_ = std::move(found.basis);
    result.singular_values_ = std::move(found.singular_values);
    result.total_energy_ = total_energy;
    return result;
  }

  [[nodiscard]] double kept() const noexcept { return singular_values_.squaredNorm(); }

  Matrix<S> basis_;                 // D x k, orthonormal to round-off
  Vector<double> singular_values_;  // k, >= 0
  double total_energy_ = 0;         // >= |singular_values_|^2 but for round-off
};

// Below the class, so that a program may compile it in one file and declare it extern in others.
template <RealScalar S>
template <FeatureMatrix<S> X>
SubspaceProjector<S> SubspaceProjector<S>::fit(const X& features, const SubspaceOptions& options) {
  detail::expect_valid(options);
  expect_rows_and_columns(features);
  return detail::with_plain_rows(features, [&](const auto& rows) {
    detail::expect_finite("features", rows);
    return fit_plain(rows, options, detail::energy_of(rows));
  });
}

}  // namespace anyssr::inline ANYSSR_ABI
