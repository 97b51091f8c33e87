// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// Recursive least squares that keeps the two sums and solves when asked:
///
///   S = sum_i s_i x_i^T x_i        C = sum_i s_i x_i^T y_i        W = (S + lambda I)^-1 C
///
/// Rows are gathered into blocks, S stands in one triangle of a square and its Cholesky factor in
/// the other, few new rows update the factor instead of making it again. The class stands here; the
/// bodies of its members are in the information_form_*.hpp of this folder, by theme.
/// Source: Any-SSR, arXiv 2503.13575 (router training), and ACIL, arXiv 2205.14922; GCV: Golub,
/// Heath and Wahba 1979.

#include <cstdint>
#include <optional>
#include <span>

#include "anyssr/linalg/gram_factor.hpp"
#include "anyssr/linalg/product.hpp"
#include "anyssr/rls/regression_sums.hpp"
#include "anyssr/rls/ridge_search.hpp"

namespace anyssr::inline ANYSSR_ABI {

/// Ridge regression from sums. An ordinary value; const calls cache, so one thread owns it.
template <RealScalar S>
class RecursiveLeastSquares<S, Information> {
 public:
  using Scalar = S;

  /// @param dim  d, width of a row, at least 1
  /// @throws ArgumentError  for a dimension or option out of range
  explicit RecursiveLeastSquares(Index dim, const RlsOptions& options = {});

  /// Goes on from a state, as if it had been learned here: the sums are the same bits.
  /// @throws ShapeError, NonFiniteError, ArgumentError  for a state that no rows can lead to, or an
  ///         option out of range
  RecursiveLeastSquares(const RlsOptions& options, RegressionState<S> state);

  [[nodiscard]] Index dim() const noexcept { return sums_.dim(); }
  [[nodiscard]] Index targets() const noexcept { return sums_.targets(); }
  [[nodiscard]] Index rows() const noexcept { return sums_.rows(); }
  [[nodiscard]] const RlsOptions& options() const noexcept { return options_; }

  /// lambda as the solve uses it. Where every row so far was zero, a relative ridge stands for
  /// itself.
  [[nodiscard]] double ridge() const { return lambda_of(options_.ridge); }

  /// Another ridge, as if it had been used from the start; needs no data.
  /// @throws ArgumentError  for a ridge that is not finite and above 0
  void set_ridge(double ridge) { set_ridge(ridge, options_.ridge_scale); }
  void set_ridge(double ridge, RidgeScale scale);

  /// Adds zero columns on the right until there are `count`.  Cost: O(d count).
  void reserve_targets(Index count);

  /// Adds a batch: S += sum s_i x_i^T x_i, C += sum s_i x_i^T y_i.
  /// @param x  n x d, one row a sample, dense in any storage order or row-major sparse
  /// @param y  n x m targets, dense or row-major sparse; a new column counts as zero in the batches
  ///           before it
  /// @return a digest of the batch: what downdate can ask for; digests of batches add up
  /// @throws ShapeError, NonFiniteError, ArgumentError  before any state changes; numbers so large
  ///         that the sums would overflow count as not finite
  /// Cost: n d^2 flops (sparse: the squared count of nonzeros a row), no memory beyond the state
  /// and a buffer of at most d^2 / 8 numbers (or 256 rows), in which small batches wait for others.
  template <FeatureMatrix<S> X, FeatureMatrix<S> Y>
  std::uint64_t update(const X& x, const Y& y, const BatchOptions& options = {}) {
    return detail::visit_rows(x, y, [&](const auto& features, const auto& targets, double norm) {
      return add_rows(features, targets, norm, options);
    });
  }

  /// Takes rows out again: exact in exact arithmetic, to eps cond(S + lambda I) in this one.
  /// @param digest  what update returned for these rows (or the sum of what it returned)
  /// @throws what update does; ArgumentError where the rows have another digest, or where the sums
  ///         prove that they never held the rows (more rows than were learned, a negative energy,
  ///         S no longer positive semidefinite). Foreign rows that the sums do not betray are taken
  ///         out all the same: keep the digest. The state is then as it was.
  /// Cost: n d^2 + d^3 / 3 flops and a copy of the state while it runs.
  template <FeatureMatrix<S> X, FeatureMatrix<S> Y>
  void downdate(const X& x, const Y& y, const BatchOptions& options = {},
                std::optional<std::uint64_t> digest = {}) {
    detail::visit_rows(x, y, [&](const auto& features, const auto& targets, double norm) {
      take_rows_out(features, targets, norm, options, digest);
    });
  }

  /// Adds the sums of another regression: the same as having learned its rows here.
  /// @param columns  target column here of each of its columns, no two equal; empty: 0, 1, 2, ...
  /// @throws ShapeError, ArgumentError  another dim, wrong columns; NonFiniteError where the sums
  ///         would overflow; before any state changes
  void merge(const RecursiveLeastSquares& other, std::span<const Index> columns = {});

  /// Takes the sums of another regression out again, the inverse of merge: exact in exact
  /// arithmetic, to eps cond(S + lambda I) in this one.
  /// @param columns  as in merge
  /// @throws ShapeError, ArgumentError  another dim, wrong columns, or where the sums prove that
  ///         they never held those rows, as in downdate. The state is then as it was.
  /// Cost: d^3 / 3 flops and a copy of the state while it runs.
  void unmerge(const RecursiveLeastSquares& other, std::span<const Index> columns = {});

  /// Column j of C moves to column to[j], or is dropped where that is -1; columns of one place add
  /// up, of `count` places one without a source is zero. W is then that of the sums of the targets,
  /// and so is target_energy() if no row has two targets other than 0 in one place (unit vectors),
  /// since squares of sums hold products. Digests of before name the rows no longer.
  /// @param to  one entry a column: -1, or 0..count - 1
  /// @throws ShapeError, ArgumentError, NonFiniteError (columns that add up to infinity)  before
  ///         any state changes
  /// Cost: O(d (T + count)); S and its factor stay.
  void recombine_targets(std::span<const Index> to, Index count);

  /// W, d x T, of everything seen so far. Solved once a state: asking again costs nothing.
  /// @throws NumericalError  where S + lambda I is not positive definite in this scalar
  /// Cost: what factor() costs, and 2 d^2 T flops.
  [[nodiscard]] const Matrix<S>& weights() const;

  /// X W, n x T.
  template <FeatureMatrix<S> X>
  [[nodiscard]] Matrix<S> predict(const X& x) const {
    return products_with_weights(detail::as_map(x));
  }

  /// h_i (S + lambda I)^-1 h_i^T, one number a row: large where a row is unlike all rows seen.
  /// Cost: one triangular solve, n d^2 flops, in chunks of 512 rows.
  template <FeatureMatrix<S> X>
  [[nodiscard]] Vector<S> leverage(const X& x) const {
    return leverages(detail::as_map(x));
  }

  /// Factors S + lambda I now, if rows came since the last time. With an absolute ridge and at most
  /// d / 10 new rows, all in the buffer, the factor is updated: about 2 k d^2 flops (measured: that
  /// wins up to d / 9 rows). A relative ridge changes with every row, so it needs a new factor.
  /// @throws NumericalError  where it is not positive definite in this scalar
  /// Cost: d^3 / 3 flops otherwise.
  void factor() const;

  /// The factor of S + lambda I, a copy.  Cost: d^2 numbers, and what factor() costs.
  [[nodiscard]] GramFactor<S> gram_factor() const;

  /// Generalised cross-validation from the sums alone, over all columns:
  ///   gcv = n RSS / (n - df)^2,  RSS = E - tr W^T C - lambda |W|^2,  df = d - lambda tr G^-1
  /// @param ridges  candidates, each finite and above 0, in the scale of the options
  /// @throws ArgumentError   no candidate, or one out of range; no rows learned
  /// @throws NumericalError  where every candidate is refused (RidgeCandidate::gcv)
  /// Cost: 2/3 d^3 + 2 d^2 T flops a candidate (one eigendecomposition would cost as much as 30 of
  /// them here), and d T numbers.
  [[nodiscard]] RidgeSelection select_ridge(std::span<const double> ridges) const;

  /// The same over decades of tr(S) / d that fit the features: from 1e-6 to 10, down until the
  /// ridge hides no direction of them (ridge_search.hpp), and on while the best stands at an end,
  /// as far as this scalar can tell candidates apart.
  /// @throws ArgumentError  no rows learned
  /// Cost: as above, for 8 candidates where S is well conditioned, one more for each decade that
  /// its smallest direction lies deeper.
  [[nodiscard]] RidgeSelection select_ridge() const;

  /// The smallest share of a column's energy, ridge included, that the columns before it leave
  /// unexplained. Near round-off (see pivot_limit) the weights are made of round-off.
  /// @throws NumericalError  as factor()
  /// Cost: what factor() costs.
  [[nodiscard]] double smallest_pivot() const;

  /// S as a full symmetric d x d matrix (a copy).
  [[nodiscard]] Matrix<S> second_moment() const;
  /// S in the lower triangle and its diagonal; what stands above them is the factor's.
  [[nodiscard]] const Matrix<S>& lower_second_moment() const;
  /// C, d x T.
  [[nodiscard]] const Matrix<S>& cross_correlation() const;

  /// (S + lambda I)^-1, lower triangle with diagonal; the rest of `inverse` is not touched.
  /// @param inverse  d x d
  /// @throws NumericalError  as factor()
  /// Cost: 4/3 d^3 flops
  void write_inverse_gram(Matrix<S>& inverse) const;

  /// sum_i s_i y_i^2, one number a column, in double: with W and C it gives the residual sum of
  /// squares.
  [[nodiscard]] const Eigen::VectorXd& target_energy() const noexcept {
    return sums_.target_energy();
  }

  /// At least tr(S), in double.
  [[nodiscard]] double trace_bound() const noexcept { return sums_.trace_bound(); }
  [[nodiscard]] const RegressionBounds& bounds() const noexcept { return sums_.bounds(); }

  /// Bytes of the state: S and the factor in one square, C, W, the diagonals and the buffer.
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  friend class RecursiveLeastSquares<S, Covariance>;  // its rows enter the sums that it keeps

  static void expect_ridge(double ridge);
  [[nodiscard]] static RlsOptions checked(Index dim, RlsOptions options);
  [[nodiscard]] static RegressionState<S> possible(RegressionState<S> state);

  // Features and targets as visit_rows gives them.
  template <class X, class Y>
  std::uint64_t add_rows(const X& x, const Y& y, double norm, const BatchOptions& options);
  template <class X, class Y>
  void take_rows_out(const X& x, const Y& y, double norm, const BatchOptions& options,
                     std::optional<std::uint64_t> digest);
  template <class X>
  [[nodiscard]] Matrix<S> products_with_weights(const X& x) const;
  template <class X>
  [[nodiscard]] Vector<S> leverages(const X& x) const;

  void replace_by_less(detail::RegressionSums<S> next);
  [[nodiscard]] double lambda_of(double ridge) const;
  [[nodiscard]] bool has_factor() const noexcept;
  [[noreturn]] void raise_indefinite() const;
  void expect_rows_to_select_by() const;
  [[nodiscard]] detail::JudgedRidge cross_validate(double ridge) const;

  RlsOptions options_;
  mutable detail::RegressionSums<S> sums_;  // its strict upper triangle: U, S + lambda I = U^T U
  mutable Vector<S> factor_diagonal_;       // diagonal of U
  mutable Matrix<S> weights_;               // d x T while weights_current_
  mutable Index rows_since_factor_ = 0;     // rows that updated U since it was made
  mutable Index updates_since_factor_ = 0;
  mutable std::uint64_t factor_version_ = 0;  // of the sums that U is of
  mutable bool factor_current_ = false;       // U is whole, and of the present ridge
  mutable bool weights_current_ = false;
};

}  // namespace anyssr::inline ANYSSR_ABI

#include "anyssr/rls/information_form_rows.hpp"
#include "anyssr/rls/information_form_solution.hpp"
