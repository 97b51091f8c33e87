// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Directions that a new task adds outside the spans of the earlier ones: for U_< (D x K), an
/// orthonormal basis of
///
///   R = X (I - U_< U_<^T)
///
/// projected twice. A LoRA module whose A reads this basis only leaves inputs from the earlier
/// spans alone: |B A x| <= 50 eps |A| |B| |x|. Directions below 1e-3 of the largest are dropped,
/// for what is shared with the earlier tasks survives in R as round-off, which a plain QR would
/// blow up to full columns.
/// Source: ours; InfLoRA, arXiv 2404.00228, confines LoRA modules likewise.

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "anyssr/linalg/product.hpp"
#include "anyssr/subspace/subspace_projector.hpp"

namespace anyssr::inline ANYSSR_ABI {

namespace detail {

/// Directions below this share of the largest one of a residual are dropped.
inline constexpr double complement_tolerance = 1e-3;

/// m <- (I - U U^T) m. A second pass removes what round-off of the first left inside U.
template <class U, class M>
void remove_span(const U& u, M& m, int passes = 2) {
  using Scalar = typename M::Scalar;
  if (u.cols() == 0 || m.cols() == 0) return;
  for (int pass = 0; pass < passes; ++pass) {
    subtract_product(m, u, product_of<RowMajorMatrix<Scalar>>(u.transpose(), m));
  }
}

/// A = X (I - U U^T) as a linear map, never formed.
template <class X, class U>
class DeflatedRows {
 public:
  using Scalar = typename X::Scalar;
  DeflatedRows(const X& x, const U& u) : x_{x}, u_{u} {}

  [[nodiscard]] Index rows() const { return x_.rows(); }
  [[nodiscard]] Index cols() const { return x_.cols(); }
  [[nodiscard]] RowMajorMatrix<Scalar> times(RowMajorMatrix<Scalar> m) const {
    remove_span(u_, m);
    return product_of<RowMajorMatrix<Scalar>>(x_, m);
  }
  [[nodiscard]] RowMajorMatrix<Scalar> transpose_times(const RowMajorMatrix<Scalar>& m) const {
    auto product = product_of<RowMajorMatrix<Scalar>>(x_.transpose(), m);
    remove_span(u_, product);
    return product;
  }
  /// One pass: this only steers a sketch, whose round-off the last transpose_times removes.
  [[nodiscard]] RowMajorMatrix<Scalar> row_gram_times(const RowMajorMatrix<Scalar>& m) const {
    auto product = product_of<RowMajorMatrix<Scalar>>(x_.transpose(), m);
    remove_span(u_, product, 1);
    return product_of<RowMajorMatrix<Scalar>>(x_, product);
  }

 private:
  const X& x_;
  const U& u_;
};

/// |X (I - U U^T)|^2. The difference of squares is cheap and loses digits where little is left;
/// there the residual itself is made, in blocks of rows.
template <class X, class U>
[[nodiscard]] double residual_energy(const X& x, const U& u, double total) {
  using Scalar = typename X::Scalar;
  const double difference = total - energy_of(times_basis(x, u));
  if (difference > 0.01 * total) return difference;
  double energy = 0;
  for (Index i = 0; i < x.rows(); i += cast_block) {
    Matrix<Scalar> rest =
        Matrix<Scalar>(x.middleRows(i, std::min(cast_block, x.rows() - i))).transpose();
    remove_span(u, rest);
    energy += energy_of(rest);
  }
  return energy;
}

template <class X, class U>
[[nodiscard]] LeadingDirections<typename X::Scalar> deflated_directions(
    const X& x, const U& u, const SubspaceOptions& options, const DirectionLimits& limits) {
  if (is_randomised(options, x.rows(), x.cols())) {
    return randomised_directions(DeflatedRows<X, U>(x, u), options, limits);
  }
  Matrix<typename X::Scalar> rest = Matrix<typename X::Scalar>(x).transpose();
  remove_span(u, rest);
  return with_plain_rows(rest.transpose(), [&](const auto& rows) {
    return exact_directions(PlainRows<std::remove_cvref_t<decltype(rows)>>(rows), options, limits);
  });
}

}  // namespace detail

/// What complement_basis finds.
template <RealScalar S>
struct ComplementBasis {
  Matrix<S> basis;                 ///< D x k, orthonormal, orthogonal to the earlier span
  Vector<double> singular_values;  ///< k: of the residual rows along the columns of `basis`
  double outside_share = 0;        ///< |R|^2 / |X|^2: the energy of the rows outside the span
  Index capacity = 0;              ///< D - K: dimensions left; `basis` takes k of them
};

namespace detail {

/// complement_basis of checked features and earlier basis.
template <class X, class U>
[[nodiscard]] ComplementBasis<typename X::Scalar> complement_of(const X& x, const U& earlier,
                                                                SubspaceOptions options) {
  using S = typename X::Scalar;
  const double total = energy_of(x);
  expect_representable(total, x);
  ComplementBasis<S> result;
  result.capacity = earlier.rows() - earlier.cols();
  if (result.capacity > 0 && total > 0) {
    const double outside = residual_energy(x, earlier, total);
    result.outside_share = outside / total;
    options.rank = options.rank == 0 ? result.capacity : std::min(options.rank, result.capacity);
    LeadingDirections<S> found = deflated_directions(
        x, earlier, options,
        {.total_energy = outside,
         .relative_tolerance = complement_tolerance,
         .least_singular_value = 1000 * std::numeric_limits<S>::epsilon() * std::sqrt(total)});
    result.basis = std::move(found.basis);
    result.singular_values = std::move(found.singular_values);
  }
  expect<NumericalError>(result.basis.cols() > 0, "the earlier subspaces span ", earlier.cols(),
                         " of ", earlier.rows(), " dimensions; nothing of the new rows is left");
  // Division by small singular values enlarged what was left inside the earlier span.
  remove_span(earlier, result.basis);
  reorthonormalise(result.basis);
  return result;
}

}  // namespace detail

/// Rank-revealing orthonormal basis of the rows of `features` outside the span of `earlier`.
/// @param features  n x D, n >= 1, dense in any storage order or row-major sparse
/// @param earlier   U_<, D x K, orthonormal columns, K may be 0; a row-major one is copied
/// @param options   rank, and energy as a share of what is outside; see SubspaceOptions
/// @throws ShapeError, NonFiniteError, ArgumentError  (earlier not orthonormal)
/// @throws NumericalError  nothing is left: K = D, or the rows lie in the span but for round-off
///   (1000 eps of their norm)
/// Cost: that of SubspaceProjector::fit, and 4 D K l flops for each of up to 7 projections of l
/// columns: rank + oversampling (randomised) or n (exact).
template <class X, class U>
requires RealScalar<typename X::Scalar> && FeatureMatrix<X, typename X::Scalar>
[[nodiscard]] ComplementBasis<typename X::Scalar> complement_basis(
    const X& features, const Eigen::MatrixBase<U>& earlier, const SubspaceOptions& options = {}) {
  detail::expect_valid(options);
  detail::expect<ShapeError>(features.rows() >= 1, "features are 0 x ", features.cols(),
                             ", expected at least one row");
  detail::expect_cols("features", features, earlier.rows());
  const Eigen::Ref<const Matrix<typename X::Scalar>> span(earlier.derived());
  detail::expect_orthonormal("earlier", span);
  return detail::with_plain_rows(features, [&](const auto& x) {
    detail::expect_finite("features", x);
    return detail::complement_of(x, span, options);
  });
}

/// Orthonormal basis of the union of two spans: the columns of `earlier` bit by bit, then what
/// `added` has outside them. Directions of `added` whose angle to the earlier span has a sine below
/// 1000 eps (1e-6 in double) count as there already.
/// @param earlier  D x K, orthonormal columns, K may be 0; a row-major one is copied
/// @param added    D x k, orthonormal columns
/// @return D x (K + r), r <= k
/// @throws ShapeError, NonFiniteError, ArgumentError  (not orthonormal)
/// Cost: O(D K k + D k^2).
template <class U, class V>
[[nodiscard]] Matrix<typename U::Scalar> append_basis(const Eigen::MatrixBase<U>& earlier,
                                                      const Eigen::MatrixBase<V>& added) {
  using S = typename U::Scalar;
  static_assert(RealScalar<S> && std::same_as<S, typename V::Scalar>);
  detail::expect_rows("added", added, earlier.rows());
  const Eigen::Ref<const Matrix<S>> span(earlier.derived());
  Matrix<S> rest = added;
  detail::expect_orthonormal("earlier", span);
  detail::expect_orthonormal("added", rest);
  detail::remove_span(span, rest);
  const detail::GramSpectrum spectrum = detail::gram_spectrum(detail::gram_in_double(rest));
  const double least = std::max(detail::gram_resolution,
                                1000 * static_cast<double>(std::numeric_limits<S>::epsilon()));
  const Index most = std::min(rest.cols(), span.rows() - span.cols());
  Index count = 0;
  while (count < most && spectrum.singular_values(count) > least) ++count;
  Matrix<S> fresh = detail::left_singular_vectors(rest, spectrum, count);
  detail::remove_span(span, fresh);
  detail::reorthonormalise(fresh);
  Matrix<S> all(span.rows(), span.cols() + count);
  all.leftCols(span.cols()) = span;
  all.rightCols(count) = fresh;
  return all;
}

}  // namespace anyssr::inline ANYSSR_ABI

#ifdef ANYSSR_COMPILED
#include "anyssr/instantiate/subspaces.hpp"
#endif
